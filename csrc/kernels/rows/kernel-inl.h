// The body of the row kernels; rows.h has the contract. A vector that sticks out of the row is loaded with a
// mask, so zeros come for free.
#pragma once

#include "kernels/rows/rows.h"

namespace {

using convext::CopyRowsArgs;
using convext::CutRowsArgs;
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

  // The numbers row[at], row[at + kStep], ...; what lies outside the row is zero.
  template <int kStep>
  static CONVEXT_INLINE Vec load_every(const T* row, int64_t at, int64_t width) {
    if constexpr (kStep == 1)
      return load_window(row, at, width);
    else
      return Vec::even_lanes(load_every<kStep / 2>(row, at, width),
                             load_every<kStep / 2>(row, at + kStep / 2 * kLanes, width));
  }

  template <int kStep>
  static void copy_every(const CopyRowsArgs<T>& a) {
    for (int64_t r = 0; r < a.rows; ++r)
      for (int64_t i = 0; i < a.count; i += kLanes)
        store_window(load_every<kStep>(a.src + r * a.src_pitch, a.start + kStep * i, a.width),
                     a.dst + r * a.dst_pitch + i, a.count - i);
  }

  static void copy(const CopyRowsArgs<T>& a) {
    if (a.step == 1) return copy_every<1>(a);
    if (a.step == 2) return copy_every<2>(a);
    if (a.step == 4) return copy_every<4>(a);
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

  // Brings kPhases vectors into the order of the destination: first those a half apart are zipped.
  template <int kPhases>
  static CONVEXT_INLINE void zip(Vec (&x)[kPhases]) {
#pragma GCC unroll 4
    for (int round = 1; round < kPhases; round *= 2) {
      Vec y[kPhases];
#pragma GCC unroll 8
      for (int i = 0; i < kPhases / 2; ++i) {
        y[2 * i] = Vec::zip_low(x[i], x[i + kPhases / 2]);
        y[2 * i + 1] = Vec::zip_high(x[i], x[i + kPhases / 2]);
      }
#pragma GCC unroll 8
      for (int i = 0; i < kPhases; ++i) x[i] = y[i];
    }
  }

  template <int kPhases>
  static void interleave_phases(const InterleaveRowsArgs<T>& a) {
    for (int64_t r = 0; r < a.rows; ++r) {
      T* dst = a.dst + r * a.dst_pitch;
      const T* src = a.src + r * a.src_pitch;
      for (int64_t i = 0; kPhases * i < a.count; i += kLanes) {
        const int64_t left = a.count - kPhases * i;
        Vec x[kPhases];
#pragma GCC unroll 8
        for (int p = 0; p < kPhases; ++p)
          x[p] = Vec::load_tail(src + p * a.src_phase + i, clamp((left - p + kPhases - 1) / kPhases));
        zip<kPhases>(x);
#pragma GCC unroll 8
        for (int p = 0; p < kPhases; ++p)
          if (left > p * kLanes) store_window(x[p], dst + kPhases * i + p * kLanes, left - p * kLanes);
      }
    }
  }

  static void interleave(const InterleaveRowsArgs<T>& a) {
    if (a.phases == 1) return interleave_phases<1>(a);
    if (a.phases == 2) return interleave_phases<2>(a);
    if (a.phases == 4) return interleave_phases<4>(a);
    if (a.phases == 8) return interleave_phases<8>(a);
    const int64_t whole = a.count / a.phases, rest = a.count % a.phases;
    for (int64_t r = 0; r < a.rows; ++r)
      for (int64_t p = 0; p < a.phases; ++p)
        for (int64_t i = 0; i < whole + (p < rest ? 1 : 0); ++i)
          a.dst[r * a.dst_pitch + i * a.phases + p] = a.src[r * a.src_pitch + p * a.src_phase + i];
  }

  static void cut(const CutRowsArgs<T>& a) {
    const int64_t length = a.count / a.parts, longer = a.count % a.parts;
    for (int64_t k = 0; k < a.steps; ++k) {
      const T* src = a.src + a.offset[k];
      T* part = a.dst;
      for (int64_t p = 0; p < a.parts; ++p) {
        const int64_t size = length + (p < longer ? 1 : 0);
        for (int64_t i = 0; i < size; i += kLanes)
          store_window(Vec::load_tail(src + i, clamp(size - i)), part + k * size + i, size - i);
        src += size, part += a.steps * size;
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

  static constexpr convext::RowKernels<T> kernels() { return {copy, interleave, cut, sum}; }
};

}  // namespace
