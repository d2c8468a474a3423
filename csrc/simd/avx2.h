// AVX2 + FMA vectors: 8 floats or 4 doubles, 16 registers. See scalar.h for the rules of this folder.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace {

#define CONVEXT_INLINE inline __attribute__((always_inline))

// A window into this row, 8 - n words from its middle, has n words set and then zeros.
alignas(32) constexpr int32_t kTailMask32[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
alignas(32) constexpr int64_t kTailMask64[8] = {-1, -1, -1, -1, 0, 0, 0, 0};

struct F32 {
  using T = float;
  static constexpr int kLanes = 8;
  static constexpr int kBlockLanes = 4;
  static constexpr int kRegisters = 16;
  static constexpr bool kFreeTail = false;  // vmaskmov costs a second micro-operation
  __m256 v;

  static CONVEXT_INLINE __m256i mask(int64_t n) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kTailMask32 + 8 - n));
  }
  static CONVEXT_INLINE F32 broadcast(T value) { return {_mm256_set1_ps(value)}; }
  static CONVEXT_INLINE F32 zero() { return {_mm256_setzero_ps()}; }
  static CONVEXT_INLINE F32 load(const T* p) { return {_mm256_loadu_ps(p)}; }
  static CONVEXT_INLINE F32 load_tail(const T* p, int64_t n) { return {_mm256_maskload_ps(p, mask(n))}; }
  static CONVEXT_INLINE F32 load_blocks(const T* p, int64_t stride) {
    return {_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + stride), 1)};
  }
  using Mask = __m256i;
  static CONVEXT_INLINE Mask inside(int64_t first, int64_t end) {
    const __m256i at =
        _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(static_cast<int32_t>(first)));
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_setzero_si256(), at),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(end)), at));
  }
  static CONVEXT_INLINE F32 load(const T* p, Mask lanes) { return {_mm256_maskload_ps(p, lanes)}; }
  static CONVEXT_INLINE F32 load_range(const T* p, int64_t from, int64_t to) {
    return {_mm256_maskload_ps(p, _mm256_andnot_si256(mask(from), mask(to)))};
  }
  CONVEXT_INLINE void store(T* p) const { _mm256_storeu_ps(p, v); }
  CONVEXT_INLINE void stream(T* p) const { _mm256_stream_ps(p, v); }
  // In parts: AMD's processors take some 20 cycles for a masked store (Zen 4: 5.5 ns, these parts 2.4).
  CONVEXT_INLINE void store_tail(T* p, int64_t n) const {
    if (n >= kLanes) return store(p);
    __m128 part = _mm256_castps256_ps128(v);
    if ((n & 4) != 0) {
      _mm_storeu_ps(p, part);
      part = _mm256_extractf128_ps(v, 1), p += 4;
    }
    if ((n & 2) != 0) {
      _mm_storel_pi(reinterpret_cast<__m64*>(p), part);
      part = _mm_movehl_ps(part, part), p += 2;
    }
    if ((n & 1) != 0) _mm_store_ss(p, part);
  }
  CONVEXT_INLINE void keep() { asm("" : "+x"(v)); }
  static CONVEXT_INLINE F32 add(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
  static CONVEXT_INLINE F32 sub(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
  static CONVEXT_INLINE F32 mul(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
  static CONVEXT_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  static CONVEXT_INLINE F32 fms(F32 a, F32 b, F32 c) { return {_mm256_fmsub_ps(a.v, b.v, c.v)}; }
  // See scalar.h.
  template <int D>
  static CONVEXT_INLINE F32 merge_low(F32 a, F32 b) {
    if constexpr (D == 4) return {_mm256_permute2f128_ps(a.v, b.v, 0x20)};
    if constexpr (D == 2) return {_mm256_shuffle_ps(a.v, b.v, 0x44)};
    if constexpr (D == 1) return {_mm256_blend_ps(a.v, _mm256_moveldup_ps(b.v), 0xaa)};
  }
  template <int D>
  static CONVEXT_INLINE F32 merge_high(F32 a, F32 b) {
    if constexpr (D == 4) return {_mm256_permute2f128_ps(a.v, b.v, 0x31)};
    if constexpr (D == 2) return {_mm256_shuffle_ps(a.v, b.v, 0xee)};
    if constexpr (D == 1) return {_mm256_blend_ps(_mm256_movehdup_ps(a.v), b.v, 0xaa)};
  }
  struct Lanes {
    __m256i v;
    CONVEXT_INLINE void keep() { asm("" : "+x"(v)); }
  };
  static CONVEXT_INLINE Lanes of_groups(int32_t size, int32_t j) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_add_epi32(_mm256_and_si256(lane, _mm256_set1_epi32(-size)), _mm256_set1_epi32(j))};
  }
  static CONVEXT_INLINE F32 permute(F32 a, Lanes lanes) { return {_mm256_permutevar8x32_ps(a.v, lanes.v)}; }
  struct Move {
    Lanes lanes;
    Mask inside;
  };
  static CONVEXT_INLINE Move moving(int64_t first, int64_t end) {
    return {
        {_mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(static_cast<int32_t>(first)))},
        inside(first, end)};
  }
  static CONVEXT_INLINE F32 moved(F32 a, const Move& move) {
    return {_mm256_and_ps(permute(a, move.lanes).v, _mm256_castsi256_ps(move.inside))};
  }
  static CONVEXT_INLINE F32 even_lanes(F32 a, F32 b) {
    const __m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(a.v, b.v, 0x88));
    return {_mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8))};
  }
  static CONVEXT_INLINE F32 odd_lanes(F32 a, F32 b) {
    const __m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(a.v, b.v, 0xdd));
    return {_mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8))};
  }
  static CONVEXT_INLINE F32 zip_low(F32 a, F32 b) {
    return {_mm256_permute2f128_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v), 0x20)};
  }
  static CONVEXT_INLINE F32 zip_high(F32 a, F32 b) {
    return {_mm256_permute2f128_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v), 0x31)};
  }
  CONVEXT_INLINE T sum() const {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
};

struct F64 {
  using T = double;
  static constexpr int kLanes = 4;
  static constexpr int kBlockLanes = 2;
  static constexpr int kRegisters = 16;
  static constexpr bool kFreeTail = false;
  __m256d v;

  static CONVEXT_INLINE __m256i mask(int64_t n) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kTailMask64 + 4 - n));
  }
  static CONVEXT_INLINE F64 broadcast(T value) { return {_mm256_set1_pd(value)}; }
  static CONVEXT_INLINE F64 zero() { return {_mm256_setzero_pd()}; }
  static CONVEXT_INLINE F64 load(const T* p) { return {_mm256_loadu_pd(p)}; }
  static CONVEXT_INLINE F64 load_tail(const T* p, int64_t n) { return {_mm256_maskload_pd(p, mask(n))}; }
  static CONVEXT_INLINE F64 load_blocks(const T* p, int64_t stride) {
    return {_mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(p + stride), 1)};
  }
  using Mask = __m256i;
  static CONVEXT_INLINE Mask inside(int64_t first, int64_t end) {
    const __m256i at = _mm256_add_epi64(_mm256_set_epi64x(3, 2, 1, 0), _mm256_set1_epi64x(first));
    return _mm256_andnot_si256(_mm256_cmpgt_epi64(_mm256_setzero_si256(), at),
                               _mm256_cmpgt_epi64(_mm256_set1_epi64x(end), at));
  }
  static CONVEXT_INLINE F64 load(const T* p, Mask lanes) { return {_mm256_maskload_pd(p, lanes)}; }
  static CONVEXT_INLINE F64 load_range(const T* p, int64_t from, int64_t to) {
    return {_mm256_maskload_pd(p, _mm256_andnot_si256(mask(from), mask(to)))};
  }
  CONVEXT_INLINE void store(T* p) const { _mm256_storeu_pd(p, v); }
  CONVEXT_INLINE void stream(T* p) const { _mm256_stream_pd(p, v); }
  CONVEXT_INLINE void store_tail(T* p, int64_t n) const {
    if (n >= kLanes) return store(p);
    __m128d part = _mm256_castpd256_pd128(v);
    if ((n & 2) != 0) {
      _mm_storeu_pd(p, part);
      part = _mm256_extractf128_pd(v, 1), p += 2;
    }
    if ((n & 1) != 0) _mm_store_sd(p, part);
  }
  CONVEXT_INLINE void keep() { asm("" : "+x"(v)); }
  static CONVEXT_INLINE F64 add(F64 a, F64 b) { return {_mm256_add_pd(a.v, b.v)}; }
  static CONVEXT_INLINE F64 sub(F64 a, F64 b) { return {_mm256_sub_pd(a.v, b.v)}; }
  static CONVEXT_INLINE F64 mul(F64 a, F64 b) { return {_mm256_mul_pd(a.v, b.v)}; }
  static CONVEXT_INLINE F64 fma(F64 a, F64 b, F64 c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
  static CONVEXT_INLINE F64 fms(F64 a, F64 b, F64 c) { return {_mm256_fmsub_pd(a.v, b.v, c.v)}; }
  template <int D>
  static CONVEXT_INLINE F64 merge_low(F64 a, F64 b) {
    if constexpr (D == 2) return {_mm256_permute2f128_pd(a.v, b.v, 0x20)};
    if constexpr (D == 1) return {_mm256_unpacklo_pd(a.v, b.v)};
  }
  template <int D>
  static CONVEXT_INLINE F64 merge_high(F64 a, F64 b) {
    if constexpr (D == 2) return {_mm256_permute2f128_pd(a.v, b.v, 0x31)};
    if constexpr (D == 1) return {_mm256_unpackhi_pd(a.v, b.v)};
  }
  using Lanes = F32::Lanes;
  static CONVEXT_INLINE Lanes of_groups(int32_t size, int32_t j) {  // by halves of its numbers
    const __m256i half = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_add_epi32(_mm256_and_si256(half, _mm256_set1_epi32((-2 * size) | 1)), _mm256_set1_epi32(2 * j))};
  }
  static CONVEXT_INLINE F64 permute(F64 a, Lanes lanes) {
    return {_mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(a.v), lanes.v))};
  }
  using Move = F32::Move;
  static CONVEXT_INLINE Move moving(int64_t first, int64_t end) {
    return {F32::moving(2 * first, 0).lanes, inside(first, end)};
  }
  static CONVEXT_INLINE F64 moved(F64 a, const Move& move) {
    return {_mm256_and_pd(permute(a, move.lanes).v, _mm256_castsi256_pd(move.inside))};
  }
  static CONVEXT_INLINE F64 even_lanes(F64 a, F64 b) {
    return {_mm256_permute4x64_pd(_mm256_unpacklo_pd(a.v, b.v), 0xd8)};
  }
  static CONVEXT_INLINE F64 odd_lanes(F64 a, F64 b) {
    return {_mm256_permute4x64_pd(_mm256_unpackhi_pd(a.v, b.v), 0xd8)};
  }
  static CONVEXT_INLINE F64 zip_low(F64 a, F64 b) {
    return {_mm256_permute2f128_pd(_mm256_unpacklo_pd(a.v, b.v), _mm256_unpackhi_pd(a.v, b.v), 0x20)};
  }
  static CONVEXT_INLINE F64 zip_high(F64 a, F64 b) {
    return {_mm256_permute2f128_pd(_mm256_unpacklo_pd(a.v, b.v), _mm256_unpackhi_pd(a.v, b.v), 0x31)};
  }
  CONVEXT_INLINE T sum() const {
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
  }
};

// See scalar.h.
CONVEXT_INLINE void add_wide(F64& sum, F64 a) { sum = F64::add(sum, a); }
CONVEXT_INLINE void add_wide(F64& sum, F32 a) {
  sum.v = _mm256_add_pd(sum.v, _mm256_cvtps_pd(_mm256_castps256_ps128(a.v)));
  sum.v = _mm256_add_pd(sum.v, _mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1)));
}

}  // namespace

// Of these vectors:
#include "simd/lane_sums.h"
#include "simd/row_ends.h"
#include "simd/squares.h"
