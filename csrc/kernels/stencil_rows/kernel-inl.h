// The body of the stencil_rows kernels; stencil_rows.h has the contract.
//
// Register budget: R * V accumulators, the weights of N <= kRowTaps taps one above the other, and a vector of x, which
// serves one row of y and tap n, the row above and tap n + 1, and so on: R rows take R + N - 1 loads for R * N FMA.
// Loads are what kernels of one tap at a time wait for: most cross a cache line, and count twice. Rows of the tile that
// y does not have cost little: most of what they would read lies below the image, and is left out.
//
// Of a spread x only the numbers are read: those of a row of x meet every second tap in a row of y, the others in the
// next. The even and the odd columns of y are summed apart, and zipped when they are stored, so that y is written in
// whole lines and each number of x is loaded once for all that it adds to in a column of taps.
#pragma once

#include "kernels/stencil_rows/stencil_rows.h"

namespace {

using convext::StencilRowsArgs;
using convext::StencilRowsKernel;
using convext::StencilRowTaps;

// P: args.spread, and the phases of y in both directions. A tile has RT rows of y, and VT vectors of columns of x.
template <typename Vec, int P, int kRowTaps>
struct StencilRowTiles {
  using T = typename Vec::T;
  using Mask = typename Vec::Mask;
  using Args = StencilRowsArgs<T>;
  static constexpr int64_t kLanes = Vec::kLanes;

  // The first row of a tile of y, counted from args.above on, and its rows; its first column of x.
  struct Place {
    int64_t r, rows, j;
  };

  static constexpr int64_t rows_read(int64_t rows, int64_t taps) { return (rows + taps - 1) / P; }

  // Of the rows of x that a tile reads, a bit for each that is inside.
  static CONVEXT_INLINE uint32_t rows_inside(const StencilRowTaps& taps, const Place& at) {
    const int64_t count = rows_read(at.rows, taps.count), first = taps.first - at.r / P, last = taps.last - at.r / P;
    if (first >= count || last <= 0) return 0;
    const uint32_t until_last = (1u << (last < count ? last : count)) - 1;
    return until_last & ~((1u << (first > 0 ? first : 0)) - 1);
  }

  // Vector v of the rows of x that RT rows of y and N rows of taps read. At the edges: of the rows with a bit, the
  // lanes inside.
  template <int v, int RT, int VT, int N, bool kEdge>
  static CONVEXT_INLINE void add_rows(Vec (&acc)[RT][VT], const Vec (&weight)[N], const T* x, int64_t pitch,
                                      uint32_t rows, Mask inside) {
    constexpr int kRead = rows_read(RT, N);
#pragma GCC unroll 32
    for (int row = 0; row < kRead; ++row, x += pitch) {
      asm("" : "+r"(x));  // one pointer that walks: GCC would keep an offset for each row, and spill them
      if (kEdge && (rows >> row & 1) == 0) continue;
      Vec value = kEdge ? Vec::load(x, inside) : Vec::load(x);
      if constexpr (N > 1) value.keep();
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n)
        if (const int r = row * P + P - 1 - n; r >= 0 && r < RT) acc[r][v] = Vec::fma(weight[n], value, acc[r][v]);
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

  // N taps one above the other, and those beside them: every P-th from `first` on, which reads x in the columns p of y.
  template <int p, int N, int RT, int VT>
  static CONVEXT_INLINE void add_columns(Vec (&acc)[RT][VT], const Args& args, const T* x, const T* weights,
                                         int64_t first, int64_t j, uint32_t rows, uint64_t whole) {
    if constexpr (P > 1) weights += first * args.weight_w;
    for (int64_t t = first; t < args.taps; t += P, weights += P * args.weight_w) {
      asm("" : "+r"(weights));  // no second loop for the case that weight_w is 1
      Vec weight[N];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) weight[n] = Vec::broadcast(weights[n * args.weight_h]);
      add_vectors<0>(acc, weight, args, x, (args.column[t] + p) / P + j, rows, whole);
    }
  }

  template <int N, int RT, int VT>
  static CONVEXT_INLINE void add(Vec (&acc)[P][RT][VT], const Args& args, const StencilRowTaps& taps, const Place& at) {
    if constexpr (N > 1)
      if (taps.count < N) return add<N - 1>(acc, args, taps, at);
    const uint32_t rows = rows_inside(taps, at);
    const bool all_rows = rows == (1u << rows_read(RT, N)) - 1;
    const uint64_t whole = all_rows && args.width >= kLanes ? static_cast<uint64_t>(args.width - kLanes + 1) : 0;
    const T *x = args.x + taps.offset + at.r / P * args.x_pitch, *weights = args.weight + taps.weight;
    const int64_t odd = P == 1 || args.taps == 0 ? 0 : args.column[0] & 1;
    add_columns<0, N>(acc[0], args, x, weights, odd, at.j, rows, whole);
    if constexpr (P > 1) add_columns<1, N>(acc[1], args, x, weights, 1 - odd, at.j, rows, whole);
  }

  template <int RT, int VT>
  static __attribute__((noinline)) void tile(const Args& args, const Place& at) {
    Vec acc[P][RT][VT];
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
      for (int r = 0; r < RT; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < VT; ++v) acc[p][r][v] = Vec::broadcast(args.bias);
    for (int64_t g = 0; g < args.groups; ++g) add<kRowTaps / P * P>(acc, args, args.row_taps[g], at);
    T* y = args.y + (P == 1 ? at.r : at.r - args.above) * args.y_pitch + at.j * P;
    const int64_t tail = args.columns - (at.j + (VT - 1) * kLanes) * P;  // what is left for the last vector of x
#pragma GCC unroll 16
    for (int r = 0; r < RT; ++r) {
      if (r >= at.rows || (P > 1 && at.r + r < args.above)) continue;
#pragma GCC unroll 4
      for (int v = 0; v < VT; ++v) {
        T* to = y + r * args.y_pitch + v * P * kLanes;
        const int64_t left = v < VT - 1 ? P * kLanes : tail;
        if constexpr (P == 1) {
          store_left(acc[0][r][v], to, left);
        } else {
          store_zipped(acc[0][r][v], acc[1][r][v], to, left);
        }
      }
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

  // All rows, RT at a time; few that are left over in half as many. `vectors`: of a row of x.
  template <int RT, int VT>
  static void all_rows(const Args& args, int64_t vectors) {
    static_assert(RT % P == 0);
    const Tiles<VT> tiles(vectors);
    const int64_t rows = args.above + args.rows;
    int64_t r = 0;
    for (; r + RT <= rows; r += RT) row_block<RT, VT>(args, tiles, r, RT);
    if (const int64_t left = rows - r; left > RT / 2 || (left > 0 && RT / 2 % P != 0))
      row_block<RT, VT>(args, tiles, r, left);
    else if constexpr (RT / 2 % P == 0)
      if (left > 0) row_block<RT / 2, VT>(args, tiles, r, left);
  }
};

template <typename Vec, int R, int V, int kRowTaps>
struct StencilRows {
  using Args = StencilRowsArgs<typename Vec::T>;
  static_assert(R * V + kRowTaps + 2 <= Vec::kRegisters, "the tile spills");

  // Narrow planes and many rows of taps take more rows at once.
  static void run(const Args& args) {
    using Tiles = StencilRowTiles<Vec, 1, kRowTaps>;
    using SpreadTiles = StencilRowTiles<Vec, 2, kRowTaps>;
    const int64_t columns = args.spread * Vec::kLanes, vectors = (args.columns + columns - 1) / columns;
    if (args.spread == 2 && vectors > 2)
      SpreadTiles::template all_rows<R, V / 2>(args, vectors);
    else if (args.spread == 2)
      SpreadTiles::template all_rows<R * V / 2, 1>(args, vectors);
    else if (vectors == 1)
      Tiles::template all_rows<R * V, 1>(args, vectors);
    else if (vectors == 2 || (args.groups > 0 && args.row_taps[0].count > 4))
      Tiles::template all_rows<R * V / 2, 2>(args, vectors);
    else
      Tiles::template all_rows<R, V>(args, vectors);
  }

  static constexpr StencilRowsKernel<typename Vec::T> kernel() { return {Vec::kLanes, R, V, kRowTaps, run}; }
};

}  // namespace
