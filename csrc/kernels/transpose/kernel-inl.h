// The body of the transposes; simd/squares.h has the network.
#pragma once

#include "kernels/transpose/transpose.h"

namespace {

template <typename Vec>
struct Transpose {
  using T = typename Vec::T;

  static void block(const T* src, int64_t src_stride, int64_t rows, int64_t cols, T* dst, int64_t dst_stride) {
    Squares<Vec>::transpose(src, src_stride, rows, cols,
                            [=](int64_t c) __attribute__((always_inline)) { return dst + c * dst_stride; });
  }

  static void scatter(const T* src, int64_t src_stride, int64_t rows, int64_t cols, T* dst, const int64_t* place) {
    Squares<Vec>::transpose(src, src_stride, rows, cols,
                            [=](int64_t c) __attribute__((always_inline)) { return dst + place[c]; });
  }

  static constexpr convext::TransposeKernels<T> kernels() { return {block, scatter}; }
};

}  // namespace
