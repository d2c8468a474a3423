// The body of the row kernels; rows.h has the contract. A vector that sticks out of the row is loaded with a
// mask, so zeros come for free.
#pragma once

#include "kernels/rows/rows.h"

namespace {

using convext::CopyRowsArgs;
using convext::InterleaveRowsArgs;

template <typename Vec>
struct Rows {
  using T = typename Vec::T;
  static constexpr int64_t kLanes = Vec::kLanes;

  static CONVEXT_INLINE int64_t clamp(int64_t x) { return x < 0 ? 0 : x < kLanes ? x : kLanes; }

  // The numbers at p .. p + kLanes that lie in a row which begins at p - at.
  static CONVEXT_INLINE Vec load_window(const T* row, int64_t at, int64_t width) {
    if (at >= 0 && at + kLanes <= width) return Vec::load(row + at);
    return Vec::load_range(row + at, clamp(-at), clamp(width - at));
  }

  static CONVEXT_INLINE void store_window(const Vec& v, T* p, int64_t count) {
    if (count >= kLanes)
      v.store(p);
    else
      v.store_tail(p, count);
  }

  static void copy(const CopyRowsArgs<T>& a) {
    if (a.step == 1) {
      for (int64_t r = 0; r < a.rows; ++r)
        for (int64_t i = 0; i < a.count; i += kLanes)
          store_window(load_window(a.src + r * a.src_pitch, a.start + i, a.width), a.dst + r * a.dst_pitch + i,
                       a.count - i);
    } else if (a.step == 2) {
      for (int64_t r = 0; r < a.rows; ++r)
        for (int64_t i = 0; i < a.count; i += kLanes) {
          const T* row = a.src + r * a.src_pitch;
          const int64_t at = a.start + 2 * i;
          // The odd number behind the last one asked for may lie beyond the row: it is masked like the rest.
          const Vec low = load_window(row, at, a.width), high = load_window(row, at + kLanes, a.width);
          store_window(Vec::even_lanes(low, high), a.dst + r * a.dst_pitch + i, a.count - i);
        }
    } else {
      const int64_t before = a.start < 0 ? (-a.start + a.step - 1) / a.step : 0;
      const int64_t first = before < a.count ? before : a.count;
      const int64_t inside = a.start < a.width ? (a.width - a.start + a.step - 1) / a.step : 0;
      const int64_t last = inside < first ? first : inside < a.count ? inside : a.count;
      for (int64_t r = 0; r < a.rows; ++r) {
        T* dst = a.dst + r * a.dst_pitch;
        const T* src = a.src + r * a.src_pitch + a.start;
        for (int64_t i = 0; i < first; ++i) dst[i] = 0;
        for (int64_t i = first; i < last; ++i) dst[i] = src[i * a.step];
        for (int64_t i = last; i < a.count; ++i) dst[i] = 0;
      }
    }
  }

  static void interleave(const InterleaveRowsArgs<T>& a) {
    for (int64_t r = 0; r < a.rows; ++r) {
      T* dst = a.dst + r * a.dst_pitch;
      const T* src = a.src + r * a.src_pitch;
      if (a.phases == 1) {
        for (int64_t i = 0; i < a.count; i += kLanes) store_window(load_window(src, i, a.count), dst + i, a.count - i);
      } else if (a.phases == 2) {
        int64_t i = 0;
        for (; 2 * i + 2 * kLanes <= a.count; i += kLanes) {
          const Vec even = Vec::load(src + i), odd = Vec::load(src + a.src_phase + i);
          Vec::zip_low(even, odd).store(dst + 2 * i);
          Vec::zip_high(even, odd).store(dst + 2 * i + kLanes);
        }
        const int64_t left = a.count - 2 * i;
        if (left > 0) {
          const Vec even = Vec::load_tail(src + i, (left + 1) / 2),
                    odd = Vec::load_tail(src + a.src_phase + i, left / 2);
          store_window(Vec::zip_low(even, odd), dst + 2 * i, left);
          if (left > kLanes) store_window(Vec::zip_high(even, odd), dst + 2 * i + kLanes, left - kLanes);
        }
      } else {
        const int64_t whole = a.count / a.phases, rest = a.count % a.phases;
        for (int64_t p = 0; p < a.phases; ++p)
          for (int64_t i = 0; i < whole + (p < rest ? 1 : 0); ++i) dst[i * a.phases + p] = src[p * a.src_phase + i];
      }
    }
  }

  static double sum(const T* src, int64_t count) {
    F64 sums[4] = {F64::zero(), F64::zero(), F64::zero(), F64::zero()};
    int64_t i = 0;
    for (; i + 4 * kLanes <= count; i += 4 * kLanes)
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) add_wide(sums[v], Vec::load(src + i + v * kLanes));
    for (; i + kLanes <= count; i += kLanes) add_wide(sums[0], Vec::load(src + i));
    if (i < count) add_wide(sums[1], Vec::load_tail(src + i, count - i));
    return F64::add(F64::add(sums[0], sums[1]), F64::add(sums[2], sums[3])).sum();
  }
};

}  // namespace
