// Chains of fused multiply-adds that touch no memory:
//
//   sum[lane] = sum over chains i of acc,   where  acc = x * acc + y  is computed `steps` times from acc = i
//
// No convolution uses it: it measures the rate that no kernel can exceed. As many chains as hide an FMA's latency
// (4 cycles, two units: 8; here 12), and few enough for the registers of AVX2; they start
// differently, as equal ones would be computed once. 2 * chains * lanes * steps
// operations. `sum` has kLanes numbers, and needs no alignment.
#pragma once

#include <stdint.h>

namespace convext {

template <typename T>
struct FmaChainsArgs {
  T x, y;
  int64_t steps;
  T* sum;
};

template <typename T>
struct FmaChainsKernel {
  int chains;
  int lanes;
  void (*fn)(const FmaChainsArgs<T>&);
};

struct FmaChainsTable {
  FmaChainsKernel<float> f32;
  FmaChainsKernel<double> f64;
};

extern const FmaChainsTable kFmaChainsScalar, kFmaChainsAvx2, kFmaChainsAvx512;

}  // namespace convext
