// The bodies of the pixel-stencil kernels; pixel_stencil.h has the contract.
//
// Register budget: R pixels of y, and of a run of taps their weights or sums, one pixel of x and
// an index that spreads one number of each group over its lanes.
#pragma once

#include "kernels/pixel_stencil/pixel_stencil.h"

namespace {

using convext::kPixelRunMax;
using convext::PixelCorrelateArgs;
using convext::PixelGradArgs;
using convext::PixelRun;
using convext::PixelStencilKernels;

template <typename Vec>
struct PixelStencil {
  using T = typename Vec::T;
  static constexpr int kLanes = Vec::kLanes;

  // What a lane reads of a pixel: its own number, number j of its group in the lanes, or of one that is wider. kOwn
  // reads it anew for each tap of a run, as GCC would have it, kOwnHeld once. (AVX-512, 3x3: images in the cache x1.15
  // to x1.3, those that come from memory x0.8 to x0.9.)
  enum class Read { kOwn, kOwnHeld, kOfLanes, kOfAll };
  static constexpr bool is_own(Read read) { return read == Read::kOwn || read == Read::kOwnHeld; }

  // Where padding is no wider than a run of taps, only so many pixels at either end of a tile's can lie outside.
  static constexpr int kEnd = kPixelRunMax - 1;
  template <int R, int N>
  static constexpr int64_t kMiddle = R + N - 1 > 2 * kEnd ? ((int64_t{1} << (R + N - 1 - 2 * kEnd)) - 1) << kEnd : 0;

  // Calls f(i, pixel) for the pixels that a run of N taps reads. kWhole: all lanes are in use, and all pixels but those
  // at the ends inside. (Masks in place of branches, or branches for all pixels, cost groups a third or a tenth of
  // their speed at edges.)
  template <int R, int N, bool kWhole, Read kRead, typename F>
  static CONVEXT_INLINE void each_pixel(const T* x, int64_t x_step, int64_t inside, int64_t channels, int64_t group,
                                        int64_t j, const F& f) {
    auto lanes = Vec::of_groups(static_cast<int>(group), static_cast<int>(j));
    lanes.keep();  // computed once
#pragma GCC unroll 32
    for (int i = 0; i < R + N - 1; ++i) {
      if (!(kWhole && (kMiddle<R, N> >> i & 1) != 0) && (inside >> i & 1) == 0) continue;
      if constexpr (kRead == Read::kOfAll) {
        f(i, Vec::broadcast(x[i * x_step + j]));
      } else {
        Vec pixel = kWhole ? Vec::load(x + i * x_step) : Vec::load_tail(x + i * x_step, channels);
        if constexpr (kRead == Read::kOwnHeld && N > 1) pixel.keep();
        f(i, is_own(kRead) ? pixel : Vec::permute(pixel, lanes));
      }
    }
  }

  template <int R, int N, bool kWhole, Read kRead>
  static CONVEXT_INLINE void add_run(Vec (&acc)[R], const PixelCorrelateArgs<T>& args, const PixelRun& run, const T* x,
                                     const T* weight, int64_t channels) {
    for (int64_t j = 0; j < (is_own(kRead) ? 1 : args.group); ++j, weight += kLanes) {
      Vec w[N];
#pragma GCC unroll 4
      for (int t = 0; t < N; ++t) w[t] = Vec::load(weight + t * args.tap_step);
      each_pixel<R, N, kWhole, kRead>(x, args.x_step, run.inside, channels, args.group, j,
                                      [&](int i, const Vec& pixel) __attribute__((always_inline)) {
#pragma GCC unroll 4
                                        for (int t = 0; t < N; ++t)
                                          if (i - t >= 0 && i - t < R) acc[i - t] = Vec::fma(w[t], pixel, acc[i - t]);
                                      });
    }
  }

  template <int R, int N, bool kWhole, Read kRead>
  static CONVEXT_INLINE void add_run(const Vec (&y)[R], const PixelGradArgs<T>& args, const PixelRun& run, const T* x,
                                     T* weight, int64_t channels) {
    for (int64_t j = 0; j < (is_own(kRead) ? 1 : args.group); ++j, weight += kLanes) {
      Vec sum[N];
#pragma GCC unroll 4
      for (int t = 0; t < N; ++t) sum[t] = Vec::zero();
      each_pixel<R, N, kWhole, kRead>(x, args.x_step, run.inside, channels, args.group, j,
                                      [&](int i, const Vec& pixel) __attribute__((always_inline)) {
#pragma GCC unroll 4
                                        for (int t = 0; t < N; ++t)
                                          if (i - t >= 0 && i - t < R) sum[t] = Vec::fma(y[i - t], pixel, sum[t]);
                                      });
#pragma GCC unroll 4
      for (int t = 0; t < N; ++t)
        Vec::add(Vec::load(weight + t * args.tap_step), sum[t]).store(weight + t * args.tap_step);
    }
  }

  template <int N, Read kRead, int R, typename V, typename Args, typename W>
  static CONVEXT_INLINE void add_taps(V (&pixels)[R], const Args& args, const PixelRun& run, const T* x, W* weight,
                                      int64_t channels) {
    if (channels == kLanes && (~run.inside & kMiddle<R, N>) == 0)
      add_run<R, N, true, kRead>(pixels, args, run, x + run.offset, weight + run.tap, channels);
    else
      add_run<R, N, false, kRead>(pixels, args, run, x + run.offset, weight + run.tap, channels);
  }

  // All runs of a lane group.
  template <Read kRead, int R, typename V, typename Args, typename W>
  static CONVEXT_INLINE void add_runs(V (&pixels)[R], const Args& args, const T* x, W* weight, int64_t channels) {
    static_assert(R + kPixelRunMax + 2 <= Vec::kRegisters, "the tile spills");
    static_assert(kPixelRunMax == 4);
    for (const PixelRun* run = args.runs; run < args.runs + args.run_count; ++run) switch (run->taps) {
        case 1:
          add_taps<1, kRead>(pixels, args, *run, x, weight, channels);
          break;
        case 2:
          add_taps<2, kRead>(pixels, args, *run, x, weight, channels);
          break;
        case 3:
          add_taps<3, kRead>(pixels, args, *run, x, weight, channels);
          break;
        default:
          add_taps<4, kRead>(pixels, args, *run, x, weight, channels);
      }
  }

  template <Read kRead, typename Args>
  static CONVEXT_INLINE const T* source(const Args& args, int64_t c) {
    return args.x + (kRead == Read::kOfAll ? c & -args.group : c);
  }

  template <int R, typename Args>
  static CONVEXT_INLINE void ask_for_next(const Args& args, int64_t c) {
    constexpr int kL2 = 2;  // __builtin_prefetch's locality
    if (args.next_x == nullptr) return;
#pragma GCC unroll 16
    for (int j = 0; j < R; ++j) __builtin_prefetch(args.next_x + c + j * args.x_step, 0, kL2);
    if (args.next_y == nullptr) return;
#pragma GCC unroll 16
    for (int j = 0; j < R; ++j) __builtin_prefetch(args.next_y + c + j * args.y_step, 0, kL2);
  }

  template <Read kRead, int R>
  static void correlate(const PixelCorrelateArgs<T>& args) {
    const T *weight = args.weight, *bias = args.bias;
    for (int64_t c = 0; c < args.channels; c += kLanes, weight += args.pitch, bias += args.pitch) {
      const int64_t channels = lanes_of<Vec>(args.channels - c);
      ask_for_next<R>(args, c);
      const Vec start = Vec::load(bias);
      Vec acc[R];
#pragma GCC unroll 16
      for (int j = 0; j < R; ++j) acc[j] = start;
      add_runs<kRead, R>(acc, args, source<kRead>(args, c), weight, channels);
      T* y = args.y + c;
      if (args.streams) {
#pragma GCC unroll 16
        for (int j = 0; j < R; ++j) acc[j].stream(y + j * args.y_step);
      } else if (channels == kLanes) {
#pragma GCC unroll 16
        for (int j = 0; j < R; ++j) acc[j].store(y + j * args.y_step);
      } else {
#pragma GCC unroll 16
        for (int j = 0; j < R; ++j) acc[j].store_tail(y + j * args.y_step, channels);
      }
    }
  }

  template <Read kRead, int R>
  static void weight_grad(const PixelGradArgs<T>& args) {
    T* weight = args.weight;
    T* bias = args.bias;
    for (int64_t c = 0; c < args.channels; c += kLanes, weight += args.pitch) {
      const int64_t channels = lanes_of<Vec>(args.channels - c);
      ask_for_next<R>(args, c);
      const T* from = args.y + c;
      Vec y[R];
      if (channels == kLanes) {
#pragma GCC unroll 16
        for (int j = 0; j < R; ++j) y[j] = Vec::load(from + j * args.y_step);
      } else {
#pragma GCC unroll 16
        for (int j = 0; j < R; ++j) y[j] = Vec::load_tail(from + j * args.y_step, channels);
      }
      add_runs<kRead, R>(y, args, source<kRead>(args, c), weight, channels);
      if (bias == nullptr) continue;
      Vec sum = y[0];
#pragma GCC unroll 16
      for (int j = 1; j < R; ++j) sum = Vec::add(sum, y[j]);
      Vec::add(Vec::load(bias), sum).store(bias);
      bias += args.pitch;
    }
  }

  template <int R>
  static constexpr void add_tiles(PixelStencilKernels<T>& kernels) {
    kernels.correlate[R - 1] = [](const PixelCorrelateArgs<T>& args) {
      (args.group == 1       ? args.next_x != nullptr ? correlate<Read::kOwn, R> : correlate<Read::kOwnHeld, R>
       : args.group < kLanes ? correlate<Read::kOfLanes, R>
                             : correlate<Read::kOfAll, R>)(args);
    };
    kernels.weight_grad[R - 1] = [](const PixelGradArgs<T>& args) {
      (args.group == 1       ? args.next_x != nullptr ? weight_grad<Read::kOwn, R> : weight_grad<Read::kOwnHeld, R>
       : args.group < kLanes ? weight_grad<Read::kOfLanes, R>
                             : weight_grad<Read::kOfAll, R>)(args);
    };
    if constexpr (R > 1) add_tiles<R - 1>(kernels);
  }

  // Runs of up to R pixels.
  template <int R>
  static constexpr PixelStencilKernels<T> kernels() {
    PixelStencilKernels<T> k;
    k.lanes = kLanes, k.max_run = R;
    add_tiles<R>(k);
    return k;
  }
};

}  // namespace
