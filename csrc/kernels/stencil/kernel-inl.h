// The body of the stencil kernels; stencil.h has the contract.
//
// Register budget: R * V accumulators and one broadcast weight; the inputs are memory operands of the FMA.
// One load an FMA: half of the FMA peak where vectors cross cache lines, far above what memory delivers.
#pragma once

#include "kernels/stencil/stencil.h"

namespace {

using convext::StencilArgs;
using convext::StencilKernel;
using convext::StencilTaps;

template <typename Vec, int R, int V>
struct Stencil {
  using T = typename Vec::T;
  using Mask = typename Vec::Mask;
  static constexpr int64_t kLanes = Vec::kLanes;
  static_assert(R * V + 2 <= Vec::kRegisters, "the tile spills");

  // Every kStep-th number from p on; those inside the masks, one for each vector that is read.
  template <int kStep>
  static CONVEXT_INLINE Vec load(const T* p) {
    if constexpr (kStep == 1)
      return Vec::load(p);
    else
      return Vec::even_lanes(Vec::load(p), Vec::load(p + kLanes));
  }
  template <int kStep>
  static CONVEXT_INLINE Vec load(const T* p, const Mask (&inside)[kStep]) {
    if constexpr (kStep == 1)
      return Vec::load(p, inside[0]);
    else
      return Vec::even_lanes(Vec::load(p, inside[0]), Vec::load(p + kLanes, inside[1]));
  }

  // What of x a tile reads: whole vectors; only what `columns` columns need; at the ends of a row, what is inside it.
  enum Edge { kWhole, kTail, kBoth };

  // RT rows x VT vectors of each of the P phases of y, at (x, y), from j on: `columns` of x. At the ends of a row,
  // vectors within it are told from others by a branch: few are not.
  template <int RT, int VT, int kStep, int P, Edge kEdge>
  static CONVEXT_INLINE void tile(const StencilArgs<T>& args, const T* x, T* y, int64_t j, int64_t columns) {
    const int64_t tail = columns - (VT - 1) * kLanes;
    Mask in_tail[kStep];
    for (int i = 0; i < kStep; ++i) in_tail[i] = Vec::inside(i * kLanes, (tail - 1) * kStep + 1);
    Vec acc[P][RT][VT];
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
      for (int r = 0; r < RT; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < VT; ++v) {
          const T* to = y + r * args.y_pitch + v * kLanes;
          acc[p][r][v] = P > 1 || !args.accumulate        ? Vec::broadcast(args.bias)
                         : kEdge != kWhole && v == VT - 1 ? Vec::load_tail(to, tail)
                                                          : Vec::load(to);
        }
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
      const StencilTaps<T>& taps = args.taps[p];
      for (int64_t t = 0; t < taps.count; ++t) {
        const Vec weight = Vec::broadcast(taps.weight[t]);
        const T* from = x + taps.offset[t];
        const int64_t first = kEdge == kBoth ? taps.column[t] + j * kStep : 0, last = first + (columns - 1) * kStep + 1,
                      end = last < 0            ? 0
                            : last < args.width ? last
                                                : args.width;
#pragma GCC unroll 8
        for (int v = 0; v < VT; ++v) {
          const int64_t at = first + v * kStep * kLanes;
          const T* vector = from + v * kStep * kLanes;
          if (kEdge == kWhole || (kEdge == kTail && v < VT - 1) ||
              (kEdge == kBoth && at >= 0 && at + kStep * kLanes <= end)) {
#pragma GCC unroll 8
            for (int r = 0; r < RT; ++r)
              acc[p][r][v] = Vec::fma(weight, load<kStep>(vector + r * args.x_pitch), acc[p][r][v]);
          } else {
            Mask inside[kStep];
            for (int i = 0; i < kStep; ++i) inside[i] = kEdge == kTail ? in_tail[i] : Vec::inside(at + i * kLanes, end);
#pragma GCC unroll 8
            for (int r = 0; r < RT; ++r)
              acc[p][r][v] = Vec::fma(weight, load<kStep>(vector + r * args.x_pitch, inside), acc[p][r][v]);
          }
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < RT; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < VT; ++v) {
        const bool whole = kEdge == kWhole || v < VT - 1;
        T* to = y + r * args.y_pitch + v * kLanes * P;
        const int64_t left = whole ? P * kLanes : args.columns - (j + v * kLanes) * P;
        if constexpr (P == 1) {
          store_left(acc[0][r][v], to, left);
        } else {
          store_zipped(acc[0][r][v], acc[1][r][v], to, left);
        }
      }
  }

  // The j from `begin` on, with j * x_step < room, read only what is in the rows of x.
  struct Inner {
    int64_t begin, room;
  };
  static Inner inner(const StencilArgs<T>& args) {
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (const StencilTaps<T>& taps : args.taps)
      for (int64_t t = 0; t < taps.count && taps.column != nullptr; ++t) {
        first = taps.column[t] < first ? taps.column[t] : first;
        last = taps.column[t] > last ? taps.column[t] : last;
      }
    if (first > last) return {0, (args.columns + 1) * args.x_step};
    return {first < 0 ? (args.x_step - 1 - first) / args.x_step : 0, args.width - last};
  }

  template <int RT, int VT, int kStep, int P>
  static CONVEXT_INLINE void any_tile(const StencilArgs<T>& args, const Inner& inner, const T* x, T* y, int64_t j,
                                      int64_t columns) {
    x += j * kStep, y += j * P;
    if (j < inner.begin || (j + columns - 1) * kStep >= inner.room)
      tile<RT, VT, kStep, P, kBoth>(args, x, y, j, columns);
    else if ((j + VT * kLanes) * P > args.columns || (j + columns) * kStep > inner.room)
      tile<RT, VT, kStep, P, kTail>(args, x, y, j, columns);
    else
      tile<RT, VT, kStep, P, kWhole>(args, x, y, j, columns);
  }

  // RT rows: whole tiles of VT vectors of x, then what is left in one narrower tile.
  template <int RT, int VT, int kStep, int P>
  static void row_block(const StencilArgs<T>& args, const Inner& inner, int64_t r) {
    const T* x = args.x + r * args.x_pitch;
    T* y = args.y + r * args.y_pitch;
    const int64_t columns = (args.columns + P - 1) / P;
    int64_t j = 0;
    for (; j + VT * kLanes <= columns; j += VT * kLanes) any_tile<RT, VT, kStep, P>(args, inner, x, y, j, VT * kLanes);
    rest<RT, VT, kStep, P>(args, inner, x, y, j, columns - j);
  }

  template <int RT, int VT, int kStep, int P>
  static CONVEXT_INLINE void rest(const StencilArgs<T>& args, const Inner& inner, const T* x, T* y, int64_t j,
                                  int64_t columns) {
    if (columns > (VT - 1) * kLanes)
      any_tile<RT, VT, kStep, P>(args, inner, x, y, j, columns);
    else if constexpr (VT > 1)
      rest<RT, VT - 1, kStep, P>(args, inner, x, y, j, columns);
  }

  // All rows, RT at a time, then what is left in halves: the fewer rows, the longer the FMA wait for each other.
  template <int RT, int VT, int kStep, int P>
  static void all_rows(const StencilArgs<T>& args, const Inner& inner, int64_t r) {
    for (; r + RT <= args.rows; r += RT) row_block<RT, VT, kStep, P>(args, inner, r);
    if constexpr (RT > 1)
      if (r < args.rows) all_rows<(RT + 1) / 2 < RT ? (RT + 1) / 2 : 1, VT, kStep, P>(args, inner, r);
  }

  // Narrow planes take more rows at once.
  template <int kStep, int P>
  static void run_steps(const StencilArgs<T>& args) {
    constexpr int kVectors = R * V / P;
    const Inner columns = inner(args);
    if (args.columns <= P * kLanes)
      all_rows<(kVectors < 8 ? kVectors : 8), 1, kStep, P>(args, columns, 0);
    else if (args.columns <= 2 * P * kLanes)
      all_rows<kVectors / 2, 2, kStep, P>(args, columns, 0);
    else
      all_rows<R, V / P, kStep, P>(args, columns, 0);
  }

  static void run(const StencilArgs<T>& args) {
    if (args.y_step == 2)
      run_steps<1, 2>(args);
    else if (args.x_step == 1)
      run_steps<1, 1>(args);
    else
      run_steps<2, 1>(args);
  }

  static constexpr StencilKernel<T> kernel() { return {Vec::kLanes, R, V, run}; }
};

}  // namespace
