// Sums over the lanes of several vectors at once.
#pragma once

namespace {

// Of vector(0) .. vector(kCount - 1). They are merged in pairs, so that 16 vectors take 15 additions.
template <typename Vec, int kCount>
class LaneSums {
  using T = typename Vec::T;
  static constexpr int kLanes = Vec::kLanes;

 public:
  template <typename F>
  explicit CONVEXT_INLINE LaneSums(const F& vector) {
#pragma GCC unroll 8
    for (int first = 0; first < kCount; first += kLanes) {
      Vec v[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        if (first + i < kCount) v[i] = vector(first + i);
      merge<kLanes / 2>(v, kCount - first < kLanes ? kCount - first : kLanes).store(total_ + first);
    }
  }
  CONVEXT_INLINE T operator[](int i) const { return total_[i]; }

 private:
  // Of v[0] .. v[count - 1]: lane i of the result is the sum of the lanes of v[i].
  template <int D>
  static CONVEXT_INLINE Vec merge(Vec* v, int count) {
    if constexpr (D > 0) {
#pragma GCC unroll 16
      for (int i = 0; i < D; ++i)
        if (i < count) {
          const Vec other = i + D < count ? v[i + D] : Vec::zero();
          v[i] = Vec::add(Vec::template merge_low<D>(v[i], other), Vec::template merge_high<D>(v[i], other));
        }
      return merge<D / 2>(v, count < D ? count : D);
    }
    return v[0];
  }

  T total_[(kCount + kLanes - 1) / kLanes * kLanes];
};

}  // namespace
