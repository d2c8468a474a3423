// The bodies of the channel-stencil kernels; channel_stencil.h has the contract.
//
// Register budgets: correlate holds R sums, the weights of a run of taps and one vector of x; weight_grad T
// sums and one pixel of y, x being a memory operand of the FMA. So correlate is bound by the FMA alone, and
// weight_grad, with T + 1 loads for T FMA, nearly so. (Without runs correlate took 15 % longer on 7 x 7 taps.)
#pragma once

#include "kernels/channel_stencil/channel_stencil.h"

namespace {

using convext::ChannelGradArgs;
using convext::ChannelSpreadArgs;
using convext::ChannelStencilArgs;
using convext::ChannelStencilKernels;
using convext::kTapRunMax;
using convext::RunRange;
using convext::TapRun;

template <typename Vec>
struct ChannelStencil {
  using T = typename Vec::T;
  static constexpr int kLanes = Vec::kLanes;

  template <bool kTail>
  static CONVEXT_INLINE Vec load(const T* p, int64_t channels) {
    return kTail ? Vec::load_tail(p, channels) : Vec::load(p);
  }

  template <bool kTail>
  static CONVEXT_INLINE void store(const Vec& v, T* p, int64_t channels) {
    if (kTail)
      v.store_tail(p, channels);
    else
      v.store(p);
  }

  template <int R, int N>
  static CONVEXT_INLINE void add_run(Vec (&acc)[R], const T* x, const T* weight) {
    Vec w[N];
#pragma GCC unroll 4
    for (int t = 0; t < N; ++t) w[t] = Vec::load(weight + t * kLanes);
#pragma GCC unroll 32
    for (int i = 0; i < R + N - 1; ++i) {
      const Vec pixel = Vec::load(x + i * kLanes);
#pragma GCC unroll 4
      for (int t = 0; t < N; ++t)
        if (i - t >= 0 && i - t < R) acc[i - t] = Vec::fma(w[t], pixel, acc[i - t]);
    }
  }

  template <int R>
  static void correlate(const ChannelStencilArgs<T>& args) {
    static_assert(R + kTapRunMax + 1 <= Vec::kRegisters, "the tile spills");
    static_assert(kTapRunMax == 4);
    const Vec bias = Vec::load(args.bias);
    for (int64_t r = 0; r < args.rows; ++r) {
      Vec acc[R];
#pragma GCC unroll 16
      for (int j = 0; j < R; ++j) acc[j] = bias;
      const T* x = args.x + r * args.x_pitch;
      const RunRange range = args.row_runs[r];
      const T* weight = args.weight + range.tap * kLanes;
      for (int64_t i = range.first; i < range.last; ++i) {
        const TapRun run = args.runs[i];
        switch (run.taps) {
          case 1:
            add_run<R, 1>(acc, x + run.offset, weight);
            break;
          case 2:
            add_run<R, 2>(acc, x + run.offset, weight);
            break;
          case 3:
            add_run<R, 3>(acc, x + run.offset, weight);
            break;
          default:
            add_run<R, 4>(acc, x + run.offset, weight);
        }
        weight += run.taps * kLanes;
      }
      T* y = args.y + r * args.y_pitch;
      if (args.channels == kLanes) {
#pragma GCC unroll 16
        for (int j = 0; j < R; ++j) acc[j].store(y + j * args.y_step);
      } else {
#pragma GCC unroll 16
        for (int j = 0; j < R; ++j) acc[j].store_tail(y + j * args.y_step, args.channels);
      }
    }
  }

  template <int N, bool kTail>
  static CONVEXT_INLINE void add_taps(const ChannelGradArgs<T>& args) {
    static_assert(N + 1 < Vec::kRegisters, "the tile spills");
    Vec acc[N];
#pragma GCC unroll 16
    for (int t = 0; t < N; ++t) acc[t] = Vec::zero();
    for (int64_t r = 0; r < args.rows; ++r) {
      const T* p[N];
#pragma GCC unroll 16
      for (int t = 0; t < N; ++t) p[t] = args.x + args.offset[t] + r * args.x_pitch;
      const T* y = args.y + r * args.y_pitch;
      for (int64_t j = 0; j < args.columns; ++j, y += args.y_step) {
        const Vec pixel = load<kTail>(y, args.channels);
#pragma GCC unroll 16
        for (int t = 0; t < N; ++t) acc[t] = Vec::fma(pixel, Vec::load(p[t] + j * kLanes), acc[t]);
      }
    }
    const Vec one = Vec::broadcast(T(1));
#pragma GCC unroll 16
    for (int t = 0; t < N; ++t) Vec::fma(acc[t], one, Vec::load(args.sum + t * kLanes)).store(args.sum + t * kLanes);
  }

  template <int N>
  static void weight_grad(const ChannelGradArgs<T>& args) {
    if (args.channels == kLanes)
      add_taps<N, false>(args);
    else
      add_taps<N, true>(args);
  }

  template <bool kTail>
  static CONVEXT_INLINE void add_pixels(const ChannelGradArgs<T>& args) {
    constexpr int kSums = 4;  // an FMA takes some four cycles
    const Vec one = Vec::broadcast(T(1));
    Vec acc[kSums] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
    for (int64_t r = 0; r < args.rows; ++r) {
      const T* y = args.y + r * args.y_pitch;
      int64_t j = 0;
      for (; j + kSums <= args.columns; j += kSums)
#pragma GCC unroll 4
        for (int s = 0; s < kSums; ++s)
          acc[s] = Vec::fma(load<kTail>(y + (j + s) * args.y_step, args.channels), one, acc[s]);
      for (; j < args.columns; ++j) acc[0] = Vec::fma(load<kTail>(y + j * args.y_step, args.channels), one, acc[0]);
    }
    const Vec sum = Vec::fma(Vec::fma(acc[0], one, acc[1]), one, Vec::fma(acc[2], one, acc[3]));
    Vec::fma(sum, one, Vec::load(args.sum)).store(args.sum);
  }

  static void bias_grad(const ChannelGradArgs<T>& args) {
    if (args.channels == kLanes)
      add_pixels<false>(args);
    else
      add_pixels<true>(args);
  }

  static void spread(const ChannelSpreadArgs<T>& args) {
    if (args.channels == kLanes)
      for (int64_t i = 0; i < args.columns; ++i) Vec::load(args.y + i * args.y_step).store(args.x + args.place[i]);
    else
      for (int64_t i = 0; i < args.columns; ++i)
        Vec::load_tail(args.y + i * args.y_step, args.channels).store(args.x + args.place[i]);
  }

  template <int R>
  static constexpr void add_runs(ChannelStencilKernels<T>& kernels) {
    kernels.correlate[R - 1] = correlate<R>;
    if constexpr (R > 1) add_runs<R - 1>(kernels);
  }

  template <int N>
  static constexpr void add_tap_counts(ChannelStencilKernels<T>& kernels) {
    kernels.weight_grad[N - 1] = weight_grad<N>;
    if constexpr (N > 1) add_tap_counts<N - 1>(kernels);
  }

  // Runs of up to R pixels, up to N taps at a time.
  template <int R, int N>
  static constexpr ChannelStencilKernels<T> kernels() {
    ChannelStencilKernels<T> k;
    k.lanes = kLanes, k.max_run = R, k.max_taps = N;
    add_runs<R>(k);
    add_tap_counts<N>(k);
    k.bias_grad = bias_grad;
    k.spread = spread;
    return k;
  }
};

}  // namespace
