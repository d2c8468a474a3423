// The row kernels of AVX-512.
#include "simd/avx512.h"

#include "kernels/rows/kernel-inl.h"

extern const convext::RowTable convext::kRowsAvx512 = {Rows<F32>::kernels(), Rows<F64>::kernels()};
