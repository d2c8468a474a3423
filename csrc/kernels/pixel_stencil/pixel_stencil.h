// The pixel-stencil micro-kernels: depthwise convolution, and that of small groups, of images whose channels lie side
// by side, read and written in place. A call computes a few pixels of a row for all channels that it is given, lane
// group after lane group, so that memory is met in the order in which it lies.
//
// Taps come in runs: neighbours that read pixels x_step apart share them, so that R pixels read R + taps - 1. Bit i of
// `inside` says whether pixel i of those lies in the image; others count as zeros. G is the lane group of channel c.
//
//   correlate[R-1]     y[j * y_step + c]  =  bias[c + ...] + sum over the runs, t < taps
//                        weight[G * pitch + tap + t * tap_step + lane] * x[offset + (j + t) * x_step + c]      j < R
//   weight_grad[R-1]   weight[...]  +=  sum over j < R   y[j * y_step + c] * x[offset + (j + t) * x_step + c]
//                      bias[...]    +=  sum over j < R   y[j * y_step + c]
//
// With groups of several channels, `group` of x and as many of y, x[... + c] stands for all of c's group, and weight
// and x are summed over them: a tap's weights are [number in the group][lane]. The group is a power of two; if it has
// more channels than there are lanes, x and y begin with a group. No lane meets numbers of another group.
//
// bias is addressed like weight, bias[G * pitch + lane]; that of a gradient may be null.
//
// Memory: x and y are read and written at channels below `channels` and pixels inside only, weight and bias as whole
// vectors (their lanes past `channels` hold anything). Nothing needs alignment but y that `streams`. Nothing that is
// written overlaps.
#pragma once

#include <stdint.h>

namespace convext {

inline constexpr int kPixelStencilMaxRun = 14;  // pixels of a row in registers
inline constexpr int kPixelRunMax = 4;

struct PixelRun {
  int64_t offset;  // of the first tap
  int64_t tap;     // where its weights are
  int64_t taps;    // 1 to kPixelRunMax
  int64_t inside;
};

// T is const for what a kernel only reads.
template <typename T, typename Y, typename W>
struct PixelStencilArgs {
  const T* x;
  int64_t x_step;
  const PixelRun* runs;
  int64_t run_count, tap_step;
  W* weight;
  W* bias;
  int64_t pitch;
  Y* y;
  int64_t y_step, channels;
  int64_t group;
  // R pixels of a later call, x_step and y_step apart, which are asked for meanwhile; null if none, y's alone too.
  const T* next_x;
  const T* next_y;
  bool streams;  // correlate stores past the caches: y's pixels are whole cache lines, and a vector is one
};

template <typename T>
using PixelCorrelateArgs = PixelStencilArgs<T, T, const T>;
template <typename T>
using PixelGradArgs = PixelStencilArgs<T, const T, T>;

template <typename T>
struct PixelStencilKernels {
  int lanes = 0;
  int max_run = 0;
  void (*correlate[kPixelStencilMaxRun])(const PixelCorrelateArgs<T>&) = {};
  void (*weight_grad[kPixelStencilMaxRun])(const PixelGradArgs<T>&) = {};
};

struct PixelStencilTable {
  PixelStencilKernels<float> f32;
  PixelStencilKernels<double> f64;
};

extern const PixelStencilTable kPixelStencilScalar, kPixelStencilAvx2, kPixelStencilAvx512;

}  // namespace convext
