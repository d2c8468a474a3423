// Vectors for machines without AVX2: four plain numbers, which the compiler may or may not pack.
// Only the files of an instruction set include a header of simd/; everything is in an anonymous namespace,
// so that no code compiled with special flags can reach the rest of the library through a weak symbol.
#pragma once

#include <stdint.h>

namespace {

#define CONVEXT_INLINE inline __attribute__((always_inline))

template <typename Number>
struct ScalarVec {
  using T = Number;
  static constexpr int kLanes = 4;
  static constexpr int kBlockLanes = 4;  // of load_blocks: 128 bits, where lanes have a width
  static constexpr int kRegisters = 16;
  static constexpr bool kFreeTail = false;  // does a masked load cost no more than a plain one?
  T v[kLanes];

  static CONVEXT_INLINE ScalarVec broadcast(T value) { return {{value, value, value, value}}; }
  static CONVEXT_INLINE ScalarVec zero() { return broadcast(T(0)); }
  static CONVEXT_INLINE ScalarVec load(const T* p) { return {{p[0], p[1], p[2], p[3]}}; }
  // Lanes from n on are zero, and their memory is not touched.
  static CONVEXT_INLINE ScalarVec load_tail(const T* p, int64_t n) {
    ScalarVec x = zero();
    for (int64_t i = 0; i < n; ++i) x.v[i] = p[i];
    return x;
  }
  // Blocks of kBlockLanes lanes, from p, p + stride, ...: it costs no shuffle.
  static CONVEXT_INLINE ScalarVec load_blocks(const T* p, int64_t) { return load(p); }
  // Lanes outside [from, to) are zero, and their memory is not touched.
  static CONVEXT_INLINE ScalarVec load_range(const T* p, int64_t from, int64_t to) {
    ScalarVec x = zero();
    for (int64_t i = from; i < to; ++i) x.v[i] = p[i];
    return x;
  }
  // The lanes i with 0 <= first + i < end, as a mask for many loads. end >= 0, and what is compared fits 32 bits.
  struct Mask {
    int64_t first, end;
  };
  static CONVEXT_INLINE Mask inside(int64_t first, int64_t end) { return {first, end}; }
  static CONVEXT_INLINE ScalarVec load(const T* p, Mask lanes) {
    ScalarVec x = zero();
    for (int64_t i = 0; i < kLanes; ++i)
      if (lanes.first + i >= 0 && lanes.first + i < lanes.end) x.v[i] = p[i];
    return x;
  }
  CONVEXT_INLINE void store(T* p) const {
    for (int i = 0; i < kLanes; ++i) p[i] = v[i];
  }
  // Past the caches, where that is for the better (core/parallel.h has the fence). p is aligned to a vector.
  CONVEXT_INLINE void stream(T* p) const { store(p); }
  CONVEXT_INLINE void store_tail(T* p, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) p[i] = v[i];
  }
  // In a register from here on: GCC would rather load it again for each FMA.
  CONVEXT_INLINE void keep() {}
  static CONVEXT_INLINE ScalarVec add(ScalarVec a, ScalarVec b) {
    for (int i = 0; i < kLanes; ++i) a.v[i] += b.v[i];
    return a;
  }
  static CONVEXT_INLINE ScalarVec sub(ScalarVec a, ScalarVec b) {
    for (int i = 0; i < kLanes; ++i) a.v[i] -= b.v[i];
    return a;
  }
  static CONVEXT_INLINE ScalarVec mul(ScalarVec a, ScalarVec b) {
    for (int i = 0; i < kLanes; ++i) a.v[i] *= b.v[i];
    return a;
  }
  // a * b + c
  static CONVEXT_INLINE ScalarVec fma(ScalarVec a, ScalarVec b, ScalarVec c) {
    for (int i = 0; i < kLanes; ++i) c.v[i] += a.v[i] * b.v[i];
    return c;
  }
  // a * b - c
  static CONVEXT_INLINE ScalarVec fms(ScalarVec a, ScalarVec b, ScalarVec c) {
    for (int i = 0; i < kLanes; ++i) c.v[i] = a.v[i] * b.v[i] - c.v[i];
    return c;
  }
  // Of two rows of blocks of D lanes: a's even blocks and b's even blocks, alternating; and the odd ones.
  template <int D>
  static CONVEXT_INLINE ScalarVec merge_low(ScalarVec a, ScalarVec b) {
    for (int i = 0; i < kLanes; ++i)
      if (i & D) a.v[i] = b.v[i - D];
    return a;
  }
  template <int D>
  static CONVEXT_INLINE ScalarVec merge_high(ScalarVec a, ScalarVec b) {
    for (int i = 0; i < kLanes; ++i)
      if ((i & D) == 0) b.v[i] = a.v[i + D];
    return b;
  }
  // The lanes that permute takes.
  struct Lanes {
    int32_t size, j;
    CONVEXT_INLINE void keep() {}
  };
  // For lane i lane i - i % size + j; size is a power of two.
  static CONVEXT_INLINE Lanes of_groups(int32_t size, int32_t j) { return {size, j}; }
  static CONVEXT_INLINE ScalarVec permute(ScalarVec a, Lanes lanes) {
    ScalarVec b = a;
    for (int i = 0; i < kLanes; ++i) b.v[i] = a.v[(i & -lanes.size) + lanes.j];
    return b;
  }
  // A vector as a row of `end` numbers, moved so that lane 0 takes number `first`: zeros for those that are not in it.
  using Move = Mask;
  static CONVEXT_INLINE Move moving(int64_t first, int64_t end) { return {first, end}; }
  static CONVEXT_INLINE ScalarVec moved(ScalarVec a, Move move) {
    ScalarVec b = zero();
    for (int64_t i = 0; i < kLanes; ++i)
      if (const int64_t from = move.first + i; from >= 0 && from < move.end) b.v[i] = a.v[from];
    return b;
  }
  // a and b as one row of 2 * kLanes numbers: those at even places.
  static CONVEXT_INLINE ScalarVec even_lanes(ScalarVec a, ScalarVec b) { return {{a.v[0], a.v[2], b.v[0], b.v[2]}}; }
  static CONVEXT_INLINE ScalarVec odd_lanes(ScalarVec a, ScalarVec b) { return {{a.v[1], a.v[3], b.v[1], b.v[3]}}; }
  // a0 b0 a1 b1 ..., its first and its second half.
  static CONVEXT_INLINE ScalarVec zip_low(ScalarVec a, ScalarVec b) { return {{a.v[0], b.v[0], a.v[1], b.v[1]}}; }
  static CONVEXT_INLINE ScalarVec zip_high(ScalarVec a, ScalarVec b) { return {{a.v[2], b.v[2], a.v[3], b.v[3]}}; }
  CONVEXT_INLINE T sum() const { return (v[0] + v[2]) + (v[1] + v[3]); }
};

// Adds the lanes of a, in double, to lanes of `sum`.
template <typename Number>
CONVEXT_INLINE void add_wide(ScalarVec<double>& sum, ScalarVec<Number> a) {
  for (int i = 0; i < sum.kLanes; ++i) sum.v[i] += static_cast<double>(a.v[i]);
}

using F32 = ScalarVec<float>;
using F64 = ScalarVec<double>;

}  // namespace

// Of these vectors:
#include "simd/lane_sums.h"
#include "simd/row_ends.h"
#include "simd/squares.h"
