// The stencil micro-kernel: one plane of a depthwise convolution. Rows of the output stay in registers
// while all taps are summed; a tap is an offset into the (padded) input plane and a number.
//
//   y[r * y_pitch + j * y_step + p]  =  bias + sum_{t of taps[p]}  weight[t] * x[offset[t] + r * x_pitch + j * x_step]
//                                                          r < rows, p < y_step, j * y_step + p < columns
//
// where `column` is given, over the taps with 0 <= column[t] + j * x_step < width: rows of x that lie between other
// rows are read without a copy that has edges. x_step is 1 or 2; columns fit 31 bits. y_step is 1, or 2 for both column
// phases of an input gradient with stride 2: then x_step is 1, `column` is given, and nothing is accumulated.
//
// Memory: nothing needs alignment; of y exactly the numbers of the formula are written, of x none are read that are
// neither the formula's nor inside the width. y must not overlap x. Taps are summed in their order, whatever the tile.
#pragma once

#include <stdint.h>

namespace convext {

template <typename T>
struct StencilTaps {
  const int64_t* offset;
  const int64_t* column;  // of x, that j = 0 reads; or null
  const T* weight;
  int64_t count;
};

template <typename T>
struct StencilArgs {
  const T* x;
  int64_t x_pitch, x_step;
  int64_t width;  // of x
  StencilTaps<T> taps[2];
  T* y;
  int64_t y_pitch, y_step;
  int64_t rows, columns;
  T bias;
  bool accumulate;  // y holds earlier taps: add to it, and leave the bias out
};

template <typename T>
using StencilFn = void (*)(const StencilArgs<T>&);

// One kernel for each number type: it walks the plane with its tile of rows x vectors.
template <typename T>
struct StencilKernel {
  int lanes, rows, vectors;
  StencilFn<T> fn;
};

struct StencilTable {
  StencilKernel<float> f32;
  StencilKernel<double> f64;
};

extern const StencilTable kStencilScalar, kStencilAvx2, kStencilAvx512;

}  // namespace convext
