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

  // Undoes zip: of kStep vectors that lie side by side the even lanes come first, then the odd ones, round by round.
  template <int kStep>
  static CONVEXT_INLINE void unzip(Vec (&x)[kStep]) {
#pragma GCC unroll 4
    for (int round = 1; round < kStep; round *= 2) {
      Vec y[kStep];
#pragma GCC unroll 8
      for (int i = 0; i < kStep / 2; ++i) {
        y[i] = Vec::even_lanes(x[2 * i], x[2 * i + 1]);
        y[i + kStep / 2] = Vec::odd_lanes(x[2 * i], x[2 * i + 1]);
      }
#pragma GCC unroll 8
      for (int i = 0; i < kStep; ++i) x[i] = y[i];
    }
  }

  // Calls f(dst, src) for each row of each plane.
  template <typename F>
  static CONVEXT_INLINE void each_row(const CopyRowsArgs<T>& a, const F& f) {
    const int64_t rows = a.rows, src_pitch = a.src_pitch, dst_pitch = a.dst_pitch;
    for (int64_t k = 0; k < a.planes; ++k) {
      T* dst = a.dst + k * a.dst_plane;
      const T* src = a.src + k * a.src_plane;
      for (int64_t r = 0; r < rows; ++r, dst += dst_pitch, src += src_pitch) f(dst, src);
    }
  }

  // The vector of positions i .. i + kLanes of each phase, which meets the ends of the source or of the copy. each_row
  // calls f(dst, src) for some rows; the masks are made once for all of them.
  template <int kStep, typename EachRow>
  static CONVEXT_INLINE void copy_end(const CopyRowsArgs<T>& a, int64_t i, const EachRow& each_row) {
    const int64_t at = a.start + kStep * i, count = lanes_of<Vec>(a.count - i), phases = a.phases,
                  dst_phase = a.dst_phase;
    typename Vec::Mask inside[kStep];
#pragma GCC unroll 8
    for (int v = 0; v < kStep; ++v) {
      const int64_t before = lanes_of<Vec>(-at - v * kLanes);
      inside[v] = Vec::inside(-before, lanes_of<Vec>(a.width - at - v * kLanes) - before);
    }
    each_row([&](T* dst, const T* src) __attribute__((always_inline)) {
      Vec x[kStep];
#pragma GCC unroll 8
      for (int v = 0; v < kStep; ++v) x[v] = Vec::load(src + at + v * kLanes, inside[v]);
      unzip<kStep>(x);
#pragma GCC unroll 8
      for (int p = 0; p < kStep; ++p)
        if (p < phases) x[p].store_tail(dst + p * dst_phase + i, count);
    });
  }

  template <int kStep>
  static void copy_every(const CopyRowsArgs<T>& a) {
    if (a.count <= 2 * kLanes) {  // narrow rows go a vector of all rows at a time
      for (int64_t i = 0; i < a.count; i += kLanes)
        copy_end<kStep>(a, i, [&a](const auto& f) __attribute__((always_inline)) { each_row(a, f); });
      return;
    }
    const int64_t whole = a.start < 0 ? (-a.start + kStep - 1) / kStep : 0, inside = (a.width - a.start) / kStep,
                  last = inside < a.count ? inside : a.count;
    each_row(a, [&](T* dst, const T* src) __attribute__((always_inline)) {
      const auto row = [dst, src](const auto& f) __attribute__((always_inline)) { f(dst, src); };
      int64_t i = 0;
      for (; i < whole && i < a.count; i += kLanes) copy_end<kStep>(a, i, row);
      for (; i + kLanes <= last; i += kLanes) {
        Vec x[kStep];
#pragma GCC unroll 8
        for (int v = 0; v < kStep; ++v) x[v] = Vec::load(src + a.start + kStep * i + v * kLanes);
        unzip<kStep>(x);
#pragma GCC unroll 8
        for (int p = 0; p < kStep; ++p)
          if (p < a.phases) x[p].store(dst + p * a.dst_phase + i);
      }
      for (; i < a.count; i += kLanes) copy_end<kStep>(a, i, row);
    });
  }

  // One number after the other: positions [first, last) of each phase.
  static CONVEXT_INLINE void copy_numbers(const CopyRowsArgs<T>& a, T* dst, const T* src, int64_t first, int64_t last) {
    for (int64_t p = 0; p < a.phases; ++p) {
      const int64_t start = a.start + p;
      const int64_t before = start < 0 ? (-start + a.step - 1) / a.step : 0;
      const int64_t inside = start < a.width ? (a.width - start + a.step - 1) / a.step : 0;
      T* to = dst + p * a.dst_phase;
      int64_t i = first;
      for (; i < last && i < before; ++i) to[i] = 0;
      for (; i < last && i < inside; ++i) to[i] = src[start + i * a.step];
      for (; i < last; ++i) to[i] = 0;
    }
  }

  // Where all phases lie inside the row, kLanes positions of kLanes phases are a square to be transposed.
  static void copy_squares(const CopyRowsArgs<T>& a) {
    int64_t first = a.start < 0 ? (-a.start + a.step - 1) / a.step : 0;
    first = first < a.count ? first : a.count;
    const int64_t room = a.width - a.start - a.phases, inside = room < 0 ? 0 : room / a.step + 1;
    const int64_t last = inside < first ? first : inside < a.count ? inside : a.count;
    each_row(a, [&](T* dst, const T* src) __attribute__((always_inline)) {
      copy_numbers(a, dst, src, 0, first);
      Squares<Vec>::transpose(src + a.start + first * a.step, a.step, last - first, a.phases,
                              [&](int64_t p) __attribute__((always_inline)) { return dst + p * a.dst_phase + first; });
      copy_numbers(a, dst, src, last, a.count);
    });
  }

  static void copy(const CopyRowsArgs<T>& a) {
    if (a.step == 1) return copy_every<1>(a);
    if (a.step == 2) return copy_every<2>(a);
    if (a.step == 4) return copy_every<4>(a);
    if (a.step == 8 && a.phases > 1) return copy_every<8>(a);
    if (a.phases >= kLanes / 2) return copy_squares(a);
    each_row(a, [&](T* dst, const T* src) { copy_numbers(a, dst, src, 0, a.count); });
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

  // Row by row: what is written may be far from the caches. The masks of the last vectors are the same in all rows.
  template <int kPhases>
  static void interleave_phases(const InterleaveRowsArgs<T>& a) {
    const int64_t src_phase = a.src_phase, whole = a.count / (kPhases * kLanes) * kLanes,
                  left = a.count - kPhases * whole;
    int64_t loaded[kPhases], stored[kPhases];
#pragma GCC unroll 8
    for (int p = 0; p < kPhases; ++p) {
      loaded[p] = lanes_of<Vec>((left - p + kPhases - 1) / kPhases);
      stored[p] = lanes_of<Vec>(left - p * kLanes);
    }
    for (int64_t r = 0; r < a.rows; ++r) {
      T* dst = a.dst + r * a.dst_pitch;
      const T* src = a.src + r * a.src_pitch;
      Vec x[kPhases];
      for (int64_t i = 0; i < whole; i += kLanes, src += kLanes, dst += kPhases * kLanes) {
#pragma GCC unroll 8
        for (int p = 0; p < kPhases; ++p) x[p] = Vec::load(src + p * src_phase);
        zip<kPhases>(x);
#pragma GCC unroll 8
        for (int p = 0; p < kPhases; ++p) x[p].store(dst + p * kLanes);
      }
      if (left == 0) continue;
#pragma GCC unroll 8
      for (int p = 0; p < kPhases; ++p) x[p] = Vec::load_tail(src + p * src_phase, loaded[p]);
      zip<kPhases>(x);
#pragma GCC unroll 8
      for (int p = 0; p < kPhases; ++p) store_left(x[p], dst + p * kLanes, stored[p]);
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

  // Some steps of one part after the other, so that stores run on: a step after the other has as many streams of them
  // as there are parts, and cost more (1x1 input gradients of 7x7 images as a whole: x1.04 to x1.06).
  static void cut(const CutRowsArgs<T>& a) {
    constexpr int64_t kSteps = 64;
    const int64_t length = a.count / a.parts, longer = a.count % a.parts;
    for (int64_t begin = 0; begin < a.steps; begin += kSteps) {
      const int64_t end = begin + kSteps < a.steps ? begin + kSteps : a.steps;
      int64_t first = 0;
      for (int64_t p = 0; p < a.parts; ++p) {
        const int64_t size = length + (p < longer ? 1 : 0);
        T* part = a.dst + first * a.steps;
        for (int64_t i = 0; i < size; i += kLanes)
          for (int64_t k = begin; k < end; ++k)
            store_left(Vec::load_tail(a.src + a.offset[k] + first + i, lanes_of<Vec>(size - i)), part + k * size + i,
                       size - i);
        first += size;
      }
    }
  }

  static double sum(const T* src, int64_t count, int64_t rows, int64_t src_pitch) {
    F64 sums[4] = {F64::zero(), F64::zero(), F64::zero(), F64::zero()};
    for (int64_t r = 0; r < rows; ++r, src += src_pitch) {
      int64_t i = 0;
      for (; i + 4 * kLanes <= count; i += 4 * kLanes)
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) add_wide(sums[v], Vec::load(src + i + v * kLanes));
#pragma GCC unroll 3
      for (int v = 0; v < 3; ++v)
        if (i + kLanes <= count) add_wide(sums[v], Vec::load(src + i)), i += kLanes;
      if (i < count) add_wide(sums[3], Vec::load_tail(src + i, count - i));
    }
    return F64::add(F64::add(sums[0], sums[1]), F64::add(sums[2], sums[3])).sum();
  }

  static constexpr convext::RowKernels<T> kernels() { return {copy, interleave, cut, sum}; }
};

}  // namespace
