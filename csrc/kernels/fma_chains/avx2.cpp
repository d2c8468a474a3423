// The chains of AVX2.
#include "simd/avx2.h"

#include "kernels/fma_chains/kernel-inl.h"

extern const convext::FmaChainsTable convext::kFmaChainsAvx2 = {FmaChains<F32>::kernel(), FmaChains<F64>::kernel()};
