// The fold kernels of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/fold/kernel-inl.h"

extern const convext::FoldTable convext::kFoldScalar = {Fold<F32>::kernel(), Fold<F64>::kernel()};
