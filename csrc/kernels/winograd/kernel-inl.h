// The body of the Winograd transforms; winograd.h has the contract.
//
// The matrices follow from the points p = 0, a, -a, b, -b, infinity with a = sqrt(1/2), b = sqrt(2); of two taps
// without 0:
//   G:  (1, p, p^2) / product over the other points q of (p - q);   infinity: (0, 0, 1)
//   B': the coefficients of the product over the other points q of (x - q);   infinity: of all points
//   A': column p is (1, p, p^2, p^3);   infinity: (0, 0, 0, 1)
// A pair +-p shares its even and its odd part. A tile of 6x6 vectors passes through the stack: L1 takes it.
#pragma once

#include "kernels/winograd/winograd.h"

namespace {

using convext::WinogradDestinationArgs;
using convext::WinogradFilterArgs;
using convext::WinogradFilterGradArgs;
using convext::WinogradSourceArgs;

// The transforms along one axis.
template <typename Vec, int kTaps>
struct WinogradLine {
  using T = typename Vec::T;
  static constexpr int kOutputs = convext::winograd_outputs(kTaps), kPoints = convext::winograd_points(kTaps);
  static constexpr bool kZero = kTaps == 3;    // is 0 a point?
  static constexpr int kPair = kZero ? 1 : 0;  // the first of the points a, -a, b, -b
  static constexpr int kInfinity = kPoints - 1;
  static constexpr double kA = 0.70710678118654752440, kB = 1.41421356237309504880;
  // In G: 1 / product of (p - q) for the other points q; of a pair, if 0 is no point, p / that product.
  static constexpr double kScaleA = kZero ? -2.0 / 3 : -1.0 / 3, kScaleB = kZero ? 1.0 / 6 : 1.0 / 3;

  static CONVEXT_INLINE Vec number(double x) { return Vec::broadcast(static_cast<T>(x)); }
  // c - k * a
  static CONVEXT_INLINE Vec minus(double k, Vec a, Vec c) { return Vec::fma(number(-k), a, c); }

  static CONVEXT_INLINE void source(const Vec (&x)[kPoints], Vec (&v)[kPoints]) {
    if constexpr (kTaps == 1) {
      v[0] = x[0];
    } else {
      // The polynomials of the pairs have one degree less without 0: they begin an input earlier.
      const Vec* const y = x + kPair;
      const Vec low_a = minus(2.0, y[0], y[2]), high_a = minus(2.0, y[1], y[3]);
      const Vec low_b = minus(0.5, y[0], y[2]), high_b = minus(0.5, y[1], y[3]);
      v[kPair] = Vec::fma(number(kA), low_a, high_a);
      v[kPair + 1] = minus(kA, low_a, high_a);
      v[kPair + 2] = Vec::fma(number(kB), low_b, high_b);
      v[kPair + 3] = minus(kB, low_b, high_b);
      if constexpr (kZero) v[0] = minus(2.5, x[2], Vec::add(x[4], x[0]));
      v[kInfinity] = minus(2.5, y[2], Vec::add(y[4], y[0]));
    }
  }

  static CONVEXT_INLINE void filter(const Vec (&w)[kTaps], Vec (&u)[kPoints]) {
    if constexpr (kTaps == 1) {
      u[0] = w[0];
    } else if constexpr (kTaps == 2) {
      const Vec first_a = Vec::mul(number(kScaleA / kA), w[0]), second_a = Vec::mul(number(kScaleA), w[1]);
      u[0] = Vec::add(second_a, first_a);
      u[1] = Vec::sub(second_a, first_a);
      const Vec first_b = Vec::mul(number(kScaleB / kB), w[0]), second_b = Vec::mul(number(kScaleB), w[1]);
      u[2] = Vec::add(second_b, first_b);
      u[3] = Vec::sub(second_b, first_b);
      u[4] = w[1];
    } else {
      u[0] = w[0];
      const Vec even_a = Vec::mul(number(kScaleA), Vec::fma(number(0.5), w[2], w[0]));
      const Vec odd_a = Vec::mul(number(kScaleA * kA), w[1]);
      u[1] = Vec::add(even_a, odd_a);
      u[2] = Vec::sub(even_a, odd_a);
      const Vec even_b = Vec::mul(number(kScaleB), Vec::fma(number(2.0), w[2], w[0]));
      const Vec odd_b = Vec::mul(number(kScaleB * kB), w[1]);
      u[3] = Vec::add(even_b, odd_b);
      u[4] = Vec::sub(even_b, odd_b);
      u[5] = w[2];
    }
  }

  static CONVEXT_INLINE void destination(const Vec (&m)[kPoints], Vec (&y)[kOutputs]) {
    if constexpr (kTaps == 1) {
      y[0] = m[0];
    } else {
      const Vec* const p = m + kPair;
      const Vec even_a = Vec::add(p[0], p[1]), odd_a = Vec::sub(p[0], p[1]);
      const Vec even_b = Vec::add(p[2], p[3]), odd_b = Vec::sub(p[2], p[3]);
      y[0] = Vec::add(even_a, even_b);
      if constexpr (kZero) y[0] = Vec::add(m[0], y[0]);
      y[1] = Vec::fma(number(kA), odd_a, Vec::mul(number(kB), odd_b));
      y[2] = Vec::fma(number(0.5), even_a, Vec::mul(number(2.0), even_b));
      y[3] = Vec::fma(number(0.5 * kA), odd_a, Vec::fma(number(2.0 * kB), odd_b, m[kInfinity]));
    }
  }

  // A: the values of a polynomial of degree 3 at the points.
  static CONVEXT_INLINE void gradient(const Vec (&y)[kOutputs], Vec (&d)[kPoints]) {
    if constexpr (kTaps == 1) {
      d[0] = y[0];
    } else {
      const Vec even_a = Vec::fma(number(0.5), y[2], y[0]);
      const Vec odd_a = Vec::mul(number(kA), Vec::fma(number(0.5), y[3], y[1]));
      const Vec even_b = Vec::fma(number(2.0), y[2], y[0]);
      const Vec odd_b = Vec::mul(number(kB), Vec::fma(number(2.0), y[3], y[1]));
      if constexpr (kZero) d[0] = y[0];
      d[kPair] = Vec::add(even_a, odd_a);
      d[kPair + 1] = Vec::sub(even_a, odd_a);
      d[kPair + 2] = Vec::add(even_b, odd_b);
      d[kPair + 3] = Vec::sub(even_b, odd_b);
      d[kInfinity] = y[3];
    }
  }

  static CONVEXT_INLINE void filter_grad(const Vec (&u)[kPoints], Vec (&w)[kTaps]) {
    if constexpr (kTaps == 1) {
      w[0] = u[0];
    } else {
      const Vec* const p = u + kPair;
      const Vec even_a = Vec::mul(number(kScaleA), Vec::add(p[0], p[1])), odd_a = Vec::sub(p[0], p[1]);
      const Vec even_b = Vec::mul(number(kScaleB), Vec::add(p[2], p[3])), odd_b = Vec::sub(p[2], p[3]);
      if constexpr (kZero) {
        w[0] = Vec::add(u[0], Vec::add(even_a, even_b));
        w[1] = Vec::fma(number(kScaleA * kA), odd_a, Vec::mul(number(kScaleB * kB), odd_b));
        w[2] = Vec::add(u[kInfinity], Vec::fma(number(0.5), even_a, Vec::mul(number(2.0), even_b)));
      } else {
        w[0] = Vec::fma(number(kScaleA / kA), odd_a, Vec::mul(number(kScaleB / kB), odd_b));
        w[1] = Vec::add(u[kInfinity], Vec::add(even_a, even_b));
      }
    }
  }
};

template <typename Vec, int kTapsH, int kTapsW>
struct Winograd {
  using T = typename Vec::T;
  using H = WinogradLine<Vec, kTapsH>;
  using W = WinogradLine<Vec, kTapsW>;

  // Tiles of inputs, or of outputs' gradients, to frequencies.
  template <bool kGradient>
  static void tiles_to_points(const WinogradSourceArgs<T>& args) {
    constexpr int kRows = kGradient ? H::kOutputs : H::kPoints, kCols = kGradient ? W::kOutputs : W::kPoints;
    for (int64_t t = 0; t < args.count; ++t) {
      const T* x = args.x + args.tiles[t].source;
      T* to = args.v + t * args.v_tile;
      Vec along_h[H::kPoints][kCols];
#pragma GCC unroll 6
      for (int j = 0; j < kCols; ++j) {
        Vec column[kRows], v[H::kPoints];
#pragma GCC unroll 6
        for (int i = 0; i < kRows; ++i) column[i] = Vec::load(x + i * args.x_h + j * args.x_w);
        if constexpr (kGradient)
          H::gradient(column, v);
        else
          H::source(column, v);
#pragma GCC unroll 6
        for (int i = 0; i < H::kPoints; ++i) along_h[i][j] = v[i];
      }
#pragma GCC unroll 6
      for (int i = 0; i < H::kPoints; ++i) {
        Vec v[W::kPoints];
        if constexpr (kGradient)
          W::gradient(along_h[i], v);
        else
          W::source(along_h[i], v);
#pragma GCC unroll 6
        for (int j = 0; j < W::kPoints; ++j) v[j].store(to + (i * W::kPoints + j) * args.v_frequency);
      }
    }
  }

  static void filter(const WinogradFilterArgs<T>& args) {
    for (int64_t c = 0; c < args.count; ++c) {
      const T* w = args.w + c * args.w_filter;
      T* to = args.u + c * args.u_filter;
      Vec along_h[H::kPoints][kTapsW];
#pragma GCC unroll 3
      for (int j = 0; j < kTapsW; ++j) {
        Vec column[kTapsH], u[H::kPoints];
#pragma GCC unroll 3
        for (int i = 0; i < kTapsH; ++i)
          column[i] = i < args.taps_h && j < args.taps_w ? Vec::load(w + i * args.w_h + j * args.w_w) : Vec::zero();
        H::filter(column, u);
#pragma GCC unroll 6
        for (int i = 0; i < H::kPoints; ++i) along_h[i][j] = u[i];
      }
#pragma GCC unroll 6
      for (int i = 0; i < H::kPoints; ++i) {
        Vec u[W::kPoints];
        W::filter(along_h[i], u);
#pragma GCC unroll 6
        for (int j = 0; j < W::kPoints; ++j) u[j].store(to + (i * W::kPoints + j) * args.u_frequency);
      }
    }
  }

  static void destination(const WinogradDestinationArgs<T>& args) {
    Vec check = Vec::load(args.check);
    for (int64_t t = 0; t < args.count; ++t) {
      const convext::WinogradTile& tile = args.tiles[t];
      const T* m = args.m + t * args.m_tile;
      Vec along_h[H::kOutputs][W::kPoints];
#pragma GCC unroll 6
      for (int j = 0; j < W::kPoints; ++j) {
        Vec column[H::kPoints], y[H::kOutputs];
#pragma GCC unroll 6
        for (int i = 0; i < H::kPoints; ++i) column[i] = Vec::load(m + (i * W::kPoints + j) * args.m_frequency);
        H::destination(column, y);
#pragma GCC unroll 4
        for (int i = 0; i < H::kOutputs; ++i) along_h[i][j] = y[i];
      }
#pragma GCC unroll 4
      for (int i = 0; i < H::kOutputs; ++i) {
        if (i >= tile.rows) break;
        Vec y[W::kOutputs];
        W::destination(along_h[i], y);
        T* to = args.y + tile.destination + i * args.y_h;
#pragma GCC unroll 4
        for (int j = 0; j < W::kOutputs; ++j) {
          if (j >= tile.cols) break;
          y[j] = Vec::add(y[j], Vec::load(args.bias != nullptr ? args.bias : to + j * args.y_w));
          check = Vec::fma(y[j], Vec::zero(), check);
          y[j].store(to + j * args.y_w);
        }
      }
    }
    check.store(args.check);
  }

  static void filter_grad(const WinogradFilterGradArgs<T>& args) {
    Vec check = Vec::load(args.check);
    for (int64_t c = 0; c < args.count; ++c) {
      const T* u = args.u + c * args.u_filter;
      Vec along_h[kTapsH][W::kPoints];
#pragma GCC unroll 6
      for (int j = 0; j < W::kPoints; ++j) {
        Vec column[H::kPoints], w[kTapsH];
#pragma GCC unroll 6
        for (int i = 0; i < H::kPoints; ++i) column[i] = Vec::load(u + (i * W::kPoints + j) * args.u_frequency);
        H::filter_grad(column, w);
#pragma GCC unroll 3
        for (int i = 0; i < kTapsH; ++i) along_h[i][j] = w[i];
      }
#pragma GCC unroll 3
      for (int i = 0; i < kTapsH; ++i) {
        if (i >= args.taps_h) break;
        Vec w[kTapsW];
        W::filter_grad(along_h[i], w);
        T* to = args.w + c * args.w_filter + i * args.w_h;
#pragma GCC unroll 3
        for (int j = 0; j < kTapsW; ++j) {
          if (j >= args.taps_w) break;
          check = Vec::fma(w[j], Vec::zero(), check);
          w[j].store(to + j * args.w_w);
        }
      }
    }
    check.store(args.check);
  }

  static constexpr convext::WinogradTransforms<T> transforms() {
    return {tiles_to_points<false>, filter, destination, tiles_to_points<true>, filter_grad};
  }
};

template <typename Vec>
constexpr convext::WinogradKernels<typename Vec::T> winograd_kernels() {
  return {Vec::kLanes,
          {{Winograd<Vec, 1, 1>::transforms(), Winograd<Vec, 1, 2>::transforms(), Winograd<Vec, 1, 3>::transforms()},
           {Winograd<Vec, 2, 1>::transforms(), Winograd<Vec, 2, 2>::transforms(), Winograd<Vec, 2, 3>::transforms()},
           {Winograd<Vec, 3, 1>::transforms(), Winograd<Vec, 3, 2>::transforms(), Winograd<Vec, 3, 3>::transforms()}}};
}

}  // namespace
