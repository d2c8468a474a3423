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

// How a tile reads A, step by step: at(r) is the number of row r. Loads are not what limits a tile: ask() spends one on
// what comes later.
template <typename Vec, int MR>
struct Packed {
  using T = typename Vec::T;
  static constexpr bool kAsks = Vec::kLanes * sizeof(T) == 64;
  static constexpr int kL2 = 2;  // __builtin_prefetch's locality
  const T* a;
  int64_t ahead;

  explicit CONVEXT_INLINE Packed(const OuterProductArgs<T>& args) : a(args.a), ahead(args.ahead) {}
  CONVEXT_INLINE T at(int r) const { return a[r]; }
  CONVEXT_INLINE void ask(int64_t, const T* b) const {
    if constexpr (kAsks) __builtin_prefetch(b + ahead, 0, kL2);
  }
  CONVEXT_INLINE void step() { a += MR; }
};

// What it reads of B it writes side by side: stores are what a tile has to spare.
template <typename Vec, int MR>
struct Keeping : Packed<Vec, MR> {
  using T = typename Vec::T;
  T* kept;
  int64_t pitch;

  explicit CONVEXT_INLINE Keeping(const OuterProductArgs<T>& args)
      : Packed<Vec, MR>(args), kept(args.kept), pitch(args.kept_pitch) {}
  template <int NV>
  CONVEXT_INLINE void keep(const Vec (&b)[NV]) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) b[v].store(kept + v * Vec::kLanes);
    kept += pitch;
  }
};

template <typename Vec, int MR>
struct Rows {
  using T = typename Vec::T;
  const T* row[MR];
  const int64_t* offset;

  explicit CONVEXT_INLINE Rows(const OuterProductArgs<T>& args) : offset(args.a_offset) {
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) row[r] = args.rows[r];
  }
  CONVEXT_INLINE T at(int r) const { return row[r][*offset]; }
  CONVEXT_INLINE void ask(int64_t, const T*) const {}
  CONVEXT_INLINE void step() { ++offset; }
};

// A pointer serves three rows: an address holds once or twice the distance to it. A pointer for each would spill.
template <typename Vec, int MR>
struct Strided {
  using T = typename Vec::T;
  static constexpr int kPointers = (MR + 2) / 3;
  const T *a[kPointers], *next;
  const int64_t* next_offset;
  int64_t row, pitch;

  explicit CONVEXT_INLINE Strided(const OuterProductArgs<T>& args)
      : next(args.next), next_offset(args.next_offset), row(args.a_row), pitch(args.a_step) {
#pragma GCC unroll 8
    for (int i = 0; i < kPointers; ++i) a[i] = args.a + 3 * i * row;
  }
  CONVEXT_INLINE T at(int r) const { return a[r / 3][r % 3 * row]; }
  CONVEXT_INLINE void ask(int64_t k, const T*) const { __builtin_prefetch(next + next_offset[k]); }
  CONVEXT_INLINE void step() {
#pragma GCC unroll 8
    for (int i = 0; i < kPointers; ++i) {
      a[i] += pitch;
      asm("" : "+r"(a[i]));  // the compiler would make a pointer of each row
    }
  }
};

template <typename Vec, int MR, int NV, template <typename, int> class A>
struct OuterProductTile {
  using T = typename Vec::T;
  static constexpr int kFullColumns = (NV - 1) * Vec::kLanes;
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

  template <bool kTail>
  static CONVEXT_INLINE void compute(const OuterProductArgs<T>& args) {
    const int64_t tail = args.columns - kFullColumns;
    Vec acc[MR][NV];
    start<kTail>(acc, args, tail);
    A<Vec, MR> a(args);
    int64_t k = 0;
    const auto step = [&]() __attribute__((always_inline)) {
      Vec b[NV];
      const T* at_b = args.b + args.b_offset[k];
      load_row<kTail>(b, at_b, tail);
      a.ask(k, at_b);
      if constexpr (requires { a.keep(b); }) a.keep(b);
#pragma GCC unroll 16
      for (int r = 0; r < MR; ++r) {
        const Vec ar = Vec::broadcast(a.at(r));
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) acc[r][v] = Vec::fma(ar, b[v], acc[r][v]);
      }
      a.step(), ++k;
    };
    // C is on its way while the sum runs, a row a step: all of it at once would hold up what the sum itself reads.
    const T* c_row = args.c;
    for (const int64_t asked = args.steps < MR ? args.steps : MR; k < asked; c_row += args.c_stride) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) __builtin_prefetch(c_row + v * Vec::kLanes, 1);
      step();
    }
    while (k < args.steps) step();
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
  if constexpr (MR <= kPackedMr) {
    tiles.packed[NV - 1][MR - 1] = OuterProductTile<Vec, MR, NV, Packed>::run;
    if constexpr (!Packed<Vec, MR>::kAsks) tiles.keeping[NV - 1][MR - 1] = OuterProductTile<Vec, MR, NV, Keeping>::run;
  }
  if constexpr (MR <= kRowsMr) {
    tiles.rows[NV - 1][MR - 1] = OuterProductTile<Vec, MR, NV, Rows>::run;
    tiles.strided[NV - 1][MR - 1] = OuterProductTile<Vec, MR, NV, Strided>::run;
  }
  if constexpr (MR < kPackedMr || MR < kRowsMr) add_tiles<Vec, NV, kPackedMr, kRowsMr, MR + 1>(tiles);
}

}  // namespace
