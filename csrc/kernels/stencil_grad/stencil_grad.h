// The stencil-gradient micro-kernels: the weight gradient of planes of a depthwise convolution. The sums of KH x KW
// taps stay in registers, the lanes run along a row of y, and images are read where they lie.
//
//   sum[kh * sum_pitch + kw]  +=  sum over n < images, r < rows, j < columns
//       y[n][r * y_pitch + j] * x[n][row + r * step_h + kh * dilation_h][column + j * step_w + kw * dilation_w]
//                                                                                      kh < KH, kw < KW
//
// x[n] and y[n] lie x_image and y_image apart; x[n] has height rows of width numbers, side by side. What lies outside
// of it is left out where the whole row does, and read as zero otherwise. step_w is 1 or 2; columns fit 31 bits.
//
// Memory: nothing needs alignment; of x only numbers inside are read, of y those of the formula. Terms are added in the
// lanes over images, rows and columns, and the lanes last, in an order that follows from the problem and Vec.
#pragma once

#include <stdint.h>

namespace convext {

template <typename T>
struct StencilGradArgs {
  const T* x;
  int64_t x_image, height, width;
  const T* y;
  int64_t y_image, y_pitch;
  int64_t images, rows, columns;
  int64_t row, column;  // of x, that tap (0, 0) reads for y's first number
  int64_t step_h, step_w, dilation_h, dilation_w;
  T* sum;
  int64_t sum_pitch;
  int64_t x_ahead, y_ahead;  // of a step of 1: what lies so many numbers behind is asked for; 0: nothing
};

template <typename T>
using StencilGradFn = void (*)(const StencilGradArgs<T>&);

inline constexpr int kStencilGradMaxKh = 3;
inline constexpr int kStencilGradMaxKw = 16;
inline constexpr int kStencilGradRows = 4;  // of y in registers, where several rows of taps share what is read of x

// fn[kh - 1][kw - 1]; every kw up to max_kw[kh - 1] exists.
template <typename T>
struct StencilGradTiles {
  int lanes;
  int max_kw[kStencilGradMaxKh];
  StencilGradFn<T> fn[kStencilGradMaxKh][kStencilGradMaxKw];
};

struct StencilGradTable {
  StencilGradTiles<float> f32;
  StencilGradTiles<double> f64;
};

extern const StencilGradTable kStencilGradScalar, kStencilGradAvx2, kStencilGradAvx512;

}  // namespace convext
