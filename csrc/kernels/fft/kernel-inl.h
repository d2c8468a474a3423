// The body of the transforms; fft.h has the contract.
//
// Register budget: a radix-8 butterfly holds 8 complex vectors and a few numbers on the way: 32 registers. With
// 16 registers it spills a little, so there radix 4 does all but one level.
#pragma once

#include "kernels/fft/fft.h"

namespace {

using convext::FftKernels;
using convext::SpectrumProductArgs;

template <typename Vec>
struct Complex {
  using T = typename Vec::T;
  Vec re, im;

  static CONVEXT_INLINE Complex load(const T* p) { return {Vec::load(p), Vec::load(p + Vec::kLanes)}; }
  static CONVEXT_INLINE Complex broadcast(T re, T im) { return {Vec::broadcast(re), Vec::broadcast(im)}; }
  CONVEXT_INLINE void store(T* p) const {
    re.store(p);
    im.store(p + Vec::kLanes);
  }
  CONVEXT_INLINE Complex operator+(Complex b) const { return {Vec::add(re, b.re), Vec::add(im, b.im)}; }
  CONVEXT_INLINE Complex operator-(Complex b) const { return {Vec::sub(re, b.re), Vec::sub(im, b.im)}; }
  CONVEXT_INLINE Complex operator*(Complex b) const {
    return {Vec::fms(re, b.re, Vec::mul(im, b.im)), Vec::fma(re, b.im, Vec::mul(im, b.re))};
  }
  CONVEXT_INLINE Complex times_conj(Complex b) const {
    return {Vec::fma(re, b.re, Vec::mul(im, b.im)), Vec::fms(im, b.re, Vec::mul(re, b.im))};
  }
  // *this + a * b
  CONVEXT_INLINE Complex plus_product(Complex a, Complex b) const {
    const Vec im_im = Vec::fms(a.im, b.im, re);
    return {Vec::fms(a.re, b.re, im_im), Vec::fma(a.re, b.im, Vec::fma(a.im, b.re, im))};
  }
  // *this + a * conj(b)
  CONVEXT_INLINE Complex plus_product_conj(Complex a, Complex b) const {
    const Vec re_im = Vec::fms(a.re, b.im, im);
    return {Vec::fma(a.re, b.re, Vec::fma(a.im, b.im, re)), Vec::fms(a.im, b.re, re_im)};
  }
};

template <typename Vec>
struct Fft {
  using T = typename Vec::T;
  using C = Complex<Vec>;
  static constexpr int64_t kPoint = 2 * Vec::kLanes;

  // z times -i forward, times i backward.
  template <bool kForward>
  static CONVEXT_INLINE C quarter_turn(C z) {
    const Vec zero = Vec::zero();
    return kForward ? C{z.im, Vec::sub(zero, z.re)} : C{Vec::sub(zero, z.im), z.re};
  }

  // The transform of R numbers, in order.
  template <bool kForward, int R>
  static CONVEXT_INLINE void butterfly(C (&z)[R]) {
    if constexpr (R == 4) {
      const C a = z[0] + z[2], b = z[0] - z[2], c = z[1] + z[3], d = z[1] - z[3];
      z[0] = a + c;
      z[2] = a - c;
      // b plus and minus d turned: the turn is an exchange of the parts.
      const C turned = {Vec::add(b.re, d.im), Vec::sub(b.im, d.re)},
              back = {Vec::sub(b.re, d.im), Vec::add(b.im, d.re)};
      z[1] = kForward ? turned : back;
      z[3] = kForward ? back : turned;
    } else {
      static_assert(R == 8);
      C even[4] = {z[0] + z[4], z[1] + z[5], z[2] + z[6], z[3] + z[7]};
      C odd[4] = {z[0] - z[4], z[1] - z[5], z[2] - z[6], z[3] - z[7]};
      const Vec half = Vec::broadcast(T(0.70710678118654752440));  // sqrt(1/2)
      const C e1 = odd[1], e3 = odd[3];
      if constexpr (kForward) {
        odd[1] = {Vec::mul(Vec::add(e1.re, e1.im), half), Vec::mul(Vec::sub(e1.im, e1.re), half)};
        odd[3] = {Vec::mul(Vec::sub(e3.im, e3.re), half),
                  Vec::mul(Vec::add(e3.re, e3.im), Vec::sub(Vec::zero(), half))};
      } else {
        odd[1] = {Vec::mul(Vec::sub(e1.re, e1.im), half), Vec::mul(Vec::add(e1.im, e1.re), half)};
        odd[3] = {Vec::mul(Vec::add(e3.re, e3.im), Vec::sub(Vec::zero(), half)),
                  Vec::mul(Vec::sub(e3.re, e3.im), half)};
      }
      odd[2] = quarter_turn<kForward>(odd[2]);
      butterfly<kForward, 4>(even);
      butterfly<kForward, 4>(odd);
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) z[2 * q] = even[q], z[2 * q + 1] = odd[q];
    }
  }

  // One level of a transform of `points`: R numbers `points / R` apart, with their powers of the root. The roots
  // are those of a transform `step` times as long.
  template <bool kForward, int R>
  static void level(T* block, int64_t points, const T* roots, int64_t step) {
    const int64_t part = points / R * kPoint;
    for (int64_t j = 0; j < points / R; ++j) {
      T* p = block + j * kPoint;
      C z[R];
#pragma GCC unroll 8
      for (int q = 0; q < R; ++q) z[q] = C::load(p + q * part);
      if constexpr (!kForward)
#pragma GCC unroll 8
        for (int q = 1; q < R; ++q)
          z[q] = z[q].times_conj(C::broadcast(roots[2 * q * j * step], roots[2 * q * j * step + 1]));
      butterfly<kForward, R>(z);
      if constexpr (kForward)
#pragma GCC unroll 8
        for (int q = 1; q < R; ++q) z[q] = z[q] * C::broadcast(roots[2 * q * j * step], roots[2 * q * j * step + 1]);
#pragma GCC unroll 8
      for (int q = 0; q < R; ++q) z[q].store(p + q * part);
    }
  }

  // The last level of a decimation: no root but 1.
  template <bool kForward, int R>
  static CONVEXT_INLINE void leaf(T* p) {
    C z[R];
#pragma GCC unroll 8
    for (int q = 0; q < R; ++q) z[q] = C::load(p + q * kPoint);
    butterfly<kForward, R>(z);
#pragma GCC unroll 8
    for (int q = 0; q < R; ++q) z[q].store(p + q * kPoint);
  }

  // Radix 4, but 8 once if the logarithm of `points` is odd, and where a level goes through more than L1.
  static bool radix_8(int64_t points) {
    const bool odd = (points & 0x5555555555555555) == 0;
    return odd || (Vec::kRegisters >= 32 && points > kL1Points);
  }
  static constexpr int64_t kL1Points = 256;

  template <bool kForward, int R>
  static void split(T* block, int64_t points, const T* roots, int64_t step) {
    if (points == R) return leaf<kForward, R>(block);
    if constexpr (kForward) level<true, R>(block, points, roots, step);
    for (int q = 0; q < R; ++q) recurse<kForward>(block + q * (points / R) * kPoint, points / R, roots, step * R);
    if constexpr (!kForward) level<false, R>(block, points, roots, step);
  }

  template <bool kForward>
  static void recurse(T* block, int64_t points, const T* roots, int64_t step) {
    if (radix_8(points))
      split<kForward, 8>(block, points, roots, step);
    else
      split<kForward, 4>(block, points, roots, step);
  }

  template <bool kForward>
  static void transform(T* block, int64_t points, const T* roots) {
    recurse<kForward>(block, points, roots, 1);
  }

  template <int M>
  static void multiply_outputs(const SpectrumProductArgs<T>& args, int64_t m0) {
    for (int64_t k = 0; k < args.points; ++k) {
      C sum[M];
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m)
        sum[m] = args.accumulate ? C::load(args.y + (m0 + m) * args.y_pitch + k * kPoint) : C{Vec::zero(), Vec::zero()};
      for (int64_t s = 0; s < args.steps; ++s) {
        const C z = C::load(args.z + s * args.z_pitch + k * kPoint);
        const T* w = args.w + m0 * args.w_output + s * args.w_step + k;
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m)
          sum[m] = sum[m].plus_product(z, C::broadcast(w[m * args.w_output], w[m * args.w_output + args.points]));
      }
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m) sum[m].store(args.y + (m0 + m) * args.y_pitch + k * kPoint);
    }
  }

  static void multiply(const SpectrumProductArgs<T>& args) {
    constexpr int kOutputs = 4;
    int64_t m = 0;
    for (; m + kOutputs <= args.outputs; m += kOutputs) multiply_outputs<kOutputs>(args, m);
    for (; m < args.outputs; ++m) multiply_outputs<1>(args, m);
  }

  static void correlate(const T* a, const T* b, T* c, int64_t points, bool accumulate) {
    for (int64_t k = 0; k < points * kPoint; k += kPoint) {
      const C x = C::load(a + k), y = C::load(b + k);
      const C before = accumulate ? C::load(c + k) : C{Vec::zero(), Vec::zero()};
      before.plus_product_conj(x, y).store(c + k);
    }
  }

  static constexpr FftKernels<T> kernels() {
    return {Vec::kLanes, transform<true>, transform<false>, multiply, correlate};
  }
};

}  // namespace
