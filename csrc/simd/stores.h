// Stores that end where a row does.
#pragma once

namespace {

// As many lanes as there is room for: `left` numbers, or none.
template <typename Vec>
CONVEXT_INLINE void store_left(const Vec& v, typename Vec::T* p, int64_t left) {
  if (left >= Vec::kLanes)
    v.store(p);
  else if (left > 0)
    v.store_tail(p, left);
}

// The lanes of both in turn, from those of `even` on.
template <typename Vec>
CONVEXT_INLINE void store_zipped(const Vec& even, const Vec& odd, typename Vec::T* p, int64_t left) {
  store_left(Vec::zip_low(even, odd), p, left);
  store_left(Vec::zip_high(even, odd), p + Vec::kLanes, left - Vec::kLanes);
}

}  // namespace
