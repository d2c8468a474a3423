// The transposes of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/transpose/kernel-inl.h"

extern const convext::TransposeTable convext::kTransposeScalar = {Transpose<F32>::kernels(), Transpose<F64>::kernels()};
