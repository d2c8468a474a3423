// The transposes of AVX2.
#include "simd/avx2.h"

#include "kernels/transpose/kernel-inl.h"

extern const convext::TransposeTable convext::kTransposeAvx2 = {Transpose<F32>::kernels(), Transpose<F64>::kernels()};
