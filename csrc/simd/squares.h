// Transposes in registers: squares of kLanes x kLanes, masked at the edges.
//
// The network: log2(kLanes) rounds of pairwise exchange. In the round of distance d, rows i and i + d swap
// the blocks of d columns that lie off the diagonal (Eklundh 1972). Whole squares leave the rounds above
// d = kBlockLanes / 2 to loads of blocks, which need no shuffle: a third less time, shuffles being the limit.
#pragma once

namespace {

template <typename Vec>
struct Squares {
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
    constexpr int kBlock = Vec::kBlockLanes;
    Vec x[kSide];
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i)
      x[i] = Vec::load_blocks(src + i % kBlock * src_stride + i / kBlock * kBlock, kBlock * src_stride);
    exchange<kBlock / 2>(x);
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) x[i].store(to(i));
  }

  // The last square of a row or column of squares moves back to be whole, and repeats what overlaps.
  static CONVEXT_INLINE int64_t begin_square(int64_t i, int64_t size) {
    return size < kSide || i + kSide <= size ? i : size - kSide;
  }

  // Column c of the source, `rows` numbers, goes to to(c).
  template <typename To>
  static CONVEXT_INLINE void transpose(const T* src, int64_t src_stride, int64_t rows, int64_t cols, const To& to) {
    for (int64_t i = 0; i < rows; i += kSide)
      for (int64_t j = 0; j < cols; j += kSide) {
        const int64_t r = begin_square(i, rows), c = begin_square(j, cols);
        const auto column = [&](int k) __attribute__((always_inline)) { return to(c + k) + r; };
        if (rows >= kSide && cols >= kSide)
          full_square(src + r * src_stride + c, src_stride, column);
        else
          square(src + r * src_stride + c, src_stride, rows < kSide ? rows : kSide, cols < kSide ? cols : kSide,
                 column);
      }
  }
};

}  // namespace
