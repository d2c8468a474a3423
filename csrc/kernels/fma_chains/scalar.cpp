// The chains of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/fma_chains/kernel-inl.h"

extern const convext::FmaChainsTable convext::kFmaChainsScalar = {FmaChains<F32>::kernel(), FmaChains<F64>::kernel()};
