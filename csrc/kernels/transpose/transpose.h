// Transposes a block: dst[c * dst_stride + r] = src[r * src_stride + c],  r < rows, c < cols.
//
// For packing weights and gradients, where the numbers that a kernel wants side by side lie a row apart.
// Exactly the numbers of the formula are read and written; nothing needs alignment; no overlap.
#pragma once

#include <stdint.h>

namespace convext {

template <typename T>
using TransposeFn = void (*)(const T* src, int64_t src_stride, int64_t rows, int64_t cols, T* dst, int64_t dst_stride);

struct TransposeTable {
  TransposeFn<float> f32;
  TransposeFn<double> f64;
};

extern const TransposeTable kTransposeScalar, kTransposeAvx2, kTransposeAvx512;

}  // namespace convext
