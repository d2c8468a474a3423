// The body of the stencil kernels; stencil.h has the contract.
//
// Register budget: R * V accumulators and one broadcast weight; the inputs are memory operands of the FMA.
// One load an FMA: half of the FMA peak where vectors cross cache lines, far above what memory delivers.
#pragma once

#include "kernels/stencil/stencil.h"

namespace {

using convext::StencilArgs;
using convext::StencilKernel;

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

  // RT rows x VT vectors at (x, y), whose first column is j. At the ends of a row, vectors within it are told from
  // others by a branch: few are not.
  template <int RT, int VT, int kStep, Edge kEdge>
  static CONVEXT_INLINE void tile(const StencilArgs<T>& args, const T* x, T* y, int64_t j, int64_t columns) {
    const int64_t tail = columns - (VT - 1) * kLanes;
    Mask in_tail[kStep];
    for (int i = 0; i < kStep; ++i) in_tail[i] = Vec::inside(i * kLanes, (tail - 1) * kStep + 1);
    Vec acc[RT][VT];
#pragma GCC unroll 8
    for (int r = 0; r < RT; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < VT; ++v) {
        const T* p = y + r * args.y_pitch + v * kLanes;
        acc[r][v] = !args.accumulate                 ? Vec::broadcast(args.bias)
                    : kEdge != kWhole && v == VT - 1 ? Vec::load_tail(p, tail)
                                                     : Vec::load(p);
      }
    for (int64_t t = 0; t < args.taps; ++t) {
      const Vec weight = Vec::broadcast(args.weight[t]);
      const T* p = x + args.offset[t];
      const int64_t first = kEdge == kBoth ? args.column[t] + j * kStep : 0, last = first + (columns - 1) * kStep + 1,
                    end = last < 0            ? 0
                          : last < args.width ? last
                                              : args.width;
#pragma GCC unroll 8
      for (int v = 0; v < VT; ++v) {
        const int64_t at = first + v * kStep * kLanes;
        const T* vector = p + v * kStep * kLanes;
        if (kEdge == kWhole || (kEdge == kTail && v < VT - 1) ||
            (kEdge == kBoth && at >= 0 && at + kStep * kLanes <= end)) {
#pragma GCC unroll 8
          for (int r = 0; r < RT; ++r) acc[r][v] = Vec::fma(weight, load<kStep>(vector + r * args.x_pitch), acc[r][v]);
        } else {
          Mask inside[kStep];
          for (int i = 0; i < kStep; ++i) inside[i] = kEdge == kTail ? in_tail[i] : Vec::inside(at + i * kLanes, end);
#pragma GCC unroll 8
          for (int r = 0; r < RT; ++r)
            acc[r][v] = Vec::fma(weight, load<kStep>(vector + r * args.x_pitch, inside), acc[r][v]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < RT; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < VT; ++v) {
        T* p = y + r * args.y_pitch + v * kLanes;
        if (kEdge != kWhole && v == VT - 1 && tail < kLanes)
          acc[r][v].store_tail(p, tail);
        else
          acc[r][v].store(p);
      }
  }

  // Columns j of y from `begin` on, with j * x_step < room, read only what is in the rows of x.
  struct Inner {
    int64_t begin, room;
  };
  static Inner inner(const StencilArgs<T>& args) {
    if (args.column == nullptr || args.taps == 0) return {0, (args.columns + 1) * args.x_step};
    int64_t first = args.column[0], last = first;
    for (int64_t t = 1; t < args.taps; ++t) {
      first = args.column[t] < first ? args.column[t] : first;
      last = args.column[t] > last ? args.column[t] : last;
    }
    return {first < 0 ? (args.x_step - 1 - first) / args.x_step : 0, args.width - last};
  }

  template <int RT, int VT, int kStep>
  static CONVEXT_INLINE void any_tile(const StencilArgs<T>& args, const Inner& inner, const T* x, T* y, int64_t j,
                                      int64_t columns) {
    x += j * kStep, y += j;
    if (j < inner.begin || (j + columns - 1) * kStep >= inner.room)
      tile<RT, VT, kStep, kBoth>(args, x, y, j, columns);
    else if (columns < VT * kLanes || (j + columns) * kStep > inner.room)
      tile<RT, VT, kStep, kTail>(args, x, y, j, columns);
    else
      tile<RT, VT, kStep, kWhole>(args, x, y, j, columns);
  }

  // RT rows: whole tiles of VT vectors, then what is left in one narrower tile.
  template <int RT, int VT, int kStep>
  static void row_block(const StencilArgs<T>& args, const Inner& inner, int64_t r) {
    const T* x = args.x + r * args.x_pitch;
    T* y = args.y + r * args.y_pitch;
    int64_t j = 0;
    for (; j + VT * kLanes <= args.columns; j += VT * kLanes)
      any_tile<RT, VT, kStep>(args, inner, x, y, j, VT * kLanes);
    rest<RT, VT, kStep>(args, inner, x, y, j);
  }

  template <int RT, int VT, int kStep>
  static CONVEXT_INLINE void rest(const StencilArgs<T>& args, const Inner& inner, const T* x, T* y, int64_t j) {
    if (args.columns - j > (VT - 1) * kLanes)
      any_tile<RT, VT, kStep>(args, inner, x, y, j, args.columns - j);
    else if constexpr (VT > 1)
      rest<RT, VT - 1, kStep>(args, inner, x, y, j);
  }

  // All rows, RT at a time, then what is left in halves: the fewer rows, the longer the FMA wait for each other.
  template <int RT, int VT, int kStep>
  static void all_rows(const StencilArgs<T>& args, const Inner& inner, int64_t r) {
    for (; r + RT <= args.rows; r += RT) row_block<RT, VT, kStep>(args, inner, r);
    if constexpr (RT > 1)
      if (r < args.rows) all_rows<(RT + 1) / 2 < RT ? (RT + 1) / 2 : 1, VT, kStep>(args, inner, r);
  }

  // Narrow planes take more rows at once.
  template <int kStep>
  static void run_steps(const StencilArgs<T>& args) {
    const Inner columns = inner(args);
    if (args.columns <= kLanes)
      all_rows<(R * V < 8 ? R * V : 8), 1, kStep>(args, columns, 0);
    else if (args.columns <= 2 * kLanes)
      all_rows<R * V / 2, 2, kStep>(args, columns, 0);
    else
      all_rows<R, V, kStep>(args, columns, 0);
  }

  static void run(const StencilArgs<T>& args) {
    if (args.x_step == 1)
      run_steps<1>(args);
    else
      run_steps<2>(args);
  }

  static constexpr StencilKernel<T> kernel() { return {Vec::kLanes, R, V, run}; }
};

}  // namespace
