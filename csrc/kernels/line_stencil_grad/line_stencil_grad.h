// The line-stencil-gradient micro-kernel: the weight gradient of depthwise convolution along one axis, with stride 1.
//
//   sum[l * sum_pitch + t]  +=  sum over n < images, j < columns
//       y[n * y_image + l * y_pitch + j] * x[n * x_image + l * x_pitch + column + t * dilation + j]
//                                                                                      l < lines, t < taps
//
// x is read as zero outside of 0 <= column + t * dilation + j < width. Columns fit 31 bits.
//
// Memory: nothing needs alignment; of x only numbers inside of the width are read, of y those of the formula. Terms are
// added in the lanes over images and columns, and the lanes last, in an order that follows from the problem and Vec.
#pragma once

#include <stdint.h>

namespace convext {

template <typename T>
struct LineStencilGradArgs {
  const T* x;
  int64_t x_image, x_pitch, width;
  int64_t column, dilation, taps;
  const T* y;
  int64_t y_image, y_pitch;
  int64_t images, lines, columns;
  T* sum;
  int64_t sum_pitch;
};

template <typename T>
using LineStencilGradFn = void (*)(const LineStencilGradArgs<T>&);

// One kernel for each number type: it takes `taps` at a time, and those a vector further on.
template <typename T>
struct LineStencilGradKernel {
  int lanes, taps;
  LineStencilGradFn<T> fn;
};

struct LineStencilGradTable {
  LineStencilGradKernel<float> f32;
  LineStencilGradKernel<double> f64;
};

extern const LineStencilGradTable kLineStencilGradScalar, kLineStencilGradAvx2, kLineStencilGradAvx512;

}  // namespace convext
