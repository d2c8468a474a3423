// The body of the fold kernels; fold.h has the contract.
//
// A load a term is the limit: kVectors sums hide the latency of the additions. They lie side by side in a row, or one
// below the other: then the masks of an edge are made once for all.
#pragma once

#include "kernels/fold/fold.h"

namespace {

using convext::FoldArgs;
using convext::FoldKernel;
using convext::FoldTap;

template <typename Vec>
struct Fold {
  using T = typename Vec::T;
  using Args = FoldArgs<T>;
  static constexpr int64_t kLanes = Vec::kLanes;
  static constexpr int kVectors = 8;

  // R rows x V vectors, from row r, column j on; kEdge: where not every term has all columns.
  template <int R, int V, bool kEdge>
  static CONVEXT_INLINE void tile(const Args& args, int64_t r, int64_t j) {
    Vec sum[R][V];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[i][v] = Vec::broadcast(args.bias);
    for (const FoldTap* tap = args.tap; tap < args.tap + args.taps; ++tap) {
      const T* x = args.x + tap->offset + r * args.x_pitch + j;
      const int64_t from = kEdge ? lanes_of<Vec>(tap->begin - j) : 0, to = kEdge ? lanes_of<Vec>(tap->end - j) : 0;
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
          const T* at = x + i * args.x_pitch + v * kLanes;
          sum[i][v] = Vec::add(sum[i][v], kEdge ? Vec::load_range(at, from, to) : Vec::load(at));
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v)
        store_left(sum[i][v], args.y + (r + i) * args.y_pitch + j + v * kLanes, args.columns - j - v * kLanes);
  }

  // All rows of V vectors. The last rows are summed twice rather than apart.
  template <int V, bool kEdge>
  static __attribute__((noinline)) void columns(const Args& args, int64_t j) {
    constexpr int R = kVectors / V;
    if (args.rows < R)
      for (int64_t r = 0; r < args.rows; ++r) tile<1, V, kEdge>(args, r, j);
    else
      for (int64_t r = 0; r < args.rows; r += R) tile<R, V, kEdge>(args, r + R <= args.rows ? r : args.rows - R, j);
  }

  static void run(const Args& args) {
    int64_t begin = 0, end = args.columns;  // where every term has all columns
    for (int64_t t = 0; t < args.taps; ++t) {
      if (args.tap[t].begin > begin) begin = args.tap[t].begin;
      if (args.tap[t].end < end) end = args.tap[t].end;
    }
    for (int64_t j = 0; j < args.columns;) {
      const int64_t inside = j >= begin ? end - j : 0;
      if (args.rows < kVectors && inside >= kVectors * kLanes)
        columns<kVectors, false>(args, j), j += kVectors * kLanes;
      else if (inside >= kLanes)
        columns<1, false>(args, j), j += kLanes;
      else
        columns<1, true>(args, j), j += kLanes;
    }
  }

  static constexpr FoldKernel<T> kernel() { return {kLanes, kVectors, run}; }
};

}  // namespace
