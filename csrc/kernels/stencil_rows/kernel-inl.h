// The body of the stencil_rows kernels; stencil_rows.h has the contract.
//
// Register budget: R * V accumulators, the weights of N <= kRowTaps taps one above the other, and a vector of x, which
// serves one row of y and tap n, the row above and tap n + 1, and so on: R rows take R + N - 1 loads for R * N FMA.
// Loads are what kernels of one tap at a time wait for: most cross a cache line, and count twice. Rows of the tile that
// y does not have cost little: most of what they would read lies below the image, and is left out.
#pragma once

#include "kernels/stencil_rows/stencil_rows.h"

namespace {

using convext::StencilRowsArgs;
using convext::StencilRowsKernel;
using convext::StencilRowTaps;

template <typename Vec, int R, int V, int kRowTaps>
struct StencilRows {
  using T = typename Vec::T;
  using Mask = typename Vec::Mask;
  using Args = StencilRowsArgs<T>;
  static constexpr int64_t kLanes = Vec::kLanes;
  static_assert(R * V + kRowTaps + 2 <= Vec::kRegisters, "the tile spills");

  // The first row and column of a tile of y, and its rows.
  struct Place {
    int64_t r, rows, j;
  };

  // Of the rows of x that a tile reads, a bit for each that is inside.
  static CONVEXT_INLINE uint32_t rows_inside(const StencilRowTaps& taps, const Place& at) {
    const int64_t count = at.rows + taps.count - 1, first = taps.first - at.r, last = taps.last - at.r;
    if (first >= count || last <= 0) return 0;
    const uint32_t until_last = (1u << (last < count ? last : count)) - 1;
    return until_last & ~((1u << (first > 0 ? first : 0)) - 1);
  }

  // Vector v of the rows of x that RT rows of y and N rows of taps read. At the edges: of the rows with a bit, the
  // lanes inside.
  template <int v, int RT, int VT, int N, bool kEdge>
  static CONVEXT_INLINE void add_rows(Vec (&acc)[RT][VT], const Vec (&weight)[N], const T* x, int64_t pitch,
                                      uint32_t rows, Mask inside) {
#pragma GCC unroll 32
    for (int row = 0; row < RT + N - 1; ++row, x += pitch) {
      asm("" : "+r"(x));  // one pointer that walks: GCC would keep an offset for each row, and spill them
      if (kEdge && (rows >> row & 1) == 0) continue;
      Vec value = kEdge ? Vec::load(x, inside) : Vec::load(x);
      if constexpr (N > 1) value.keep();
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n)
        if (row - n >= 0 && row - n < RT) acc[row - n][v] = Vec::fma(weight[n], value, acc[row - n][v]);
    }
  }

  // Vectors v, v + 1, ... for one column of taps, which reads `column` first. From columns below `whole` on all that is
  // read is inside.
  template <int v, int RT, int VT, int N>
  static CONVEXT_INLINE void add_vectors(Vec (&acc)[RT][VT], const Vec (&weight)[N], const Args& args, const T* x,
                                         int64_t column, uint32_t rows, uint64_t whole) {
    if (static_cast<uint64_t>(column) < whole)
      add_rows<v, RT, VT, N, false>(acc, weight, x + column, args.x_pitch, rows, Mask{});
    else
      add_rows<v, RT, VT, N, true>(acc, weight, x + column, args.x_pitch, rows, Vec::inside(column, args.width));
    if constexpr (v + 1 < VT) add_vectors<v + 1, RT, VT, N>(acc, weight, args, x, column + kLanes, rows, whole);
  }

  // N taps one above the other, and those beside them.
  template <int N, int RT, int VT>
  static CONVEXT_INLINE void add(Vec (&acc)[RT][VT], const Args& args, const StencilRowTaps& taps, const Place& at) {
    if constexpr (N > 1)
      if (taps.count < N) return add<N - 1>(acc, args, taps, at);
    const uint32_t rows = rows_inside(taps, at);
    const bool all_rows = rows == (1u << (RT + N - 1)) - 1;
    const uint64_t whole = all_rows && args.width >= kLanes ? static_cast<uint64_t>(args.width - kLanes + 1) : 0;
    const T *x = args.x + taps.offset + at.r * args.x_pitch, *weights = args.weight + taps.weight;
    for (int64_t t = 0; t < args.taps; ++t, weights += args.weight_w) {
      asm("" : "+r"(weights));  // no second loop for the case that weight_w is 1
      Vec weight[N];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) weight[n] = Vec::broadcast(weights[n * args.weight_h]);
      add_vectors<0>(acc, weight, args, x, args.column[t] + at.j, rows, whole);
    }
  }

  template <int RT, int VT>
  static void tile(const Args& args, const Place& at) {
    Vec acc[RT][VT];
#pragma GCC unroll 16
    for (int r = 0; r < RT; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < VT; ++v) acc[r][v] = Vec::broadcast(args.bias);
    for (int64_t g = 0; g < args.groups; ++g) add<kRowTaps>(acc, args, args.row_taps[g], at);
    T* y = args.y + at.r * args.y_pitch + at.j;
    const int64_t tail = args.columns - at.j - (VT - 1) * kLanes;
#pragma GCC unroll 16
    for (int r = 0; r < RT; ++r) {
      if (r >= at.rows) continue;
#pragma GCC unroll 4
      for (int v = 0; v < VT; ++v)
        if (v < VT - 1 || tail >= kLanes)
          acc[r][v].store(y + r * args.y_pitch + v * kLanes);
        else
          acc[r][v].store_tail(y + r * args.y_pitch + v * kLanes, tail);
    }
  }

  // A row in tiles of at most VT vectors, as even as can be.
  template <int VT>
  struct Tiles {
    int64_t count, vectors, wider;  // `wider` of them have a vector more
    explicit Tiles(int64_t row)
        : count(row <= VT ? 1 : (row + VT - 1) / VT), vectors(row / count), wider(row - vectors * count) {}
  };

  template <int RT, int VT>
  static CONVEXT_INLINE void narrow_tile(const Args& args, const Place& at, int64_t vectors) {
    if constexpr (VT > 1)
      if (vectors < VT) return narrow_tile<RT, VT - 1>(args, at, vectors);
    tile<RT, VT>(args, at);
  }

  template <int RT, int VT>
  static CONVEXT_INLINE void row_block(const Args& args, const Tiles<VT>& tiles, int64_t r, int64_t rows) {
    Place at{r, rows, 0};
    for (int64_t i = 0; i < tiles.count; ++i) {
      const int64_t vectors = tiles.vectors + (i < tiles.wider);
      narrow_tile<RT, VT>(args, at, vectors);
      at.j += vectors * kLanes;
    }
  }

  // All rows, RT at a time; few that are left over in half as many.
  template <int RT, int VT>
  static void all_rows(const Args& args, const Tiles<VT>& tiles) {
    int64_t r = 0;
    for (; r + RT <= args.rows; r += RT) row_block<RT, VT>(args, tiles, r, RT);
    if (const int64_t left = args.rows - r; left > RT / 2)
      row_block<RT, VT>(args, tiles, r, left);
    else if (left > 0)
      row_block<RT / 2, VT>(args, tiles, r, left);
  }

  // Narrow planes and many rows of taps take more rows at once.
  static void run(const Args& args) {
    const int64_t vectors = (args.columns + kLanes - 1) / kLanes;
    if (vectors == 1)
      all_rows<R * V>(args, Tiles<1>(vectors));
    else if (vectors == 2 || (args.groups > 0 && args.row_taps[0].count > 4))
      all_rows<R * V / 2>(args, Tiles<2>(vectors));
    else
      all_rows<R>(args, Tiles<V>(vectors));
  }

  static constexpr StencilRowsKernel<T> kernel() { return {Vec::kLanes, R, V, kRowTaps, run}; }
};

}  // namespace
