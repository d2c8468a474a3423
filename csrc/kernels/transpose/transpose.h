// Transposes a block,  r < rows, c < cols:
//
//   block      dst[c * dst_stride + r] = src[r * src_stride + c]
//   scatter    dst[place[c] + r] = src[r * src_stride + c]
//
// For packing weights and gradients, where the numbers that a kernel wants side by side lie a row apart.
// Exactly the numbers of the formula are read and written; nothing needs alignment; no overlap.
#pragma once

#include <stdint.h>

namespace convext {

template <typename T>
using TransposeFn = void (*)(const T* src, int64_t src_stride, int64_t rows, int64_t cols, T* dst, int64_t dst_stride);

template <typename T>
using TransposeScatterFn = void (*)(const T* src, int64_t src_stride, int64_t rows, int64_t cols, T* dst,
                                    const int64_t* place);

template <typename T>
struct TransposeKernels {
  TransposeFn<T> block;
  TransposeScatterFn<T> scatter;
};

struct TransposeTable {
  TransposeKernels<float> f32;
  TransposeKernels<double> f64;
};

extern const TransposeTable kTransposeScalar, kTransposeAvx2, kTransposeAvx512;

}  // namespace convext
