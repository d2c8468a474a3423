// The body of the chains; fma_chains.h has the contract.
#pragma once

#include "kernels/fma_chains/fma_chains.h"

namespace {

template <typename Vec>
struct FmaChains {
  using T = typename Vec::T;
  static constexpr int kChains = 12;
  static_assert(kChains + 2 <= Vec::kRegisters, "the chains spill");

  static void run(const convext::FmaChainsArgs<T>& args) {
    const Vec x = Vec::broadcast(args.x), y = Vec::broadcast(args.y);
    Vec acc[kChains];
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) acc[i] = Vec::broadcast(T(i));
    for (int64_t step = 0; step < args.steps; ++step) {
#pragma GCC unroll 12
      for (int i = 0; i < kChains; ++i) acc[i] = Vec::fma(x, acc[i], y);
    }
    Vec sum = acc[0];
#pragma GCC unroll 12
    for (int i = 1; i < kChains; ++i) sum = Vec::add(sum, acc[i]);
    sum.store(args.sum);
  }

  static constexpr convext::FmaChainsKernel<T> kernel() { return {kChains, Vec::kLanes, run}; }
};

}  // namespace
