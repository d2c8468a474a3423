// The body of every inner-product tile; inner_product.h has the contract.
//
// Register budget: MR * NR accumulators, the vectors of the side of fewer rows and one of the other. Loads: MR + NR a
// step for MR * NR FMA, so 4x6 is FMA-bound and 1x9 load-bound (and a load that crosses a cache line counts twice).
#pragma once

#include "kernels/inner_product/inner_product.h"

namespace {

using convext::InnerProductArgs;
using convext::InnerProductTiles;

template <typename Vec, int MR, int NR>
struct InnerProductTile {
  using T = typename Vec::T;
  static_assert(MR * NR + (MR < NR ? MR : NR) + 1 <= Vec::kRegisters, "the tile spills");

  template <typename Load>
  static CONVEXT_INLINE void step(Vec (&acc)[MR][NR], const T* const (&a)[MR], const T* const (&b)[NR],
                                  const Load& load) {
    // The side of fewer rows stays in registers.
    constexpr bool kHoldsA = MR <= NR;
    constexpr int kHeld = kHoldsA ? MR : NR, kRead = kHoldsA ? NR : MR;
    const T *const *held = kHoldsA ? a : b, *const *read = kHoldsA ? b : a;
    Vec x[kHeld];
#pragma GCC unroll 4
    for (int i = 0; i < kHeld; ++i) x[i] = load(held[i]);
#pragma GCC unroll 16
    for (int j = 0; j < kRead; ++j) {
      Vec y = load(read[j]);
      if constexpr (kHeld > 1) y.keep();  // GCC would load it for each of them
#pragma GCC unroll 4
      for (int i = 0; i < kHeld; ++i) {
        Vec& sum = kHoldsA ? acc[i][j] : acc[j][i];
        sum = Vec::fma(x[i], y, sum);
      }
    }
  }

  static void run(const InnerProductArgs<T>& args) {
    Vec acc[MR][NR];
#pragma GCC unroll 4
    for (int r = 0; r < MR; ++r)
#pragma GCC unroll 16
      for (int j = 0; j < NR; ++j) acc[r][j] = Vec::zero();
    const T* a[MR];
    const T* b[NR];
    for (int64_t s = 0; s < args.segments; ++s) {
#pragma GCC unroll 4
      for (int r = 0; r < MR; ++r) a[r] = args.a[r] + args.a_segments[s];
#pragma GCC unroll 16
      for (int j = 0; j < NR; ++j) b[j] = args.b[j] + args.b_segments[s];
      int64_t i = 0;
      for (; i + Vec::kLanes <= args.length; i += Vec::kLanes)
        step(acc, a, b, [i](const T* p) __attribute__((always_inline)) { return Vec::load(p + i); });
      if (const int64_t tail = args.length - i)
        step(acc, a, b, [i, tail](const T* p) __attribute__((always_inline)) { return Vec::load_tail(p + i, tail); });
    }
#pragma GCC unroll 4
    for (int r = 0; r < MR; ++r)
#pragma GCC unroll 16
      for (int j = 0; j < NR; ++j) {
        T* c = args.c + r * args.c_row + j * args.c_column;
        const T before = args.accumulate ? *c : args.bias ? args.bias[j] : T(0);
        *c = before + acc[r][j].sum();
      }
  }
};

// Fills the tiles MR x (1 .. NR).
template <typename Vec, int MR, int NR>
constexpr void add_tiles(InnerProductTiles<typename Vec::T>& tiles) {
  if (tiles.max_nr[MR - 1] < NR) tiles.max_nr[MR - 1] = NR;
  tiles.lanes = Vec::kLanes;
  tiles.fn[MR - 1][NR - 1] = InnerProductTile<Vec, MR, NR>::run;
  if constexpr (NR > 1) add_tiles<Vec, MR, NR - 1>(tiles);
}

}  // namespace
