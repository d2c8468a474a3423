// The body of the line-stencil kernels; line_stencil.h has the contract.
//
// Register budget: R * V accumulators, the weights of R * N taps and a vector of x; short rows in tiles of 2R rows.
// Taps as far apart as vectors (16 without dilation) share what they read: a vector of x serves tap t of its own vector
// of y and tap t + 16 of the one before, so that V vectors take V + N - 1 loads for V * N FMA. Loads are what a tap at
// a time waits for: most cross a cache line, and count twice.
#pragma once

#include "kernels/line_stencil/line_stencil.h"

namespace {

using convext::LineStencilArgs;
using convext::LineStencilKernel;

template <typename Vec, int R, int V, int N>
struct LineStencil {
  using T = typename Vec::T;
  using Args = LineStencilArgs<T>;
  static constexpr int64_t kLanes = Vec::kLanes;
  static_assert(R * V + R * N + 2 <= Vec::kRegisters && 2 * R * (V / 3 + N) + 2 <= Vec::kRegisters, "the tile spills");

  // Where a tap of a tile begins to read, which of the row's columns that is, and its weight.
  struct Tap {
    const T *x, *weight;
    int64_t column;
    CONVEXT_INLINE void move(const Args& args, int64_t taps) {
      x += taps * args.dilation, column += taps * args.dilation, weight += taps * args.weight_step;
    }
  };

  // NT taps as far apart as vectors, of RT lines x VT vectors. At the edges vectors within the row are told from others
  // by a branch: few are not.
  template <int NT, int RT, int VT, bool kEdge>
  static CONVEXT_INLINE void add(Vec (&acc)[RT][VT], const Args& args, const Tap& tap, int64_t weights_apart,
                                 uint64_t whole) {
    Vec weight[RT][NT];
#pragma GCC unroll 8
    for (int r = 0; r < RT; ++r)
#pragma GCC unroll 4
      for (int n = 0; n < NT; ++n) weight[r][n] = Vec::broadcast(tap.weight[r * args.weight_pitch + n * weights_apart]);
#pragma GCC unroll 16
    for (int v = 0; v < VT + NT - 1; ++v) {
      const int64_t first = tap.column + v * kLanes;
      const bool inner = !kEdge || static_cast<uint64_t>(first) < whole;
      typename Vec::Mask inside{};
      if (!inner) inside = Vec::inside(first, args.width);
#pragma GCC unroll 8
      for (int r = 0; r < RT; ++r) {
        const T* x = tap.x + r * args.x_pitch + v * kLanes;
        Vec value = inner ? Vec::load(x) : Vec::load(x, inside);
        if constexpr (NT > 1) value.keep();
#pragma GCC unroll 4
        for (int n = 0; n < NT; ++n)
          if (v - n >= 0 && v - n < VT) acc[r][v - n] = Vec::fma(weight[r][n], value, acc[r][v - n]);
      }
    }
  }

  // The taps from `tap` on, `left` of them: the first `apart` take along those as far apart as vectors.
  template <int NT, int RT, int VT, bool kEdge>
  static CONVEXT_INLINE void add_all(Vec (&acc)[RT][VT], const Args& args, Tap& tap, int64_t left, int64_t apart,
                                     int64_t done, uint64_t whole) {
    const int64_t sharing = left - (NT - 1) * apart, end = sharing < apart ? sharing : apart;
    for (; done < end; ++done) {
      add<NT, RT, VT, kEdge>(acc, args, tap, apart * args.weight_step, whole);
      tap.move(args, 1);
    }
    if constexpr (NT > 1) add_all<NT - 1, RT, VT, kEdge>(acc, args, tap, left, apart, done, whole);
  }

  template <int RT, int VT, bool kEdge>
  static void tile(const Args& args, int64_t apart, int64_t l, int64_t j) {
    Vec acc[RT][VT];
#pragma GCC unroll 8
    for (int r = 0; r < RT; ++r) {
      const T bias = args.bias == nullptr ? T(0) : args.bias[(l + r) * args.bias_pitch];
#pragma GCC unroll 16
      for (int v = 0; v < VT; ++v) acc[r][v] = Vec::broadcast(bias);
    }
    const uint64_t whole = args.width < kLanes ? 0 : static_cast<uint64_t>(args.width - kLanes + 1);
    Tap tap{args.x + l * args.x_pitch + args.column + j, args.weight + l * args.weight_pitch, args.column + j};
    for (int64_t left = args.taps; left > 0; left -= N * apart) {
      add_all<N, RT, VT, kEdge>(acc, args, tap, left, apart, 0, whole);
      tap.move(args, (N - 1) * apart);
    }
    const int64_t tail = args.columns - j - (VT - 1) * kLanes;
#pragma GCC unroll 8
    for (int r = 0; r < RT; ++r) {
      T* y = args.y + (l + r) * args.y_pitch + j;
#pragma GCC unroll 16
      for (int v = 0; v < VT; ++v)
        if (v < VT - 1 || tail >= kLanes)
          acc[r][v].store(y + v * kLanes);
        else
          acc[r][v].store_tail(y + v * kLanes, tail);
    }
  }

  template <int RT, int VT>
  static CONVEXT_INLINE void any_tile(const Args& args, int64_t apart, int64_t l, int64_t j, int64_t vectors) {
    if constexpr (VT > 1)
      if (vectors < VT) return any_tile<RT, VT - 1>(args, apart, l, j, vectors);
    const int64_t first = args.column + j, last = first + (args.taps - 1) * args.dilation + VT * kLanes;
    if (first < 0 || last > args.width)
      tile<RT, VT, true>(args, apart, l, j);
    else
      tile<RT, VT, false>(args, apart, l, j);
  }

  // RT lines at a time, in tiles of at most VT vectors, as even as can be.
  template <int RT, int VT>
  static void all_lines(const Args& args, int64_t apart, int64_t row, int64_t l) {
    const int64_t tiles = (row + VT - 1) / VT, vectors = row / tiles, wider = row - vectors * tiles;
    for (; l + RT <= args.lines; l += RT) {
      int64_t j = 0;
      for (int64_t i = 0; i < tiles; ++i) {
        const int64_t count = vectors + (i < wider);
        any_tile<RT, VT>(args, apart, l, j, count);
        j += count * kLanes;
      }
    }
    if constexpr (RT > 1)
      if (l < args.lines) all_lines<RT / 2, VT>(args, apart, row, l);
  }

  // Short rows take more lines at once, long ones fewer: a processor brings one line near as it is read, not several in
  // turns.
  static void run(const Args& args) {
    const int64_t apart = kLanes % args.dilation == 0 ? kLanes / args.dilation : args.taps,
                  row = (args.columns + kLanes - 1) / kLanes;
    if (row <= V / 3)
      all_lines<2 * R, V / 3>(args, apart, row, 0);
    else if (row > 2 * V)
      all_lines<1, V>(args, apart, row, 0);
    else
      all_lines<R, V>(args, apart, row, 0);
  }

  static constexpr LineStencilKernel<T> kernel() { return {Vec::kLanes, R, V, run}; }
};

}  // namespace
