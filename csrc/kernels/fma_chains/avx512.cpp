// The chains of AVX-512.
#include "simd/avx512.h"

#include "kernels/fma_chains/kernel-inl.h"

extern const convext::FmaChainsTable convext::kFmaChainsAvx512 = {FmaChains<F32>::kernel(), FmaChains<F64>::kernel()};
