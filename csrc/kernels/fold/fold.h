// The fold micro-kernel: planes that lie shifted to one another are added up, each as far as it goes.
//
//   y[r * y_pitch + j]  =  bias + sum over t < taps with tap[t].begin <= j < tap[t].end
//       x[tap[t].offset + r * x_pitch + j]
//
// for r < rows and j < columns. Memory: nothing needs alignment; exactly the numbers of the formula are read and
// written. y must not overlap x. Terms are added in the order of the taps.
#pragma once

#include <stdint.h>

namespace convext {

struct FoldTap {
  int64_t offset, begin, end;
};

template <typename T>
struct FoldArgs {
  const T* x;
  int64_t x_pitch;
  const FoldTap* tap;
  int64_t taps;
  T* y;
  int64_t y_pitch;
  int64_t rows, columns;
  T bias;
};

template <typename T>
using FoldFn = void (*)(const FoldArgs<T>&);

// One kernel for each number type: it walks the plane by so many vectors.
template <typename T>
struct FoldKernel {
  int lanes, vectors;
  FoldFn<T> fn;
};

struct FoldTable {
  FoldKernel<float> f32;
  FoldKernel<double> f64;
};

extern const FoldTable kFoldScalar, kFoldAvx2, kFoldAvx512;

}  // namespace convext
