// The stencil micro-kernel for rows that share what they read: one plane of a depthwise convolution with stride 1 or 2,
// or of its input gradient.
//
//   y[r * y_pitch + j]  =  bias + sum over g < groups, t < taps, i < row_taps[g].count
//       weight[row_taps[g].weight + t * weight_w + i * weight_h]
//     * x[row_taps[g].offset + (r + i) * x_pitch + column[t] + j]                    r < rows, j < columns
//
// over what is inside of x: rows with row_taps[g].first <= r + i < row_taps[g].last; columns with 0 <= column[t] + j <
// width, others are zeros. Columns fit 31 bits. That is `spread` 1 and `stride` 1, and `above` is 0.
//
// `stride` 2: 2 * r and 2 * j are in the places of r and j on the right; column[t] is column[0] + t.
//
// `spread` 2: the numbers of x are two apart in both directions, with zeros between. (r + i + above - 1) / 2 is in the
// place of r + i, and (column[t] + j) / 2 in that of column[t] + j, and the sum is over those that are whole. `above`
// is 0 or 1; column[t] is column[0] + t, and all row_taps[g].count but the last are even.
//
// Memory: nothing needs alignment but y that `streams`; of x only numbers inside are read, of y exactly those of the
// formula are written. y must not overlap x. Taps are summed in their order (g, t, i), those of a stride by (g, t / 2,
// i, t % 2), those of K x K taps on rows that a vector of AVX-512 holds by (i, t), whatever the tile.
#pragma once

#include <stdint.h>

namespace convext {

// Taps one above the other, x_pitch apart.
struct StencilRowTaps {
  int64_t offset, weight;  // of the first
  int64_t count;           // 1 to the kernel's row_taps, strided_row_taps
  int64_t first, last;
};

template <typename T>
struct StencilRowsArgs {
  const T* x;
  int64_t x_pitch, width;
  int64_t spread, stride;  // 1 or 2
  const StencilRowTaps* row_taps;
  int64_t groups;
  const int64_t* column;
  int64_t taps;
  const T* weight;
  int64_t weight_h, weight_w;
  T* y;
  int64_t y_pitch;
  int64_t rows, columns, above;
  T bias;
  bool streams;   // y is stored past the caches: its rows are whole cache lines
  int64_t ahead;  // rows in several tiles are asked for so many numbers ahead, in x, and in y if that is read; 0: not
};

template <typename T>
using StencilRowsFn = void (*)(const StencilRowsArgs<T>&);

// One kernel for each number type: it walks the plane with its tile of rows x vectors.
template <typename T>
struct StencilRowsKernel {
  int lanes, rows, vectors, row_taps, strided_row_taps;
  StencilRowsFn<T> fn;
};

struct StencilRowsTable {
  StencilRowsKernel<float> f32;
  StencilRowsKernel<double> f64;
};

extern const StencilRowsTable kStencilRowsScalar, kStencilRowsAvx2, kStencilRowsAvx512;

}  // namespace convext
