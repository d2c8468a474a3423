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
  static_assert(R * V + 2 <= Vec::kRegisters, "the tile spills");

  static CONVEXT_INLINE int64_t clamp(int64_t i) { return i < 0 ? 0 : i < Vec::kLanes ? i : Vec::kLanes; }

  // RT rows x VT vectors at (x, y); the last vector has `tail` columns. j: the tile's first column, where it is at an
  // edge. There, vectors within the row are told from others by a branch: few are not.
  template <int RT, int VT, bool kTail, bool kEdge>
  static CONVEXT_INLINE void tile(const StencilArgs<T>& args, const T* x, T* y, int64_t tail, int64_t j) {
    const auto load = [tail](const T* p, int v) __attribute__((always_inline)) {
      return kTail && v == VT - 1 ? Vec::load_tail(p + v * Vec::kLanes, tail) : Vec::load(p + v * Vec::kLanes);
    };
    Vec acc[RT][VT];
#pragma GCC unroll 8
    for (int r = 0; r < RT; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < VT; ++v)
        acc[r][v] = args.accumulate ? load(y + r * args.y_pitch, v) : Vec::broadcast(args.bias);
    for (int64_t t = 0; t < args.taps; ++t) {
      const Vec weight = Vec::broadcast(args.weight[t]);
      const T* p = x + args.offset[t];
      if constexpr (kEdge) {
        const int64_t column = args.column[t] + j;
#pragma GCC unroll 8
        for (int v = 0; v < VT; ++v) {
          const int64_t first = column + v * Vec::kLanes;
          if (first >= 0 && first + Vec::kLanes <= args.width) {
#pragma GCC unroll 8
            for (int r = 0; r < RT; ++r)
              acc[r][v] = Vec::fma(weight, Vec::load(p + r * args.x_pitch + v * Vec::kLanes), acc[r][v]);
          } else {
            const int64_t from = clamp(-first), to = clamp(args.width - first);
#pragma GCC unroll 8
            for (int r = 0; r < RT; ++r)
              acc[r][v] =
                  Vec::fma(weight, Vec::load_range(p + r * args.x_pitch + v * Vec::kLanes, from, to), acc[r][v]);
          }
        }
      } else {
#pragma GCC unroll 8
        for (int r = 0; r < RT; ++r)
#pragma GCC unroll 8
          for (int v = 0; v < VT; ++v) acc[r][v] = Vec::fma(weight, load(p + r * args.x_pitch, v), acc[r][v]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < RT; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < VT; ++v) {
        T* p = y + r * args.y_pitch + v * Vec::kLanes;
        if (kTail && v == VT - 1)
          acc[r][v].store_tail(p, tail);
        else
          acc[r][v].store(p);
      }
  }

  // Does a tile of so many columns read beyond a row of x?
  static bool at_edge(const StencilArgs<T>& args, int64_t j, int64_t columns) {
    if (args.column == nullptr) return false;
    for (int64_t t = 0; t < args.taps; ++t)
      if (args.column[t] + j < 0 || args.column[t] + j + columns > args.width) return true;
    return false;
  }

  template <int RT, int VT, bool kTail>
  static CONVEXT_INLINE void any_tile(const StencilArgs<T>& args, const T* x, T* y, int64_t tail, int64_t j) {
    if (at_edge(args, j, kTail ? (VT - 1) * Vec::kLanes + tail : VT * Vec::kLanes))
      tile<RT, VT, kTail, true>(args, x, y, tail, j);
    else
      tile<RT, VT, kTail, false>(args, x, y, tail, j);
  }

  // RT rows: whole tiles of VT vectors, then what is left in one narrower tile, masked.
  template <int RT, int VT>
  static void row_block(const StencilArgs<T>& args, int64_t r) {
    const T* x = args.x + r * args.x_pitch;
    T* y = args.y + r * args.y_pitch;
    int64_t j = 0;
    for (; j + VT * Vec::kLanes <= args.columns; j += VT * Vec::kLanes)
      any_tile<RT, VT, false>(args, x + j, y + j, 0, j);
    rest<RT, VT>(args, x + j, y + j, args.columns - j, j);
  }

  template <int RT, int VT>
  static CONVEXT_INLINE void rest(const StencilArgs<T>& args, const T* x, T* y, int64_t columns, int64_t j) {
    if (columns > (VT - 1) * Vec::kLanes)
      any_tile<RT, VT, true>(args, x, y, columns - (VT - 1) * Vec::kLanes, j);
    else if constexpr (VT > 1)
      rest<RT, VT - 1>(args, x, y, columns, j);
  }

  // All rows, RT at a time, then what is left in halves: the fewer rows, the longer the FMA wait for each other.
  template <int RT, int VT>
  static void all_rows(const StencilArgs<T>& args, int64_t r) {
    for (; r + RT <= args.rows; r += RT) row_block<RT, VT>(args, r);
    if constexpr (RT > 1)
      if (r < args.rows) all_rows<(RT + 1) / 2 < RT ? (RT + 1) / 2 : 1, VT>(args, r);
  }

  // Narrow planes take more rows at once.
  static void run(const StencilArgs<T>& args) {
    if (args.columns <= Vec::kLanes)
      all_rows<(R * V < 8 ? R * V : 8), 1>(args, 0);
    else if (args.columns <= 2 * Vec::kLanes)
      all_rows<R * V / 2, 2>(args, 0);
    else
      all_rows<R, V>(args, 0);
  }

  static constexpr StencilKernel<T> kernel() { return {Vec::kLanes, R, V, run}; }
};

}  // namespace
