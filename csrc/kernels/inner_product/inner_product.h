// The inner-product micro-kernel: the lanes run along the sum. MR rows of A and NR rows of B are read
// together, vector by vector, and MR x NR vectors of partial sums stay in registers.
//
//   C[r * c_row + j * c_column]  (+)=  sum_{s < segments} sum_{i < length}  a[r][a_segments[s] + i] *
//   b[j][b_segments[s] + i]
//
// For weight gradients with few channels in a group (a, b: image rows; r: output channels; j: input channels
// and taps) and for products of vectors (images of one pixel). Each segment ends with a masked step.
//
// Memory: nothing needs alignment; exactly the numbers of the formula are read and written. C must not
// overlap A or B.
#pragma once

#include <stdint.h>

namespace convext {

template <typename T>
struct InnerProductArgs {
  const T* const* a;
  const T* const* b;
  const int64_t* a_segments;
  const int64_t* b_segments;
  int64_t segments, length;
  T* c;
  int64_t c_row, c_column;
  bool accumulate;
  const T* bias;  // null, or NR numbers that are added (one a column)
};

template <typename T>
using InnerProductFn = void (*)(const InnerProductArgs<T>&);

inline constexpr int kInnerProductMaxMr = 4;
inline constexpr int kInnerProductMaxNr = 14;

// fn[mr - 1][nr - 1]; every nr up to max_nr[mr - 1] exists.
template <typename T>
struct InnerProductTiles {
  int lanes;
  int max_nr[kInnerProductMaxMr];
  InnerProductFn<T> fn[kInnerProductMaxMr][kInnerProductMaxNr];
};

struct InnerProductTable {
  InnerProductTiles<float> f32;
  InnerProductTiles<double> f64;
};

extern const InnerProductTable kInnerProductScalar, kInnerProductAvx2, kInnerProductAvx512;

}  // namespace convext
