// The fold kernels of machines with AVX2.
#include "simd/avx2.h"

#include "kernels/fold/kernel-inl.h"

extern const convext::FoldTable convext::kFoldAvx2 = {Fold<F32>::kernel(), Fold<F64>::kernel()};
