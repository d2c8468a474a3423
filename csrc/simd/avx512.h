// AVX-512 vectors: 16 floats or 8 doubles, 32 registers. See scalar.h for the rules of this folder.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace {

#define CONVEXT_INLINE inline __attribute__((always_inline))

struct F32 {
  using T = float;
  static constexpr int kLanes = 16;
  static constexpr int kBlockLanes = 4;
  static constexpr int kRegisters = 32;
  static constexpr bool kFreeTail = true;
  __m512 v;

  static CONVEXT_INLINE __mmask16 mask(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
  static CONVEXT_INLINE F32 broadcast(T value) { return {_mm512_set1_ps(value)}; }
  static CONVEXT_INLINE F32 zero() { return {_mm512_setzero_ps()}; }
  static CONVEXT_INLINE F32 load(const T* p) { return {_mm512_loadu_ps(p)}; }
  static CONVEXT_INLINE F32 load_tail(const T* p, int64_t n) { return {_mm512_maskz_loadu_ps(mask(n), p)}; }
  static CONVEXT_INLINE F32 load_blocks(const T* p, int64_t stride) {
    const __m512 low = _mm512_insertf32x4(_mm512_castps128_ps512(_mm_loadu_ps(p)), _mm_loadu_ps(p + stride), 1);
    return {
        _mm512_insertf32x4(_mm512_insertf32x4(low, _mm_loadu_ps(p + 2 * stride), 2), _mm_loadu_ps(p + 3 * stride), 3)};
  }
  using Mask = __mmask16;
  static CONVEXT_INLINE Mask inside(int64_t first, int64_t end) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_cmplt_epu32_mask(_mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int32_t>(first))),
                                   _mm512_set1_epi32(static_cast<int32_t>(end)));
  }
  static CONVEXT_INLINE F32 load(const T* p, Mask lanes) { return {_mm512_maskz_loadu_ps(lanes, p)}; }
  static CONVEXT_INLINE F32 load_range(const T* p, int64_t from, int64_t to) {
    return {_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask(to) & ~mask(from)), p)};
  }
  CONVEXT_INLINE void store(T* p) const { _mm512_storeu_ps(p, v); }
  CONVEXT_INLINE void stream(T* p) const { _mm512_stream_ps(p, v); }
  CONVEXT_INLINE void store_tail(T* p, int64_t n) const { _mm512_mask_storeu_ps(p, mask(n), v); }
  CONVEXT_INLINE void keep() { asm("" : "+v"(v)); }
  static CONVEXT_INLINE F32 add(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
  static CONVEXT_INLINE F32 sub(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
  static CONVEXT_INLINE F32 mul(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
  static CONVEXT_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  static CONVEXT_INLINE F32 fms(F32 a, F32 b, F32 c) { return {_mm512_fmsub_ps(a.v, b.v, c.v)}; }
  // See scalar.h. Within 128 bits by one plain shuffle each; farther by a two-source permute: an index of 16 or more
  // takes from b.
  template <int D>
  static CONVEXT_INLINE F32 merge_low(F32 a, F32 b) {
    if constexpr (D == 1) return {_mm512_mask_moveldup_ps(a.v, 0xaaaa, b.v)};
    if constexpr (D == 2) return {_mm512_shuffle_ps(a.v, b.v, 0x44)};
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __mmask16 odd = _mm512_test_epi32_mask(lane, _mm512_set1_epi32(D));
    return {_mm512_permutex2var_ps(a.v, _mm512_mask_add_epi32(lane, odd, lane, _mm512_set1_epi32(16 - D)), b.v)};
  }
  template <int D>
  static CONVEXT_INLINE F32 merge_high(F32 a, F32 b) {
    if constexpr (D == 1) return {_mm512_mask_movehdup_ps(b.v, 0x5555, a.v)};
    if constexpr (D == 2) return {_mm512_shuffle_ps(a.v, b.v, 0xee)};
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __mmask16 odd = _mm512_test_epi32_mask(lane, _mm512_set1_epi32(D));
    return {_mm512_permutex2var_ps(
        a.v, _mm512_mask_add_epi32(_mm512_add_epi32(lane, _mm512_set1_epi32(D)), odd, lane, _mm512_set1_epi32(16)),
        b.v)};
  }
  struct Lanes {
    __m512i v;
    CONVEXT_INLINE void keep() { asm("" : "+v"(v)); }
  };
  static CONVEXT_INLINE Lanes of_groups(int32_t size, int32_t j) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return {_mm512_add_epi32(_mm512_and_si512(lane, _mm512_set1_epi32(-size)), _mm512_set1_epi32(j))};
  }
  static CONVEXT_INLINE F32 permute(F32 a, Lanes lanes) { return {_mm512_permutexvar_ps(lanes.v, a.v)}; }
  struct Move {
    __m512i lanes;
    Mask inside;
  };
  static CONVEXT_INLINE Move moving(int64_t first, int64_t end) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return {_mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int32_t>(first))), inside(first, end)};
  }
  static CONVEXT_INLINE F32 moved(F32 a, const Move& move) {
    return {_mm512_maskz_permutexvar_ps(move.inside, move.lanes, a.v)};
  }
  static CONVEXT_INLINE F32 even_lanes(F32 a, F32 b) {
    const __m512i index = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return {_mm512_permutex2var_ps(a.v, index, b.v)};
  }
  static CONVEXT_INLINE F32 odd_lanes(F32 a, F32 b) {
    const __m512i index = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return {_mm512_permutex2var_ps(a.v, index, b.v)};
  }
  static CONVEXT_INLINE F32 zip_low(F32 a, F32 b) {
    const __m512i index = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return {_mm512_permutex2var_ps(a.v, index, b.v)};
  }
  static CONVEXT_INLINE F32 zip_high(F32 a, F32 b) {
    const __m512i index = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return {_mm512_permutex2var_ps(a.v, index, b.v)};
  }
  CONVEXT_INLINE T sum() const {  // (GCC 12 warns inside _mm512_reduce_add_ps)
    const __m512d d = _mm512_castps_pd(v);
    const __m256 half =
        _mm256_add_ps(_mm512_castps512_ps256(v), _mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(0xf, d, 1)));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
};

struct F64 {
  using T = double;
  static constexpr int kLanes = 8;
  static constexpr int kBlockLanes = 2;
  static constexpr int kRegisters = 32;
  static constexpr bool kFreeTail = true;
  __m512d v;

  static CONVEXT_INLINE __mmask8 mask(int64_t n) { return static_cast<__mmask8>((1u << n) - 1); }
  static CONVEXT_INLINE F64 broadcast(T value) { return {_mm512_set1_pd(value)}; }
  static CONVEXT_INLINE F64 zero() { return {_mm512_setzero_pd()}; }
  static CONVEXT_INLINE F64 load(const T* p) { return {_mm512_loadu_pd(p)}; }
  static CONVEXT_INLINE F64 load_tail(const T* p, int64_t n) { return {_mm512_maskz_loadu_pd(mask(n), p)}; }
  static CONVEXT_INLINE F64 load_blocks(const T* p, int64_t stride) {
    const __m512d low = _mm512_insertf64x2(_mm512_castpd128_pd512(_mm_loadu_pd(p)), _mm_loadu_pd(p + stride), 1);
    return {
        _mm512_insertf64x2(_mm512_insertf64x2(low, _mm_loadu_pd(p + 2 * stride), 2), _mm_loadu_pd(p + 3 * stride), 3)};
  }
  using Mask = __mmask8;
  static CONVEXT_INLINE Mask inside(int64_t first, int64_t end) {
    const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm512_cmplt_epu64_mask(_mm512_add_epi64(lane, _mm512_set1_epi64(first)), _mm512_set1_epi64(end));
  }
  static CONVEXT_INLINE F64 load(const T* p, Mask lanes) { return {_mm512_maskz_loadu_pd(lanes, p)}; }
  static CONVEXT_INLINE F64 load_range(const T* p, int64_t from, int64_t to) {
    return {_mm512_maskz_loadu_pd(static_cast<__mmask8>(mask(to) & ~mask(from)), p)};
  }
  CONVEXT_INLINE void store(T* p) const { _mm512_storeu_pd(p, v); }
  CONVEXT_INLINE void stream(T* p) const { _mm512_stream_pd(p, v); }
  CONVEXT_INLINE void store_tail(T* p, int64_t n) const { _mm512_mask_storeu_pd(p, mask(n), v); }
  CONVEXT_INLINE void keep() { asm("" : "+v"(v)); }
  static CONVEXT_INLINE F64 add(F64 a, F64 b) { return {_mm512_add_pd(a.v, b.v)}; }
  static CONVEXT_INLINE F64 sub(F64 a, F64 b) { return {_mm512_sub_pd(a.v, b.v)}; }
  static CONVEXT_INLINE F64 mul(F64 a, F64 b) { return {_mm512_mul_pd(a.v, b.v)}; }
  static CONVEXT_INLINE F64 fma(F64 a, F64 b, F64 c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
  static CONVEXT_INLINE F64 fms(F64 a, F64 b, F64 c) { return {_mm512_fmsub_pd(a.v, b.v, c.v)}; }
  template <int D>
  static CONVEXT_INLINE F64 merge_low(F64 a, F64 b) {
    if constexpr (D == 1) return {_mm512_unpacklo_pd(a.v, b.v)};
    const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    const __mmask8 odd = _mm512_test_epi64_mask(lane, _mm512_set1_epi64(D));
    return {_mm512_permutex2var_pd(a.v, _mm512_mask_add_epi64(lane, odd, lane, _mm512_set1_epi64(8 - D)), b.v)};
  }
  template <int D>
  static CONVEXT_INLINE F64 merge_high(F64 a, F64 b) {
    if constexpr (D == 1) return {_mm512_unpackhi_pd(a.v, b.v)};
    const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    const __mmask8 odd = _mm512_test_epi64_mask(lane, _mm512_set1_epi64(D));
    return {_mm512_permutex2var_pd(
        a.v, _mm512_mask_add_epi64(_mm512_add_epi64(lane, _mm512_set1_epi64(D)), odd, lane, _mm512_set1_epi64(8)),
        b.v)};
  }
  using Lanes = F32::Lanes;
  static CONVEXT_INLINE Lanes of_groups(int32_t size, int32_t j) {
    const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm512_add_epi64(_mm512_and_si512(lane, _mm512_set1_epi64(-size)), _mm512_set1_epi64(j))};
  }
  static CONVEXT_INLINE F64 permute(F64 a, Lanes lanes) { return {_mm512_permutexvar_pd(lanes.v, a.v)}; }
  struct Move {
    __m512i lanes;
    Mask inside;
  };
  static CONVEXT_INLINE Move moving(int64_t first, int64_t end) {
    return {_mm512_add_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), _mm512_set1_epi64(first)), inside(first, end)};
  }
  static CONVEXT_INLINE F64 moved(F64 a, const Move& move) {
    return {_mm512_maskz_permutexvar_pd(move.inside, move.lanes, a.v)};
  }
  static CONVEXT_INLINE F64 even_lanes(F64 a, F64 b) {
    return {_mm512_permutex2var_pd(a.v, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), b.v)};
  }
  static CONVEXT_INLINE F64 odd_lanes(F64 a, F64 b) {
    return {_mm512_permutex2var_pd(a.v, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), b.v)};
  }
  static CONVEXT_INLINE F64 zip_low(F64 a, F64 b) {
    return {_mm512_permutex2var_pd(a.v, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), b.v)};
  }
  static CONVEXT_INLINE F64 zip_high(F64 a, F64 b) {
    return {_mm512_permutex2var_pd(a.v, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), b.v)};
  }
  CONVEXT_INLINE T sum() const {
    const __m256d half = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_maskz_extractf64x4_pd(0xf, v, 1));
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
  }
};

// See scalar.h.
CONVEXT_INLINE void add_wide(F64& sum, F64 a) { sum = F64::add(sum, a); }
CONVEXT_INLINE void add_wide(F64& sum, F32 a) {
  const __m256d high = _mm512_maskz_extractf64x4_pd(0xf, _mm512_castps_pd(a.v), 1);
  sum.v = _mm512_add_pd(sum.v, _mm512_cvtps_pd(_mm512_castps512_ps256(a.v)));
  sum.v = _mm512_add_pd(sum.v, _mm512_cvtps_pd(_mm256_castpd_ps(high)));
}

}  // namespace

// Of these vectors:
#include "simd/lane_sums.h"
#include "simd/row_ends.h"
#include "simd/squares.h"
