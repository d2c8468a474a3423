// The body of the Winograd transforms; winograd.h has the contract.
//
// The matrices follow from the points p = 0, a, -a, b, -b, infinity with a = sqrt(1/2), b = sqrt(2):
//   G:  (1, p, p^2) / product over the other points q of (p - q);   infinity: (0, 0, 1)
//   B': the coefficients of the product over the other points q of (x - q);   infinity: of x (x^2 - a^2) (x^2 - b^2)
//   A': column p is (1, p, p^2, p^3);   infinity: (0, 0, 0, 1)
// A pair +-p shares its even and its odd part. A tile of 6x6 vectors passes through the stack: L1 takes it.
#pragma once

#include "kernels/winograd/winograd.h"

namespace {

using convext::kWinogradOutputs;
using convext::kWinogradPoints;
using convext::kWinogradTaps;
using convext::WinogradDestinationArgs;
using convext::WinogradFilterArgs;
using convext::WinogradFilterGradArgs;
using convext::WinogradSourceArgs;

template <typename Vec>
struct Winograd {
  using T = typename Vec::T;
  static constexpr double kA = 0.70710678118654752440, kB = 1.41421356237309504880;

  static CONVEXT_INLINE Vec number(double x) { return Vec::broadcast(static_cast<T>(x)); }
  // c - k * a
  static CONVEXT_INLINE Vec minus(double k, Vec a, Vec c) { return Vec::fma(number(-k), a, c); }

  static CONVEXT_INLINE void source_line(const Vec (&x)[kWinogradPoints], Vec (&v)[kWinogradPoints]) {
    v[0] = minus(2.5, x[2], Vec::add(x[4], x[0]));
    const Vec even_a = minus(2.0, x[2], x[4]), odd_a = minus(2.0, x[1], x[3]);
    v[1] = Vec::fma(number(kA), odd_a, even_a);
    v[2] = minus(kA, odd_a, even_a);
    const Vec even_b = minus(0.5, x[2], x[4]), odd_b = minus(0.5, x[1], x[3]);
    v[3] = Vec::fma(number(kB), odd_b, even_b);
    v[4] = minus(kB, odd_b, even_b);
    v[5] = minus(2.5, x[3], Vec::add(x[5], x[1]));
  }

  static CONVEXT_INLINE void filter_line(const Vec (&w)[kWinogradTaps], Vec (&u)[kWinogradPoints]) {
    u[0] = w[0];
    const Vec even_a = Vec::mul(number(-2.0 / 3), Vec::fma(number(0.5), w[2], w[0]));
    const Vec odd_a = Vec::mul(number(-2.0 / 3 * kA), w[1]);
    u[1] = Vec::add(even_a, odd_a);
    u[2] = Vec::sub(even_a, odd_a);
    const Vec even_b = Vec::mul(number(1.0 / 6), Vec::fma(number(2.0), w[2], w[0]));
    const Vec odd_b = Vec::mul(number(kB / 6), w[1]);
    u[3] = Vec::add(even_b, odd_b);
    u[4] = Vec::sub(even_b, odd_b);
    u[5] = w[2];
  }

  static CONVEXT_INLINE void destination_line(const Vec (&m)[kWinogradPoints], Vec (&y)[kWinogradOutputs]) {
    const Vec even_a = Vec::add(m[1], m[2]), odd_a = Vec::sub(m[1], m[2]);
    const Vec even_b = Vec::add(m[3], m[4]), odd_b = Vec::sub(m[3], m[4]);
    y[0] = Vec::add(m[0], Vec::add(even_a, even_b));
    y[1] = Vec::fma(number(kA), odd_a, Vec::mul(number(kB), odd_b));
    y[2] = Vec::fma(number(0.5), even_a, Vec::mul(number(2.0), even_b));
    y[3] = Vec::fma(number(0.5 * kA), odd_a, Vec::fma(number(2.0 * kB), odd_b, m[5]));
  }

  // A: the values of a polynomial of degree 3 at the points.
  static CONVEXT_INLINE void gradient_line(const Vec (&y)[kWinogradOutputs], Vec (&d)[kWinogradPoints]) {
    d[0] = y[0];
    const Vec even_a = Vec::fma(number(0.5), y[2], y[0]);
    const Vec odd_a = Vec::mul(number(kA), Vec::fma(number(0.5), y[3], y[1]));
    d[1] = Vec::add(even_a, odd_a);
    d[2] = Vec::sub(even_a, odd_a);
    const Vec even_b = Vec::fma(number(2.0), y[2], y[0]);
    const Vec odd_b = Vec::mul(number(kB), Vec::fma(number(2.0), y[3], y[1]));
    d[3] = Vec::add(even_b, odd_b);
    d[4] = Vec::sub(even_b, odd_b);
    d[5] = y[3];
  }

  static CONVEXT_INLINE void filter_grad_line(const Vec (&u)[kWinogradPoints], Vec (&w)[kWinogradTaps]) {
    const Vec even_a = Vec::mul(number(-2.0 / 3), Vec::add(u[1], u[2])), odd_a = Vec::sub(u[1], u[2]);
    const Vec even_b = Vec::mul(number(1.0 / 6), Vec::add(u[3], u[4])), odd_b = Vec::sub(u[3], u[4]);
    w[0] = Vec::add(u[0], Vec::add(even_a, even_b));
    w[1] = Vec::fma(number(-2.0 / 3 * kA), odd_a, Vec::mul(number(kB / 6), odd_b));
    w[2] = Vec::add(u[5], Vec::fma(number(0.5), even_a, Vec::mul(number(2.0), even_b)));
  }

  static CONVEXT_INLINE void to_points(const Vec (&x)[kWinogradPoints], Vec (&v)[kWinogradPoints]) {
    source_line(x, v);
  }
  static CONVEXT_INLINE void to_points(const Vec (&y)[kWinogradOutputs], Vec (&d)[kWinogradPoints]) {
    gradient_line(y, d);
  }

  // Tiles of kSize (x kSize) vectors to frequencies.
  template <bool kSquare, int kSize>
  static void tiles_to_points(const WinogradSourceArgs<T>& args) {
    constexpr int kPoints = kWinogradPoints, kRows = kSquare ? kPoints : 1;
    for (int64_t t = 0; t < args.count; ++t) {
      const T* x = args.x + args.tiles[t].source;
      T* to = args.v + t * args.v_tile;
      Vec along_h[kRows][kSize];
#pragma GCC unroll 6
      for (int j = 0; j < kSize; ++j) {
        if constexpr (kSquare) {
          Vec column[kSize], v[kPoints];
#pragma GCC unroll 6
          for (int i = 0; i < kSize; ++i) column[i] = Vec::load(x + i * args.x_h + j * args.x_w);
          to_points(column, v);
#pragma GCC unroll 6
          for (int i = 0; i < kRows; ++i) along_h[i][j] = v[i];
        } else {
          along_h[0][j] = Vec::load(x + j * args.x_w);
        }
      }
#pragma GCC unroll 6
      for (int i = 0; i < kRows; ++i) {
        Vec v[kPoints];
        to_points(along_h[i], v);
#pragma GCC unroll 6
        for (int j = 0; j < kPoints; ++j) v[j].store(to + (i * kPoints + j) * args.v_frequency);
      }
    }
  }

  template <bool kSquare>
  static void filter(const WinogradFilterArgs<T>& args) {
    constexpr int kPoints = kWinogradPoints, kTaps = kWinogradTaps, kRows = kSquare ? kPoints : 1;
    for (int64_t c = 0; c < args.count; ++c) {
      const T* w = args.w + c * args.w_filter;
      T* to = args.u + c * args.u_filter;
      Vec along_h[kRows][kTaps];
#pragma GCC unroll 3
      for (int j = 0; j < kTaps; ++j) {
        Vec column[kTaps], u[kPoints];
#pragma GCC unroll 3
        for (int i = 0; i < kTaps; ++i)
          column[i] = i < args.taps_h && j < args.taps_w ? Vec::load(w + i * args.w_h + j * args.w_w) : Vec::zero();
        if constexpr (kSquare)
          filter_line(column, u);
        else
          u[0] = column[0];
#pragma GCC unroll 6
        for (int i = 0; i < kRows; ++i) along_h[i][j] = u[i];
      }
#pragma GCC unroll 6
      for (int i = 0; i < kRows; ++i) {
        Vec u[kPoints];
        filter_line(along_h[i], u);
#pragma GCC unroll 6
        for (int j = 0; j < kPoints; ++j) u[j].store(to + (i * kPoints + j) * args.u_frequency);
      }
    }
  }

  template <bool kSquare>
  static void destination(const WinogradDestinationArgs<T>& args) {
    constexpr int kPoints = kWinogradPoints, kOutputs = kWinogradOutputs, kRows = kSquare ? kOutputs : 1;
    const Vec bias = Vec::load(args.bias);
    Vec check = Vec::load(args.check);
    for (int64_t t = 0; t < args.count; ++t) {
      const convext::WinogradTile& tile = args.tiles[t];
      const T* m = args.m + t * args.m_tile;
      Vec along_h[kRows][kPoints];
#pragma GCC unroll 6
      for (int j = 0; j < kPoints; ++j) {
        Vec column[kPoints], y[kOutputs];
#pragma GCC unroll 6
        for (int i = 0; i < (kSquare ? kPoints : 1); ++i)
          column[i] = Vec::load(m + (i * kPoints + j) * args.m_frequency);
        if constexpr (kSquare)
          destination_line(column, y);
        else
          y[0] = column[0];
#pragma GCC unroll 4
        for (int i = 0; i < kRows; ++i) along_h[i][j] = y[i];
      }
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) {
        if (i >= tile.rows) break;
        Vec y[kOutputs];
        destination_line(along_h[i], y);
        T* to = args.y + tile.destination + i * args.y_h;
#pragma GCC unroll 4
        for (int j = 0; j < kOutputs; ++j) {
          if (j >= tile.cols) break;
          y[j] = Vec::add(y[j], bias);
          check = Vec::fma(y[j], Vec::zero(), check);
          y[j].store(to + j * args.y_w);
        }
      }
    }
    check.store(args.check);
  }

  template <bool kSquare>
  static void filter_grad(const WinogradFilterGradArgs<T>& args) {
    constexpr int kPoints = kWinogradPoints, kTaps = kWinogradTaps, kRows = kSquare ? kTaps : 1;
    Vec check = Vec::load(args.check);
    for (int64_t c = 0; c < args.count; ++c) {
      const T* u = args.u + c * args.u_filter;
      Vec along_h[kRows][kPoints];
#pragma GCC unroll 6
      for (int j = 0; j < kPoints; ++j) {
        if constexpr (kSquare) {
          Vec column[kPoints], w[kTaps];
#pragma GCC unroll 6
          for (int i = 0; i < kPoints; ++i) column[i] = Vec::load(u + (i * kPoints + j) * args.u_frequency);
          filter_grad_line(column, w);
#pragma GCC unroll 3
          for (int i = 0; i < kRows; ++i) along_h[i][j] = w[i];
        } else {
          along_h[0][j] = Vec::load(u + j * args.u_frequency);
        }
      }
#pragma GCC unroll 3
      for (int i = 0; i < kRows; ++i) {
        if (i >= args.taps_h) break;
        Vec w[kTaps];
        filter_grad_line(along_h[i], w);
        T* to = args.w + c * args.w_filter + i * args.w_h;
#pragma GCC unroll 3
        for (int j = 0; j < kTaps; ++j) {
          if (j >= args.taps_w) break;
          check = Vec::fma(w[j], Vec::zero(), check);
          w[j].store(to + j * args.w_w);
        }
      }
    }
    check.store(args.check);
  }

  template <bool kSquare>
  static constexpr convext::WinogradTransforms<T> transforms() {
    return {tiles_to_points<kSquare, kWinogradPoints>, filter<kSquare>, destination<kSquare>,
            tiles_to_points<kSquare, kWinogradOutputs>, filter_grad<kSquare>};
  }
  static constexpr convext::WinogradKernels<T> kernels() {
    return {Vec::kLanes, transforms<false>(), transforms<true>()};
  }
};

}  // namespace
