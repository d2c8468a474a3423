// The row kernels of AVX2.
#include "simd/avx2.h"

#include "kernels/rows/kernel-inl.h"

extern const convext::RowTable convext::kRowsAvx2 = {Rows<F32>::kernels(), Rows<F64>::kernels()};
