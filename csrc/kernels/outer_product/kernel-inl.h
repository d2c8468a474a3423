// The body of every outer-product tile; outer_product.h has the contract.
//
// Register budget: MR * NV accumulators, NV vectors of B and one broadcast of A. FMA-bound from about
// MR * NV = 10 on (2 FMA a cycle, 4 cycles latency) while MR + NV loads a step fit the 2 load ports.
#pragma once

#include "kernels/outer_product/outer_product.h"

namespace {

using convext::OuterProductArgs;
using convext::OuterProductTiles;
using convext::Start;

template <typename Vec, int MR, int NV, bool kPacked>
struct OuterProductTile {
  using T = typename Vec::T;
  static constexpr int kFullColumns = (NV - 1) * Vec::kLanes;
  static constexpr bool kAsksAhead = kPacked && Vec::kLanes * sizeof(T) == 64;
  static constexpr int kL2 = 2;  // __builtin_prefetch's locality
  static_assert(MR * NV + NV + 1 <= Vec::kRegisters, "the tile spills");

  // Where the last vector is partial its loads are masked; where that is free all are.
  template <bool kTail>
  static CONVEXT_INLINE void load_row(Vec (&b)[NV], const T* p, int64_t tail) {
#pragma GCC unroll 4
    for (int v = 0; v < NV - 1; ++v) b[v] = Vec::load(p + v * Vec::kLanes);
    b[NV - 1] = kTail ? Vec::load_tail(p + kFullColumns, tail) : Vec::load(p + kFullColumns);
  }

  template <bool kTail>
  static CONVEXT_INLINE void start(Vec (&acc)[MR][NV], const OuterProductArgs<T>& args, int64_t tail) {
    switch (args.start) {
      case Start::kRowBias:
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r)
#pragma GCC unroll 4
          for (int v = 0; v < NV; ++v) acc[r][v] = Vec::broadcast(args.bias[r]);
        break;
      case Start::kColumnBias:
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r) load_row<kTail>(acc[r], args.bias, tail);
        break;
      default:  // kZero; kAdd adds at the end
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r)
#pragma GCC unroll 4
          for (int v = 0; v < NV; ++v) acc[r][v] = Vec::zero();
    }
  }

  template <bool kTail, bool kAsksForRows = false>
  static CONVEXT_INLINE void compute(const OuterProductArgs<T>& args) {
    const int64_t tail = args.columns - kFullColumns;
    Vec acc[MR][NV];
    start<kTail>(acc, args, tail);
    // The block of C is on its way while the sum runs (1 to 2 %).
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) __builtin_prefetch(args.c + r * args.c_stride + v * Vec::kLanes, 1);
    const T* a = args.a;
    const T* row[MR];
    if constexpr (!kPacked) {
#pragma GCC unroll 16
      for (int r = 0; r < MR; ++r) row[r] = args.rows[r];
    }
    for (int64_t k = 0; k < args.steps; ++k) {
      Vec b[NV];
      const T* at_b = args.b + args.b_offset[k];
      load_row<kTail>(b, at_b, tail);
      if constexpr (kAsksAhead) __builtin_prefetch(at_b + args.ahead, 0, kL2);
      if constexpr (kAsksForRows) __builtin_prefetch(args.next + (k & 7) * args.next_pitch + (k >> 3) * 8);
      const int64_t at = kPacked ? 0 : args.a_offset[k];
#pragma GCC unroll 16
      for (int r = 0; r < MR; ++r) {
        const Vec ar = Vec::broadcast(kPacked ? a[r] : row[r][at]);
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) acc[r][v] = Vec::fma(ar, b[v], acc[r][v]);
      }
      if constexpr (kPacked) a += MR;
    }
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
      T* c = args.c + r * args.c_stride;
      if (args.start == Start::kAdd) {
        Vec before[NV];
        load_row<kTail>(before, c, tail);
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) acc[r][v] = Vec::add(before[v], acc[r][v]);
      }
#pragma GCC unroll 4
      for (int v = 0; v < NV - 1; ++v) acc[r][v].store(c + v * Vec::kLanes);
      if (kTail)
        acc[r][NV - 1].store_tail(c + kFullColumns, tail);
      else
        acc[r][NV - 1].store(c + kFullColumns);
    }
  }

  static void run(const OuterProductArgs<T>& args) {
    if constexpr (!kPacked && NV == 4)  // with registers to spare
      if (args.next != nullptr) return compute<true, true>(args);
    if (Vec::kFreeTail || args.columns != NV * Vec::kLanes)
      compute<true>(args);
    else
      compute<false>(args);
  }
};

// Fills the tiles 1 .. MR of NV vectors.
template <typename Vec, int NV, int kPackedMr, int kRowsMr, int MR = 1>
constexpr void add_tiles(OuterProductTiles<typename Vec::T>& tiles) {
  if constexpr (MR == 1) {
    tiles.lanes = Vec::kLanes;
    tiles.max_packed_mr[NV - 1] = kPackedMr;
    tiles.max_rows_mr[NV - 1] = kRowsMr;
  }
  if constexpr (MR <= kPackedMr) tiles.packed[NV - 1][MR - 1] = OuterProductTile<Vec, MR, NV, true>::run;
  if constexpr (MR <= kRowsMr) tiles.rows[NV - 1][MR - 1] = OuterProductTile<Vec, MR, NV, false>::run;
  if constexpr (MR < kPackedMr || MR < kRowsMr) add_tiles<Vec, NV, kPackedMr, kRowsMr, MR + 1>(tiles);
}

}  // namespace
