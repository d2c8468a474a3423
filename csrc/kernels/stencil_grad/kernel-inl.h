// The body of every stencil-gradient tile; stencil_grad.h has the contract.
//
// Register budget: KH * KW sums, and vectors of y and x. Where rows of y and rows of taps are equally far apart, a row
// of x that is read for one row of y and the row of taps kh serves the row before and kh + 1 too (a load that crosses a
// cache line counts twice):
//
//   Rows that one vector holds, of x and of y, are loaded once each, and the lanes of x moved for each column of taps,
//   zeros coming in: 3 x 3 on 14 x 14 takes 28 loads and 42 shuffles for 126 FMA (AVX-512 x1.6 to x1.7 against the
//   last way, 7 x 7 and 8 x 8 numbers with AVX2 x2.1 to x2.4).
//   Up to four vectors of columns go down all rows, KH vectors of y for each in registers: 4 loads for 9 FMA with 3 x 3
//   taps (AVX-512, 28 x 28 to 112 x 112 x1.2 to x1.4; AVX2, 14 x 14 to 32 x 32 x1.4 to x2.1).
//   R rows side by side take (R + KH - 1) * KW + R loads for R * KH * KW FMA, 22 for 36 with 3 x 3 taps.
//
// Elsewhere a row alone takes 10 loads for 9 FMA.
#pragma once

#include "kernels/stencil_grad/stencil_grad.h"

namespace {

using convext::kStencilGradRows;
using convext::StencilGradArgs;
using convext::StencilGradTiles;

template <typename Vec, int KH, int KW>
struct StencilGradTile {
  using T = typename Vec::T;
  using Mask = typename Vec::Mask;
  static constexpr int64_t kLanes = Vec::kLanes;
  static constexpr int kRows = KH == 1 ? 1 : kStencilGradRows;
  static_assert(KH * KW + kRows + 2 <= Vec::kRegisters, "the tile spills");

  template <int V>
  static CONVEXT_INLINE void ask(const T* p) {
    constexpr int kL2 = 2;  // __builtin_prefetch's locality
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) __builtin_prefetch(p + v * kLanes, 0, kL2);
  }

  // Every kStep-th number from p on; those inside the masks, one for each vector that is read.
  template <int kStep, bool kEdge>
  static CONVEXT_INLINE Vec load(const T* p, const Mask (&inside)[kStep]) {
    const auto part = [&](int i) __attribute__((always_inline)) {
      return kEdge ? Vec::load(p + i * kLanes, inside[i]) : Vec::load(p + i * kLanes);
    };
    if constexpr (kStep == 1)
      return part(0);
    else
      return Vec::even_lanes(part(0), part(1));
  }

  // R rows x `count` columns of y. x: the row `row` of the image, whose `column` is read by tap (0, 0).
  template <int R, int kStep, bool kEdge>
  static CONVEXT_INLINE void add_tile(Vec (&sum)[KH][KW], const StencilGradArgs<T>& args, const T* x, int64_t row,
                                      int64_t column, const T* y, int64_t count) {
    Vec pixel[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
      pixel[r] = kEdge ? Vec::load_tail(y + r * args.y_pitch, count) : Vec::load(y + r * args.y_pitch);
#pragma GCC unroll 16
    for (int kw = 0; kw < KW; ++kw) {
      const int64_t first = column + kw * args.dilation_w;
      Mask inside[kStep];
      if constexpr (kEdge) {
        const int64_t last = first + (count - 1) * kStep + 1, end = last < 0            ? 0
                                                                    : last < args.width ? last
                                                                                        : args.width;
        for (int i = 0; i < kStep; ++i) inside[i] = Vec::inside(first + i * kLanes, end);
      }
#pragma GCC unroll 8
      for (int i = 0; i < R + KH - 1; ++i) {
        if (kEdge && static_cast<uint64_t>(row + i * args.dilation_h) >= static_cast<uint64_t>(args.height)) continue;
        Vec v = load<kStep, kEdge>(x + i * args.dilation_h * args.width + first, inside);
        if constexpr (KH > 1) v.keep();
#pragma GCC unroll 4
        for (int kh = 0; kh < KH; ++kh)
          if (i - kh >= 0 && i - kh < R) sum[kh][kw] = Vec::fma(v, pixel[i - kh], sum[kh][kw]);
      }
    }
  }

  template <int R, int kStep, bool kAsks>
  static CONVEXT_INLINE void add_rows(Vec (&sum)[KH][KW], const StencilGradArgs<T>& args, const T* x, const T* y,
                                      int64_t r) {
    const int64_t row = args.row + r * args.step_h;
    const bool rows_inside = row >= 0 && row + (R + KH - 2) * args.dilation_h < args.height;
    const int64_t reach = (KW - 1) * args.dilation_w + kStep * kLanes;
    x += row * args.width, y += r * args.y_pitch;
    for (int64_t j = 0; j < args.columns; j += kLanes) {
      const int64_t column = args.column + j * kStep;
      if constexpr (kAsks)
#pragma GCC unroll 4
        for (int i = 0; i < R; ++i)
          ask<1>(x + i * args.width + column + args.x_ahead), ask<1>(y + i * args.y_pitch + j + args.y_ahead);
      if (rows_inside && column >= 0 && column + reach <= args.width && j + kLanes <= args.columns)
        add_tile<R, kStep, false>(sum, args, x, row, column, y + j, kLanes);
      else
        add_tile<R, kStep, true>(sum, args, x, row, column, y + j, lanes_of<Vec>(args.columns - j));
    }
  }

  template <int kStep, bool kAsks>
  static CONVEXT_INLINE void add_images(Vec (&sum)[KH][KW], const StencilGradArgs<T>& args) {
    for (int64_t n = 0; n < args.images; ++n) {
      const T *x = args.x + n * args.x_image, *y = args.y + n * args.y_image;
      int64_t r = 0;
      if (kStep == 1 && args.step_h == args.dilation_h)
        for (; r + kRows <= args.rows; r += kRows) add_rows<kRows, kStep, kAsks>(sum, args, x, y, r);
      for (; r < args.rows; ++r) add_rows<1, kStep, kAsks>(sum, args, x, y, r);
    }
  }

  // What a row of x, read by the first row of taps for row s of y, adds for the rows of taps with a row of y.
  template <bool kAll>
  static CONVEXT_INLINE void add_row(Vec (&sum)[KH][KW], const Vec& row, const typename Vec::Move (&move)[KW],
                                     const Vec (&pixel)[KH], int64_t s, int64_t rows) {
#pragma GCC unroll 16
    for (int kw = 0; kw < KW; ++kw) {
      Vec value = Vec::moved(row, move[kw]);
      value.keep();
#pragma GCC unroll 4
      for (int kh = 0; kh < KH; ++kh)
        if (kAll || (s >= kh && s - kh < rows)) sum[kh][kw] = Vec::fma(value, pixel[kh], sum[kh][kw]);
    }
  }

  // Rows of x and of y that a vector holds: each is loaded once, and those of x are moved for each column of taps.
  template <bool kAsks>
  static CONVEXT_INLINE void add_moving(Vec (&sum)[KH][KW], const StencilGradArgs<T>& args) {
    typename Vec::Move move[KW];
#pragma GCC unroll 16
    for (int kw = 0; kw < KW; ++kw) {
      const int64_t first = args.column + kw * args.dilation_w, last = first + args.columns;
      move[kw] = Vec::moving(first, last < 0 ? 0 : last < args.width ? last : args.width);
    }
    const Mask inside = Vec::inside(0, args.width);
    for (int64_t n = 0; n < args.images; ++n) {
      const T *x = args.x + n * args.x_image + args.row * args.width, *y = args.y + n * args.y_image;
      Vec pixel[KH];
#pragma GCC unroll 4
      for (int kh = 0; kh < KH; ++kh) pixel[kh] = Vec::zero();
      for (int64_t s = 0; s < args.rows + KH - 1; ++s, x += args.dilation_h * args.width, y += args.y_pitch) {
#pragma GCC unroll 4
        for (int kh = KH - 1; kh > 0; --kh) pixel[kh] = pixel[kh - 1];
        if constexpr (kAsks) ask<1>(x + args.x_ahead), ask<1>(y + args.y_ahead);
        if (s < args.rows) pixel[0] = Vec::load_tail(y, args.columns);
        if (static_cast<uint64_t>(args.row + s * args.dilation_h) >= static_cast<uint64_t>(args.height)) continue;
        const Vec row = Vec::load(x, inside);
        if (s >= KH - 1 && s < args.rows)
          add_row<true>(sum, row, move, pixel, s, args.rows);
        else
          add_row<false>(sum, row, move, pixel, s, args.rows);
      }
    }
  }

  // What the columns from x on, read by the first row of taps for row s of y, add for the rows of taps with a row of y.
  template <bool kAll, int V>
  static CONVEXT_INLINE void add_row_of_columns(Vec (&sum)[KH][KW], const T* x, int64_t dilation,
                                                const Mask (&inside)[V][KW], const Vec (&pixel)[KH][V], int64_t s,
                                                int64_t rows) {
#pragma GCC unroll 16
    for (int kw = 0; kw < KW; ++kw)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        Vec value = Vec::load(x + v * kLanes + kw * dilation, inside[v][kw]);
        value.keep();
#pragma GCC unroll 4
        for (int kh = 0; kh < KH; ++kh)
          if (kAll || (s >= kh && s - kh < rows)) sum[kh][kw] = Vec::fma(value, pixel[kh][v], sum[kh][kw]);
      }
  }

  // V vectors of columns from j on, down all rows. Those of y stay in registers while KH rows of taps meet them, so
  // that a number of x is loaded once for each column of taps.
  template <int V, bool kAsks>
  static void add_columns(Vec (&sum)[KH][KW], const StencilGradArgs<T>& args, int64_t j) {
    Mask met[V], inside[V][KW];
    for (int v = 0; v < V; ++v) {
      const int64_t count = lanes_of<Vec>(args.columns - j - v * kLanes);
      met[v] = Vec::inside(0, count);
      for (int kw = 0; kw < KW; ++kw) {
        const int64_t first = args.column + j + v * kLanes + kw * args.dilation_w, last = first + count;
        inside[v][kw] = Vec::inside(first, last < 0 ? 0 : last < args.width ? last : args.width);
      }
    }
    for (int64_t n = 0; n < args.images; ++n) {
      const T *x = args.x + n * args.x_image + args.row * args.width + args.column + j,
              *y = args.y + n * args.y_image + j;
      Vec pixel[KH][V];
#pragma GCC unroll 4
      for (int kh = 0; kh < KH; ++kh)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) pixel[kh][v] = Vec::zero();
      for (int64_t s = 0; s < args.rows + KH - 1; ++s, x += args.dilation_h * args.width, y += args.y_pitch) {
        if constexpr (kAsks) ask<V>(x + args.x_ahead), ask<V>(y + args.y_ahead);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
#pragma GCC unroll 4
          for (int kh = KH - 1; kh > 0; --kh) pixel[kh][v] = pixel[kh - 1][v];
          if (s < args.rows) pixel[0][v] = Vec::load(y + v * kLanes, met[v]);
        }
        if (static_cast<uint64_t>(args.row + s * args.dilation_h) >= static_cast<uint64_t>(args.height)) continue;
        if (s >= KH - 1 && s < args.rows)
          add_row_of_columns<true>(sum, x, args.dilation_w, inside, pixel, s, args.rows);
        else
          add_row_of_columns<false>(sum, x, args.dilation_w, inside, pixel, s, args.rows);
      }
    }
  }

  template <int V, bool kAsks>
  static CONVEXT_INLINE void add_some_columns(Vec (&sum)[KH][KW], const StencilGradArgs<T>& args, int64_t j,
                                              int64_t vectors) {
    if constexpr (V > 1)
      if (vectors < V) return add_some_columns<V - 1, kAsks>(sum, args, j, vectors);
    add_columns<V, kAsks>(sum, args, j);
  }

  // Where rows of taps share what they read. Long rows are not read in columns as narrow as AVX2's, half a cache line:
  // from L3 those of 56 are slower so (x0.6), those of 32 faster (x1.4).
  template <bool kAsks>
  static CONVEXT_INLINE void add_sharing(Vec (&sum)[KH][KW], const StencilGradArgs<T>& args) {
    constexpr int kFree = Vec::kFreeTail ? (Vec::kRegisters - KH * KW - 2) / KH : 1, kMost = kFree < 4 ? kFree : 4;
    constexpr int64_t kLongRow = 4;
    const int64_t vectors = (args.columns + kLanes - 1) / kLanes, blocks = (vectors + kMost - 1) / kMost,
                  most = blocks == 0 ? 0 : (vectors + blocks - 1) / blocks;
    if (vectors == 1 && args.width <= kLanes) return add_moving<kAsks>(sum, args);
    if (kMost == 1 && vectors > kLongRow) return add_images<1, kAsks>(sum, args);
    for (int64_t v = 0; v < vectors; v += most)
      add_some_columns<kMost, kAsks>(sum, args, v * kLanes, most < vectors - v ? most : vectors - v);
  }

  template <bool kAsks>
  static void add(Vec (&sum)[KH][KW], const StencilGradArgs<T>& args) {
    if (KH > 1 && args.step_w == 1 && args.step_h == args.dilation_h)
      add_sharing<kAsks>(sum, args);
    else if (args.step_w == 1)
      add_images<1, kAsks>(sum, args);
    else
      add_images<2, false>(sum, args);
  }

  static void run(const StencilGradArgs<T>& args) {
    Vec sum[KH][KW];
#pragma GCC unroll 4
    for (int kh = 0; kh < KH; ++kh)
#pragma GCC unroll 16
      for (int kw = 0; kw < KW; ++kw) sum[kh][kw] = Vec::zero();
    if (args.x_ahead != 0)
      add<true>(sum, args);
    else
      add<false>(sum, args);
    const LaneSums<Vec, KH * KW> total([&](int t) __attribute__((always_inline)) { return sum[t / KW][t % KW]; });
    for (int kh = 0; kh < KH; ++kh)
      for (int kw = 0; kw < KW; ++kw) args.sum[kh * args.sum_pitch + kw] += total[kh * KW + kw];
  }
};

// Fills the tiles KH x (1 .. KW).
template <typename Vec, int KH, int KW>
constexpr void add_tiles(StencilGradTiles<typename Vec::T>& tiles) {
  if (tiles.max_kw[KH - 1] < KW) tiles.max_kw[KH - 1] = KW;
  tiles.lanes = Vec::kLanes;
  tiles.fn[KH - 1][KW - 1] = StencilGradTile<Vec, KH, KW>::run;
  if constexpr (KW > 1) add_tiles<Vec, KH, KW - 1>(tiles);
}

}  // namespace
