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

  // RT rows x VT vectors at (x, y); the last vector has `tail` columns.
  template <int RT, int VT, bool kTail>
  static CONVEXT_INLINE void tile(const StencilArgs<T>& args, const T* x, T* y, int64_t tail) {
    const auto load = [tail](const T* p, int v) __attribute__((always_inline)) {
      return kTail && v == VT - 1 ? Vec::load_tail(p + v * Vec::kLanes, tail) : Vec::load(p + v * Vec::kLanes);
    };
    Vec acc[RT][VT];
#pragma GCC unroll 8
    for (int r = 0; r < RT; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < VT; ++v) acc[r][v] = args.accumulate ? load(y + r * args.y_pitch, v) : Vec::broadcast(args.bias);
    for (int64_t t = 0; t < args.taps; ++t) {
      const Vec weight = Vec::broadcast(args.weight[t]);
      const T* p = x + args.offset[t];
#pragma GCC unroll 8
      for (int r = 0; r < RT; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < VT; ++v) acc[r][v] = Vec::fma(weight, load(p + r * args.x_pitch, v), acc[r][v]);
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

  // All columns of RT rows: whole tiles, then what is left in one narrower tile, masked.
  template <int RT>
  static CONVEXT_INLINE void row_block(const StencilArgs<T>& args, const T* x, T* y) {
    int64_t j = 0;
    for (; j + V * Vec::kLanes <= args.columns; j += V * Vec::kLanes) tile<RT, V, false>(args, x + j, y + j, 0);
    rest<RT, V>(args, x + j, y + j, args.columns - j);
  }

  template <int RT, int VT>
  static CONVEXT_INLINE void rest(const StencilArgs<T>& args, const T* x, T* y, int64_t columns) {
    if (columns > (VT - 1) * Vec::kLanes)
      tile<RT, VT, true>(args, x, y, columns - (VT - 1) * Vec::kLanes);
    else if constexpr (VT > 1)
      rest<RT, VT - 1>(args, x, y, columns);
  }

  static void run(const StencilArgs<T>& args) {
    int64_t r = 0;
    for (; r + R <= args.rows; r += R) row_block<R>(args, args.x + r * args.x_pitch, args.y + r * args.y_pitch);
    for (; r < args.rows; ++r) row_block<1>(args, args.x + r * args.x_pitch, args.y + r * args.y_pitch);
  }

  static constexpr StencilKernel<T> kernel() { return {Vec::kLanes, R, V, run}; }
};

}  // namespace
