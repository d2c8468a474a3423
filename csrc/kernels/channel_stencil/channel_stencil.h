// The channel-stencil micro-kernels: depthwise convolution with channels in the lanes. A vector holds one
// pixel of kLanes channels, so neither narrow planes nor strides leave lanes idle, and no sum crosses lanes.
//
// A panel is an array of such vectors; a tap is an offset into it. c below is a channel, c < channels.
// For correlate the taps come in runs of neighbours, offset[t + 1] = offset[t] + kLanes within a run: a vector
// of x then serves all taps of the run from a register.
//
//   correlate[R-1]      y[r * y_pitch + j * y_step + c]  =  bias[c] + sum over the taps t of row r
//                         weight[t * kLanes + c] * x[offset[t] + r * x_pitch + j * kLanes + c]      j < R
//   weight_grad[T-1]    sum[t * kLanes + c]  +=  sum over r < rows, j < columns
//                         y[r * y_pitch + j * y_step + c] * x[offset[t] + r * x_pitch + j * kLanes + c]    t < T
//   bias_grad           sum[c]  +=  sum over r < rows, j < columns   y[r * y_pitch + j * y_step + c]
//   spread              x[place[i] + c]  =  y[i * y_step + c]                                       i < columns
//
// Memory: y is read and written at c < channels only; of all else whole vectors are (those of x past
// `channels` hold anything). Nothing needs alignment, but x is worth it. Nothing that is written overlaps.
// Terms are added in their order, whatever the tile: first over j, then over r.
#pragma once

#include <stdint.h>

namespace convext {

inline constexpr int kChannelStencilMaxRun = 14;   // pixels of a row in registers
inline constexpr int kChannelStencilMaxTaps = 10;  // taps in registers: each has a pointer in a general register
inline constexpr int kTapRunMax = 4;

struct TapRun {
  int64_t offset, taps;  // of the first tap; 1 to kTapRunMax
};

// The runs [first, last) of a row; their weights begin with that of `tap`.
struct RunRange {
  int64_t first, last, tap;
};

template <typename T>
struct ChannelStencilArgs {
  const T* x;
  int64_t x_pitch;
  const TapRun* runs;
  const RunRange* row_runs;  // of each row
  const T* weight;
  const T* bias;
  T* y;
  int64_t y_pitch, y_step;
  int64_t rows, channels;
};

template <typename T>
struct ChannelGradArgs {
  const T* x;
  int64_t x_pitch;
  const int64_t* offset;
  const T* y;
  int64_t y_pitch, y_step;
  int64_t rows, columns, channels;
  T* sum;
};

template <typename T>
struct ChannelSpreadArgs {
  T* x;
  const int64_t* place;
  const T* y;
  int64_t y_step;
  int64_t columns, channels;
};

template <typename T>
struct ChannelStencilKernels {
  int lanes = 0;
  int max_run = 0;
  int max_taps = 0;
  void (*correlate[kChannelStencilMaxRun])(const ChannelStencilArgs<T>&) = {};
  void (*weight_grad[kChannelStencilMaxTaps])(const ChannelGradArgs<T>&) = {};
  void (*bias_grad)(const ChannelGradArgs<T>&) = nullptr;
  void (*spread)(const ChannelSpreadArgs<T>&) = nullptr;
};

struct ChannelStencilTable {
  ChannelStencilKernels<float> f32;
  ChannelStencilKernels<double> f64;
};

extern const ChannelStencilTable kChannelStencilScalar, kChannelStencilAvx2, kChannelStencilAvx512;

}  // namespace convext
