// The body of the Winograd transforms; winograd.h has the contract.
//
// The matrices follow from the points: 0 if the taps are odd, some pairs p and -p, and infinity.
//   G:  (1, p, p^2, ..) / product over the other points q of (p - q);   infinity: (0, .., 0, 1)
//   B': the coefficients of the product over the other points q of (x - q);   infinity: of all points
//   A': column p is (1, p, p^2, p^3);   infinity: (0, 0, 0, 1)
// What a pair's rows and columns have in common is computed once: the even powers of p, and the odd ones. A tile of
// 6x6 vectors passes through the stack: L1 takes it.
#pragma once

#include "kernels/winograd/winograd.h"

namespace {

using convext::WinogradDestinationArgs;
using convext::WinogradFilterArgs;
using convext::WinogradFilterGradArgs;
using convext::WinogradSourceArgs;

// The numbers of the matrices, a row for each pair of points: rounded once, to T.
template <int kTaps>
struct WinogradNumbers {
  static constexpr bool kZero = kTaps % 2 == 1;
  static constexpr int kPairs = kTaps == 4 ? 3 : 2;
  template <int n>
  struct Rows {
    long double row[kPairs][n];
    constexpr const long double* operator[](int pair) const { return row[pair]; }
  };

  static constexpr long double point(int pair) {
    constexpr long double kTwo[] = {0.70710678118654752440L, 1.41421356237309504880L}, kThree[] = {0.35L, 0.8L, 1.8L};
    return kPairs == 3 ? kThree[pair] : kTwo[pair];
  }

  // The coefficients of x^0, x^2, ... of the product of (x^2 - p^2) over all pairs but one.
  struct Product {
    long double c[kPairs + 1] = {1};
    constexpr explicit Product(int without) {
      for (int i = 0, degree = 0; i < kPairs; ++i) {
        if (i == without) continue;
        for (int k = ++degree; k >= 0; --k) c[k] = (k > 0 ? c[k - 1] : 0) - point(i) * point(i) * c[k];
      }
    }
  };
  static constexpr Product kAll{-1};
  static constexpr Rows<kPairs> kOthers = [] {
    Rows<kPairs> rows{};
    for (int i = 0; i < kPairs; ++i)
      for (int k = 0; k < kPairs; ++k) rows.row[i][k] = Product(i).c[k];
    return rows;
  }();
  // (1, p, p^2, p^3)
  static constexpr Rows<4> kPowers = [] {
    Rows<4> rows{};
    for (int i = 0; i < kPairs; ++i)
      for (int k = 0; k < 4; ++k) rows.row[i][k] = k == 0 ? 1 : rows.row[i][k - 1] * point(i);
    return rows;
  }();
  // The rows of G. Without 0 among the points a pair's divisors differ in sign: p is taken out of them.
  static constexpr int kFirstPower = kZero ? 0 : -1;
  static constexpr Rows<kTaps> kFilter = [] {
    Rows<kTaps> rows{};
    for (int i = 0; i < kPairs; ++i) {
      const long double p = point(i);
      long double others = 2 * p * (kZero ? p : 1);
      for (int j = 0; j < kPairs; ++j) others *= j == i ? 1 : p * p - point(j) * point(j);
      for (int k = 0; k < kTaps; ++k) rows.row[i][k] = k == 0 ? 1 / others : rows.row[i][k - 1] * p;
    }
    return rows;
  }();
};

// The transforms along one axis.
template <typename Vec, int kTaps>
struct WinogradLine {
  using T = typename Vec::T;
  using N = WinogradNumbers<kTaps>;
  static constexpr int kOutputs = convext::winograd_outputs(kTaps), kPoints = convext::winograd_points(kTaps);
  static constexpr int kPair = N::kZero ? 1 : 0;  // the first of the points p, -p, ...
  static constexpr int kInfinity = kPoints - 1;
  static_assert(kPoints == kPair + 2 * N::kPairs + 1);

  static CONVEXT_INLINE Vec number(long double x) { return Vec::broadcast(static_cast<T>(x)); }
  static CONVEXT_INLINE Vec add_product(long double c, Vec x, Vec sum) {
    return c == 1 ? Vec::add(x, sum) : Vec::fma(number(c), x, sum);
  }

  static CONVEXT_INLINE void source(const Vec (&x)[kPoints], Vec (&v)[kPoints]) {
    const Vec* const y = x + kPair;  // the polynomials of all points but 0 begin with x
#pragma GCC unroll 3
    for (int i = 0; i < N::kPairs; ++i) {
      Vec even = y[2 * N::kPairs - 2], odd = y[2 * N::kPairs - 1];
#pragma GCC unroll 3
      for (int k = 0; k < N::kPairs - 1; ++k) {
        even = add_product(N::kOthers[i][k], y[2 * k], even);
        odd = add_product(N::kOthers[i][k], y[2 * k + 1], odd);
      }
      v[kPair + 2 * i] = Vec::fma(number(N::kPowers[i][1]), even, odd);
      v[kPair + 2 * i + 1] = Vec::fma(number(-N::kPowers[i][1]), even, odd);
    }
    if constexpr (N::kZero) v[0] = all_pairs(x);
    v[kInfinity] = all_pairs(y);
  }

  static CONVEXT_INLINE void filter(const Vec (&w)[kTaps], Vec (&u)[kPoints]) {
    values<kTaps>(N::kFilter, N::kFirstPower, w, u);
    if constexpr (N::kZero) u[0] = w[0];
    u[kInfinity] = w[kTaps - 1];
  }

  static CONVEXT_INLINE void destination(const Vec (&m)[kPoints], Vec (&y)[kOutputs]) {
    sums<kOutputs>(N::kPowers, 0, m, y);
    if constexpr (N::kZero) y[0] = Vec::add(m[0], y[0]);
    y[kOutputs - 1] = Vec::add(m[kInfinity], y[kOutputs - 1]);
  }

  static CONVEXT_INLINE void gradient(const Vec (&y)[kOutputs], Vec (&d)[kPoints]) {
    values<kOutputs>(N::kPowers, 0, y, d);
    if constexpr (N::kZero) d[0] = y[0];
    d[kInfinity] = y[kOutputs - 1];
  }

  static CONVEXT_INLINE void filter_grad(const Vec (&u)[kPoints], Vec (&w)[kTaps]) {
    sums<kTaps>(N::kFilter, N::kFirstPower, u, w);
    if constexpr (N::kZero) w[0] = Vec::add(u[0], w[0]);
    w[kTaps - 1] = Vec::add(u[kInfinity], w[kTaps - 1]);
  }

 private:
  static_assert(!N::kZero || N::kAll.c[0] > 1 - 1e-15L, "what divides the point 0 in G is 1");

  static CONVEXT_INLINE Vec all_pairs(const Vec* x) {
    Vec sum = x[2 * N::kPairs];
#pragma GCC unroll 3
    for (int k = N::kPairs - 1; k >= 0; --k) sum = add_product(N::kAll.c[k], x[2 * k], sum);
    return sum;
  }

  // Of polynomials, at the pairs: `rows` times x, where the first column is an even or odd power.
  template <int n>
  static CONVEXT_INLINE void values(const typename N::template Rows<n>& rows, int first_power, const Vec (&x)[n],
                                    Vec (&at)[kPoints]) {
#pragma GCC unroll 3
    for (int i = 0; i < N::kPairs; ++i) {
      Vec part[2] = {Vec::mul(number(rows[i][0]), x[0]), Vec::mul(number(rows[i][1]), x[1])};
#pragma GCC unroll 4
      for (int k = 2; k < n; ++k) part[k % 2] = add_product(rows[i][k], x[k], part[k % 2]);
      const Vec even = part[first_power & 1], odd = part[1 - (first_power & 1)];
      at[kPair + 2 * i] = Vec::add(even, odd);
      at[kPair + 2 * i + 1] = Vec::sub(even, odd);
    }
  }
  // The transpose.
  template <int n>
  static CONVEXT_INLINE void sums(const typename N::template Rows<n>& rows, int first_power, const Vec (&at)[kPoints],
                                  Vec (&x)[n]) {
#pragma GCC unroll 3
    for (int i = 0; i < N::kPairs; ++i) {
      const Vec plus = at[kPair + 2 * i], minus = at[kPair + 2 * i + 1];
      const Vec part[2] = {Vec::add(plus, minus), Vec::sub(plus, minus)};
#pragma GCC unroll 4
      for (int k = 0; k < n; ++k) {
        const Vec y = part[(first_power + k) & 1];
        x[k] = i == 0 ? Vec::mul(number(rows[i][k]), y) : add_product(rows[i][k], y, x[k]);
      }
    }
  }
};

// One tap: as it is.
template <typename Vec>
struct WinogradLine<Vec, 1> {
  static constexpr int kOutputs = 1, kPoints = 1;
  static CONVEXT_INLINE void source(const Vec (&x)[1], Vec (&v)[1]) { v[0] = x[0]; }
  static CONVEXT_INLINE void filter(const Vec (&w)[1], Vec (&u)[1]) { u[0] = w[0]; }
  static CONVEXT_INLINE void destination(const Vec (&m)[1], Vec (&y)[1]) { y[0] = m[0]; }
  static CONVEXT_INLINE void gradient(const Vec (&y)[1], Vec (&d)[1]) { d[0] = y[0]; }
  static CONVEXT_INLINE void filter_grad(const Vec (&u)[1], Vec (&w)[1]) { w[0] = u[0]; }
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
      const T* x = args.x + (kGradient ? args.tiles[t].destination : args.tiles[t].source);
      T* to = args.v + t * args.v_tile;
      Vec along_h[H::kPoints][kCols];
#pragma GCC unroll 7
      for (int j = 0; j < kCols; ++j) {
        Vec column[kRows], v[H::kPoints];
#pragma GCC unroll 7
        for (int i = 0; i < kRows; ++i)
          column[i] = !kGradient || (i < args.tiles[t].rows && j < args.tiles[t].cols)
                          ? Vec::load(x + i * args.x_h + j * args.x_w)
                          : Vec::zero();
        if constexpr (kGradient)
          H::gradient(column, v);
        else
          H::source(column, v);
#pragma GCC unroll 7
        for (int i = 0; i < H::kPoints; ++i) along_h[i][j] = v[i];
      }
#pragma GCC unroll 7
      for (int i = 0; i < H::kPoints; ++i) {
        Vec v[W::kPoints];
        if constexpr (kGradient)
          W::gradient(along_h[i], v);
        else
          W::source(along_h[i], v);
#pragma GCC unroll 7
        for (int j = 0; j < W::kPoints; ++j) v[j].store(to + (i * W::kPoints + j) * args.v_frequency);
      }
    }
  }

  static void filter(const WinogradFilterArgs<T>& args) {
    for (int64_t c = 0; c < args.count; ++c) {
      const T* w = args.w + c * args.w_filter;
      T* to = args.u + c * args.u_filter;
      Vec along_h[H::kPoints][kTapsW];
#pragma GCC unroll 4
      for (int j = 0; j < kTapsW; ++j) {
        Vec column[kTapsH], u[H::kPoints];
#pragma GCC unroll 4
        for (int i = 0; i < kTapsH; ++i)
          column[i] = i < args.taps_h && j < args.taps_w ? Vec::load(w + i * args.w_h + j * args.w_w) : Vec::zero();
        H::filter(column, u);
#pragma GCC unroll 7
        for (int i = 0; i < H::kPoints; ++i) along_h[i][j] = u[i];
      }
#pragma GCC unroll 7
      for (int i = 0; i < H::kPoints; ++i) {
        Vec u[W::kPoints];
        W::filter(along_h[i], u);
#pragma GCC unroll 7
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
#pragma GCC unroll 7
      for (int j = 0; j < W::kPoints; ++j) {
        Vec column[H::kPoints], y[H::kOutputs];
#pragma GCC unroll 7
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
#pragma GCC unroll 7
      for (int j = 0; j < W::kPoints; ++j) {
        Vec column[H::kPoints], w[kTapsH];
#pragma GCC unroll 7
        for (int i = 0; i < H::kPoints; ++i) column[i] = Vec::load(u + (i * W::kPoints + j) * args.u_frequency);
        H::filter_grad(column, w);
#pragma GCC unroll 4
        for (int i = 0; i < kTapsH; ++i) along_h[i][j] = w[i];
      }
#pragma GCC unroll 4
      for (int i = 0; i < kTapsH; ++i) {
        if (i >= args.taps_h) break;
        Vec w[kTapsW];
        W::filter_grad(along_h[i], w);
        T* to = args.w + c * args.w_filter + i * args.w_h;
#pragma GCC unroll 4
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
          {{Winograd<Vec, 1, 1>::transforms(), Winograd<Vec, 1, 2>::transforms(), Winograd<Vec, 1, 3>::transforms(),
            Winograd<Vec, 1, 4>::transforms()},
           {Winograd<Vec, 2, 1>::transforms(), Winograd<Vec, 2, 2>::transforms(), Winograd<Vec, 2, 3>::transforms()},
           {Winograd<Vec, 3, 1>::transforms(), Winograd<Vec, 3, 2>::transforms(), Winograd<Vec, 3, 3>::transforms()},
           {Winograd<Vec, 4, 1>::transforms()}}};
}

}  // namespace
