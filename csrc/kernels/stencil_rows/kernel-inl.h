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
//
// A row that one vector holds is loaded once, and its lanes are moved for each column of taps, zeros coming in: of 3 x
// 3 taps on 14 x 14 numbers 14 loads and 42 shuffles for 126 FMA, where a load a column and row takes 42, most of which
// cross a cache line (and 16 accumulators take what 14 rows need: x1.24 with two threads, 5 x 5 x1.11, 7 x 7 x1.08).
//
// For a stride the even and the odd columns of x are told apart as they are loaded, once for two columns of taps and
// all rows of y: 3 x 3 taps of four rows take 36 loads and 27 shuffles for 36 FMA, one tap at a time 72 and 36.
#pragma once

#include "kernels/stencil_rows/stencil_rows.h"

namespace {

using convext::StencilRowsArgs;
using convext::StencilRowsKernel;
using convext::StencilRowTaps;

// P: args.spread, and the phases of y in both directions. S: args.stride, and the columns of taps that are summed at
// once. A tile has RT rows of y, and VT vectors of columns of x, of y for a stride.
template <typename Vec, int P, int S, int kRowTaps>
struct StencilRowTiles {
  using T = typename Vec::T;
  using Mask = typename Vec::Mask;
  using Args = StencilRowsArgs<T>;
  static constexpr int64_t kLanes = Vec::kLanes;

  // The first row of a tile of y, counted from args.above on, and its rows; its first column of x.
  struct Place {
    int64_t r, rows, j;
  };

  static constexpr int64_t rows_read(int64_t rows, int64_t taps) { return ((rows - 1) * S + taps) / P; }
  static CONVEXT_INLINE int64_t first_row(const Place& at) { return at.r * S / P; }

  // Of the rows of x that a tile reads, a bit for each that is inside.
  static CONVEXT_INLINE uint32_t rows_inside(const StencilRowTaps& taps, const Place& at) {
    const int64_t count = rows_read(at.rows, taps.count), first = taps.first - first_row(at),
                  last = taps.last - first_row(at);
    if (first >= count || last <= 0) return 0;
    const uint32_t until_last = (1u << (last < count ? last : count)) - 1;
    return until_last & ~((1u << (first > 0 ? first : 0)) - 1);
  }

  // Vector v of the rows of x that RT rows of y and N rows of taps read, for C columns of taps. At the edges: of the
  // rows with a bit, the lanes inside.
  template <int v, int RT, int VT, int C, int N, bool kEdge>
  static CONVEXT_INLINE void add_rows(Vec (&acc)[RT][VT], const Vec (&weight)[C][N], const T* x, int64_t pitch,
                                      uint32_t rows, const Mask (&inside)[S]) {
    constexpr int kRead = rows_read(RT, N);
#pragma GCC unroll 32
    for (int row = 0; row < kRead; ++row, x += pitch) {
      // One pointer that walks, and bits where they are: GCC would keep an offset and a bit for each row, and spill
      // them.
      asm("" : "+r"(x), "+r"(rows));
      if (kEdge && (rows & (1u << row)) == 0) continue;
      Vec value[S];
#pragma GCC unroll 2
      for (int i = 0; i < S; ++i) value[i] = kEdge ? Vec::load(x + i * kLanes, inside[i]) : Vec::load(x + i * kLanes);
      if constexpr (S > 1) {
        const Vec even = Vec::even_lanes(value[0], value[1]);
        if constexpr (C > 1) value[1] = Vec::odd_lanes(value[0], value[1]);
        value[0] = even;
      } else if constexpr (N > 1) {
        value[0].keep();
      }
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n)
        if (const int r = row * P + P - 1 - n; r >= 0 && r % S == 0 && r / S < RT)
#pragma GCC unroll 2
          for (int c = 0; c < C; ++c) acc[r / S][v] = Vec::fma(weight[c][n], value[c], acc[r / S][v]);
    }
  }

  // Vectors v, v + 1, ... for C columns of taps, which read `column` first. From columns below `whole` on all that is
  // read is inside.
  template <int v, int RT, int VT, int C, int N>
  static CONVEXT_INLINE void add_vectors(Vec (&acc)[RT][VT], const Vec (&weight)[C][N], const Args& args, const T* x,
                                         int64_t column, uint32_t rows, uint64_t whole) {
    Mask inside[S] = {};
    if (static_cast<uint64_t>(column) < whole) {
      add_rows<v, RT, VT, C, N, false>(acc, weight, x + column, args.x_pitch, rows, inside);
    } else {
      for (int i = 0; i < S; ++i) inside[i] = Vec::inside(column + i * kLanes, args.width);
      add_rows<v, RT, VT, C, N, true>(acc, weight, x + column, args.x_pitch, rows, inside);
    }
    if constexpr (v + 1 < VT) add_vectors<v + 1>(acc, weight, args, x, column + S * kLanes, rows, whole);
  }

  // C columns of N taps one above the other, the first of which reads x in `column`.
  template <int C, int N, int RT, int VT>
  static CONVEXT_INLINE void add_taps(Vec (&acc)[RT][VT], const Args& args, const T* x, const T* weights,
                                      int64_t column, uint32_t rows, uint64_t whole) {
    Vec weight[C][N];
#pragma GCC unroll 2
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) weight[c][n] = Vec::broadcast(weights[n * args.weight_h + c * args.weight_w]);
    add_vectors<0>(acc, weight, args, x, column, rows, whole);
  }

  // N taps one above the other, and those beside them: every P-th from `first` on, which reads x in the columns p of y.
  template <int p, int N, int RT, int VT>
  static CONVEXT_INLINE void add_columns(Vec (&acc)[RT][VT], const Args& args, const T* x, const T* weights,
                                         int64_t first, int64_t j, uint32_t rows, uint64_t whole) {
    if constexpr (P > 1) weights += first * args.weight_w;
    int64_t t = first;
    for (; t + S <= args.taps; t += P * S, weights += P * S * args.weight_w) {
      asm("" : "+r"(weights));  // no second loop for the case that weight_w is 1
      add_taps<S, N>(acc, args, x, weights, (args.column[t] + p) / P + j * S, rows, whole);
    }
    if constexpr (S > 1)
      if (t < args.taps) add_taps<1, N>(acc, args, x, weights, args.column[t] + j * S, rows, whole);
  }

  template <int N, int RT, int VT>
  static CONVEXT_INLINE void add(Vec (&acc)[P][RT][VT], const Args& args, const StencilRowTaps& taps, const Place& at) {
    if constexpr (N > 1)
      if (taps.count < N) return add<N - 1>(acc, args, taps, at);
    const uint32_t rows = rows_inside(taps, at);
    const bool all_rows = rows == (1u << rows_read(RT, N)) - 1;
    const uint64_t whole =
        all_rows && args.width >= S * kLanes ? static_cast<uint64_t>(args.width - S * kLanes + 1) : 0;
    const T *x = args.x + taps.offset + first_row(at) * args.x_pitch, *weights = args.weight + taps.weight;
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
    const int64_t pitch = args.y_pitch, above = args.above, first = at.r, count = at.rows;  // stores might change them
    const int64_t tail = args.columns - (at.j + (VT - 1) * kLanes) * P;  // what is left for the last vector of x
    T* y = args.y + (P == 1 ? first : first - above) * pitch + at.j * P;
#pragma GCC unroll 16
    for (int r = 0; r < RT; ++r, y += pitch) {
      if (r >= count) break;
      if (P > 1 && first + r < above) continue;
#pragma GCC unroll 4
      for (int v = 0; v < VT; ++v) {
        T* to = y + v * P * kLanes;
        const int64_t left = v < VT - 1 ? P * kLanes : tail;
        if constexpr (P == 1) {
          store_left(acc[0][r][v], to, left, args.streams);
        } else {
          store_zipped(acc[0][r][v], acc[1][r][v], to, left, args.streams);
        }
      }
    }
  }

  // K x K taps, of rows of x and y that a vector holds: each row of x is loaded once, and moved for each column of
  // taps. The weights of 3 x 3 stay in registers; of more they lie side by side, in the order of the taps or (kStep -1)
  // the other way round, and are operands in memory.
  template <int RT, int K, int kStep>
  static __attribute__((noinline)) void moving_tile(const Args& args, const Place& at) {
    const StencilRowTaps& taps = args.row_taps[0];
    const T* const weights = args.weight + taps.weight;
    Vec kept[K][K];
    typename Vec::Move move[K];
#pragma GCC unroll 8
    for (int t = 0; t < K; ++t) {
      move[t] = Vec::moving(args.column[t], args.width);
      if constexpr (K == 3)
#pragma GCC unroll 8
        for (int n = 0; n < K; ++n) {
          kept[n][t] = Vec::broadcast(weights[n * args.weight_h + t * args.weight_w]);
          kept[n][t].keep();
        }
    }
    Vec acc[RT];
#pragma GCC unroll 16
    for (int r = 0; r < RT; ++r) acc[r] = Vec::broadcast(args.bias);
    uint32_t rows = rows_inside(taps, at);
    const Mask inside = Vec::inside(0, args.width);
    const T* x = args.x + taps.offset + at.r * args.x_pitch;
#pragma GCC unroll 32
    for (int row = 0; row < RT + K - 1; ++row, x += args.x_pitch) {
      asm("" : "+r"(x), "+r"(rows));  // as in add_rows
      if ((rows & (1u << row)) == 0) continue;
      const Vec read = Vec::load(x, inside);
#pragma GCC unroll 8
      for (int t = 0; t < K; ++t) {
        Vec value = Vec::moved(read, move[t]);
        value.keep();
#pragma GCC unroll 8
        for (int n = 0; n < K; ++n)
          if (const int r = row - n; r >= 0 && r < RT) {
            const Vec weight = K == 3 ? kept[n][t] : Vec::broadcast(weights[kStep * (n * K + t)]);
            acc[r] = Vec::fma(weight, value, acc[r]);
          }
      }
    }
    const int64_t columns = args.columns, pitch = args.y_pitch, count = at.rows;  // stores might change args
    T* y = args.y + at.r * pitch;
#pragma GCC unroll 16
    for (int r = 0; r < RT; ++r, y += pitch) {
      if (r >= count) break;
      store_left(acc[r], y, columns);
    }
  }

  template <int RT, int K, int kStep = 1>
  static void moving_tiles(const Args& args) {
    if (K > 3 && kStep == 1 && args.weight_w < 0) return moving_tiles<RT, K, -1>(args);
    for (int64_t r = 0; r < args.rows; r += RT) {
      const int64_t rows = args.rows - r < RT ? args.rows - r : RT;
      moving_tile<RT, K, kStep>(args, {r, rows, 0});
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

  // Such tiles are no stream that the hardware follows; whole rows are (56 columns x0.85 to x0.93 if asked for).
  template <int RT>
  static CONVEXT_INLINE void ask_ahead(const Args& args, const Place& at, int64_t vectors) {
    constexpr int kL2 = 2;  // __builtin_prefetch's locality
    constexpr int64_t kLine = 64 / sizeof(T);
    const T *x = args.x + args.row_taps[0].offset + first_row(at) * args.x_pitch + at.j * S + args.ahead,
            *y = args.y + at.r * args.y_pitch + at.j * P + args.ahead;
    for (int64_t r = 0; r < rows_read(RT, P); ++r, x += args.x_pitch)
      for (int64_t i = 0; i < vectors * S * kLanes; i += kLine) __builtin_prefetch(x + i, 0, kL2);
    if (args.streams) return;
    for (int64_t r = 0; r < RT; ++r, y += args.y_pitch)
      for (int64_t i = 0; i < vectors * P * kLanes; i += kLine) __builtin_prefetch(y + i, 0, kL2);
  }

  template <int RT, int VT>
  static CONVEXT_INLINE void row_block(const Args& args, const Tiles<VT>& tiles, int64_t r, int64_t rows) {
    Place at{r, rows, 0};
    for (int64_t i = 0; i < tiles.count; ++i) {
      const int64_t vectors = tiles.vectors + (i < tiles.wider);
      if (args.ahead != 0 && tiles.count > 1) ask_ahead<RT>(args, at, vectors);
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
  // Two columns of weights; two vectors of x and the two that tell their columns apart.
  static constexpr int kStridedRowTaps = (Vec::kRegisters - R * V - 4) / 2;
  static_assert(R * V + kRowTaps + 2 <= Vec::kRegisters && kStridedRowTaps >= 1, "the tile spills");

  // 16 registers do not hold the weights of 3 x 3 besides (AVX2, rows of 7 and 8: x0.96, x1.03).
  static constexpr bool kMoves = Vec::kRegisters >= 32;

  // K of K x K taps that moving_tiles takes; 0 of others.
  static int64_t moving_taps(const Args& args) {
    const int64_t k = args.taps;
    const bool square = args.groups == 1 && args.row_taps[0].count == k && args.width <= Vec::kLanes,
               in_order = args.weight_w * args.weight_w == 1 && args.weight_h == k * args.weight_w;
    return square && (k == 3 || in_order) ? k : 0;
  }

  // Narrow planes and many rows of taps take more rows at once.
  static void run(const Args& args) {
    using Tiles = StencilRowTiles<Vec, 1, 1, kRowTaps>;
    using SpreadTiles = StencilRowTiles<Vec, 2, 1, kRowTaps>;
    using StridedTiles = StencilRowTiles<Vec, 1, 2, kStridedRowTaps>;
    const int64_t columns = args.spread * Vec::kLanes, vectors = (args.columns + columns - 1) / columns;
    if (args.stride == 2 && vectors > 2)
      StridedTiles::template all_rows<R, V>(args, vectors);
    else if (args.stride == 2)
      StridedTiles::template all_rows<R * V / 2, 2>(args, vectors);
    else if (args.spread == 2 && vectors > 2)
      SpreadTiles::template all_rows<R, V / 2>(args, vectors);
    else if (args.spread == 2)
      SpreadTiles::template all_rows<R * V / 2, 1>(args, vectors);
    else if (vectors == 1 && kMoves && moving_taps(args) == 3)
      Tiles::template moving_tiles<R * V, 3>(args);
    else if (vectors == 1 && kMoves && moving_taps(args) == 5)
      Tiles::template moving_tiles<R * V, 5>(args);
    else if (vectors == 1 && kMoves && moving_taps(args) == 7)
      Tiles::template moving_tiles<R * V, 7>(args);
    else if (vectors == 1)
      Tiles::template all_rows<R * V, 1>(args, vectors);
    else if (vectors == 2 || (args.groups > 0 && args.row_taps[0].count > 4))
      Tiles::template all_rows<R * V / 2, 2>(args, vectors);
    else
      Tiles::template all_rows<R, V>(args, vectors);
  }

  static constexpr StencilRowsKernel<typename Vec::T> kernel() {
    return {Vec::kLanes, R, V, kRowTaps, kStridedRowTaps, run};
  }
};

}  // namespace
