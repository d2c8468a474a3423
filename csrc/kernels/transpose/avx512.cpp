// The transposes of AVX-512.
#include "simd/avx512.h"

#include "kernels/transpose/kernel-inl.h"

extern const convext::TransposeTable convext::kTransposeAvx512 = {Transpose<F32>::kernels(), Transpose<F64>::kernels()};
