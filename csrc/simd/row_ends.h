// Where a row ends: how many lanes it fills, and stores that go no further.
#pragma once

namespace {

// How many lanes of a vector `left` numbers fill; none if it is negative.
template <typename Vec>
CONVEXT_INLINE int64_t lanes_of(int64_t left) {
  return left < 0 ? 0 : left < Vec::kLanes ? left : Vec::kLanes;
}

// As many lanes as there is room for: `left` numbers, or none.
template <typename Vec>
CONVEXT_INLINE void store_left(const Vec& v, typename Vec::T* p, int64_t left) {
  if (left >= Vec::kLanes)
    v.store(p);
  else if (left > 0)
    v.store_tail(p, left);
}

// The same, but whole vectors go past the caches if `streams`, and p is aligned to one.
template <typename Vec>
CONVEXT_INLINE void store_left(const Vec& v, typename Vec::T* p, int64_t left, bool streams) {
  if (streams && left >= Vec::kLanes)
    v.stream(p);
  else
    store_left(v, p, left);
}

// The lanes of both in turn, from those of `even` on.
template <typename Vec>
CONVEXT_INLINE void store_zipped(const Vec& even, const Vec& odd, typename Vec::T* p, int64_t left,
                                 bool streams = false) {
  store_left(Vec::zip_low(even, odd), p, left, streams);
  store_left(Vec::zip_high(even, odd), p + Vec::kLanes, left - Vec::kLanes, streams);
}

}  // namespace
