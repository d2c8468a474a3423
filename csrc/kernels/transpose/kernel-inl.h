// The body of the transposes: squares of kLanes x kLanes in registers, masked at the edges.
//
// The network: log2(kLanes) rounds of pairwise exchange. In the round of distance d, rows i and i + d swap
// the blocks of d columns that lie off the diagonal (Eklundh 1972). kLanes * log2(kLanes) shuffles for
// kLanes^2 numbers: 4 shuffles for 16 floats, against 16 loads and stores one by one.
#pragma once

#include "kernels/transpose/transpose.h"

namespace {

template <typename Vec>
struct Transpose {
  using T = typename Vec::T;
  static constexpr int kSide = Vec::kLanes;

  template <int kDistance>
  static CONVEXT_INLINE void exchange(Vec (&x)[kSide]) {
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i)
      if ((i & kDistance) == 0) {
        const Vec a = x[i], b = x[i + kDistance];
        x[i] = Vec::template merge_low<kDistance>(a, b);
        x[i + kDistance] = Vec::template merge_high<kDistance>(a, b);
      }
    if constexpr (kDistance > 1) exchange<kDistance / 2>(x);
  }

  // to(i) is where column i goes.
  template <typename To>
  static CONVEXT_INLINE void square(const T* src, int64_t src_stride, int64_t rows, int64_t cols, const To& to) {
    Vec x[kSide];
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) x[i] = i < rows ? Vec::load_tail(src + i * src_stride, cols) : Vec::zero();
    exchange<kSide / 2>(x);
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i)
      if (i < cols) x[i].store_tail(to(i), rows);
  }

  template <typename To>
  static CONVEXT_INLINE void full_square(const T* src, int64_t src_stride, const To& to) {
    Vec x[kSide];
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) x[i] = Vec::load(src + i * src_stride);
    exchange<kSide / 2>(x);
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) x[i].store(to(i));
  }

  template <typename To>
  static CONVEXT_INLINE void squares(const T* src, int64_t src_stride, int64_t rows, int64_t cols, const To& to) {
    for (int64_t r = 0; r < rows; r += kSide)
      for (int64_t c = 0; c < cols; c += kSide) {
        const T* from = src + r * src_stride + c;
        const auto column = [&](int i) __attribute__((always_inline)) { return to(c + i) + r; };
        const int64_t rows_left = rows - r < kSide ? rows - r : kSide;
        const int64_t cols_left = cols - c < kSide ? cols - c : kSide;
        if (rows_left == kSide && cols_left == kSide)
          full_square(from, src_stride, column);
        else
          square(from, src_stride, rows_left, cols_left, column);
      }
  }

  static void block(const T* src, int64_t src_stride, int64_t rows, int64_t cols, T* dst, int64_t dst_stride) {
    squares(src, src_stride, rows, cols,
            [=](int64_t c) __attribute__((always_inline)) { return dst + c * dst_stride; });
  }

  static void scatter(const T* src, int64_t src_stride, int64_t rows, int64_t cols, T* dst, const int64_t* place) {
    squares(src, src_stride, rows, cols, [=](int64_t c) __attribute__((always_inline)) { return dst + place[c]; });
  }

  static constexpr convext::TransposeKernels<T> kernels() { return {block, scatter}; }
};

}  // namespace
