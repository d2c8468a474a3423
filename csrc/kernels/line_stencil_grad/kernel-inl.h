// The body of the line-stencil-gradient kernels; line_stencil_grad.h has the contract.
//
// Register budget: the sums of two sets of kTaps taps, two vectors of y and one of x. The second set lies as far from
// the first as vectors lie apart (16 taps without dilation), so that a vector of x serves tap t with its own vector of
// y and tap t + 16 with the one before: 9 loads for 16 FMA, where a set alone takes 9 for 8 (and a load that crosses a
// cache line counts twice).
#pragma once

#include "kernels/line_stencil_grad/line_stencil_grad.h"

namespace {

using convext::LineStencilGradArgs;
using convext::LineStencilGradKernel;

template <typename Vec, int kTaps>
struct LineStencilGrad {
  using T = typename Vec::T;
  using Args = LineStencilGradArgs<T>;
  static constexpr int64_t kLanes = Vec::kLanes;
  static_assert(2 * kTaps + 3 <= Vec::kRegisters, "the tile spills");

  // Adds what the sets first .. last - 1 of NT taps make of vectors of x, the first of which begins in `column`, each
  // set with its own vector of y. At the edges: of the lanes inside of x, and below `count`.
  template <int first, int last, bool kEdge, int S, int NT>
  static CONVEXT_INLINE void add_vector(Vec (&sum)[S][NT], const Vec (&pixel)[S], const Args& args, const T* x,
                                        int64_t column, int64_t count) {
#pragma GCC unroll 16
    for (int t = 0; t < NT; ++t, x += args.dilation, column += args.dilation) {
      const int64_t end = column + count < args.width ? column + count : args.width;
      Vec value = kEdge ? Vec::load(x, Vec::inside(column, end < 0 ? 0 : end)) : Vec::load(x);
      if constexpr (last - first > 1) value.keep();  // GCC would load it for each
#pragma GCC unroll 2
      for (int s = first; s < last; ++s) sum[s][t] = Vec::fma(value, pixel[s], sum[s][t]);
    }
  }

  template <int first, int last, int S, int NT>
  static CONVEXT_INLINE void add(Vec (&sum)[S][NT], const Vec (&pixel)[S], const Args& args, const T* x,
                                 int64_t column) {
    if (column >= 0 && column + (NT - 1) * args.dilation + kLanes <= args.width)
      add_vector<first, last, false>(sum, pixel, args, x, column, kLanes);
    else
      add_vector<first, last, true>(sum, pixel, args, x, column, kLanes);
  }

  // A line of an image. The end of y that fills no vector shares nothing: what it masks of x, another set may read.
  template <int S, int NT>
  static CONVEXT_INLINE void add_line(Vec (&sum)[S][NT], const Args& args, const T* x, const T* y, int64_t column) {
    Vec pixel[S];
    const int64_t end = args.columns / kLanes * kLanes, tail = args.columns - end;
    if (end > 0) {
      pixel[0] = Vec::load(y);
      add<0, 1>(sum, pixel, args, x + column, column);
      for (int64_t j = kLanes; j < end; j += kLanes) {
        if constexpr (S > 1) pixel[1] = pixel[0];
        pixel[0] = Vec::load(y + j);
        add<0, S>(sum, pixel, args, x + column + j, column + j);
      }
      if constexpr (S > 1) {
        pixel[1] = pixel[0];
        add<1, 2>(sum, pixel, args, x + column + end, column + end);
      }
    }
    if (tail == 0) return;
#pragma GCC unroll 2
    for (int s = 0; s < S; ++s) pixel[s] = Vec::load_tail(y + end, tail);
    add_vector<0, 1, true>(sum, pixel, args, x + column + end, column + end, tail);
    if constexpr (S > 1)
      add_vector<1, 2, true>(sum, pixel, args, x + column + end + kLanes, column + end + kLanes, tail);
  }

  // The taps tap .. tap + NT - 1, and for S = 2 those `apart` taps further on, as many as there are.
  template <int S, int NT>
  static void tile(const Args& args, int64_t l, int64_t tap, int64_t apart) {
    Vec sum[S][NT];
#pragma GCC unroll 2
    for (int s = 0; s < S; ++s)
#pragma GCC unroll 16
      for (int t = 0; t < NT; ++t) sum[s][t] = Vec::zero();
    const T *x = args.x + l * args.x_pitch, *y = args.y + l * args.y_pitch;
    for (int64_t n = 0; n < args.images; ++n)
      add_line(sum, args, x + n * args.x_image, y + n * args.y_image, args.column + tap * args.dilation);
    const LaneSums<Vec, S * NT> total([&](int i) __attribute__((always_inline)) { return sum[i / NT][i % NT]; });
    T* to = args.sum + l * args.sum_pitch + tap;
    for (int64_t s = 0; s < S; ++s)
      for (int64_t t = 0; t < NT && tap + s * apart + t < args.taps; ++t)
        to[s * apart + t] += total[static_cast<int>(s * NT + t)];
  }

  // `taps` of a set from `tap` on, and those `apart` taps further on if there are any.
  template <int NT>
  static CONVEXT_INLINE void any_tile(const Args& args, int64_t l, int64_t tap, int64_t taps, int64_t apart) {
    if constexpr (NT > 1)
      if (taps < NT) return any_tile<NT - 1>(args, l, tap, taps, apart);
    if (tap + apart < args.taps)
      tile<2, NT>(args, l, tap, apart);
    else
      tile<1, NT>(args, l, tap, apart);
  }

  static void run(const Args& args) {
    // Sets of fewer taps than a tile's would share little.
    const int64_t vector = kLanes % args.dilation == 0 ? kLanes / args.dilation : 0,
                  apart = vector < kTaps ? args.taps : vector;
    for (int64_t l = 0; l < args.lines; ++l)
      for (int64_t first = 0; first < args.taps; first += 2 * apart) {
        const int64_t set = apart < args.taps - first ? apart : args.taps - first, tiles = (set + kTaps - 1) / kTaps,
                      most = (set + tiles - 1) / tiles;
        for (int64_t t = 0; t < set; t += most)
          any_tile<kTaps>(args, l, first + t, most < set - t ? most : set - t, apart);
      }
  }

  static constexpr LineStencilGradKernel<T> kernel() { return {Vec::kLanes, kTaps, run}; }
};

}  // namespace
