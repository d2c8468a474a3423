// The fold kernels of machines with AVX-512.
#include "simd/avx512.h"

#include "kernels/fold/kernel-inl.h"

extern const convext::FoldTable convext::kFoldAvx512 = {Fold<F32>::kernel(), Fold<F64>::kernel()};
