// The line-stencil micro-kernel: rows of depthwise convolution along one axis, with stride 1, each with weights of its
// own.
//
//   y[l * y_pitch + j]  =  bias[l * bias_pitch] + sum over t < taps
//       weight[l * weight_pitch + t * weight_step] * x[l * x_pitch + column + t * dilation + j]
//
// for l < lines and j < columns; x is zero outside of 0 <= column + t * dilation + j < width; without bias where that
// is null. Columns fit 31 bits. An infinite weight times such a zero is NaN. Torch does either: oneDNN leaves most
// of these products out, torch's other kernels do not.
//
// Memory: nothing needs alignment; of x only numbers inside of the width are read, of y exactly those of the formula
// are written. y must not overlap x. The order of a sum follows from the taps, the dilation and Vec.
#pragma once

#include <stdint.h>

namespace convext {

template <typename T>
struct LineStencilArgs {
  const T* x;
  int64_t x_pitch, width;
  int64_t column, dilation, taps;
  const T* weight;
  int64_t weight_pitch, weight_step;
  const T* bias;
  int64_t bias_pitch;
  T* y;
  int64_t y_pitch;
  int64_t lines, columns;
};

template <typename T>
using LineStencilFn = void (*)(const LineStencilArgs<T>&);

// One kernel for each number type: it walks the rows with its tile of rows x vectors.
template <typename T>
struct LineStencilKernel {
  int lanes, rows, vectors;
  LineStencilFn<T> fn;
};

struct LineStencilTable {
  LineStencilKernel<float> f32;
  LineStencilKernel<double> f64;
};

extern const LineStencilTable kLineStencilScalar, kLineStencilAvx2, kLineStencilAvx512;

}  // namespace convext
