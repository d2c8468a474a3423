// The row kernels of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/rows/kernel-inl.h"

extern const convext::RowTable convext::kRowsScalar = {Rows<F32>::kernels(), Rows<F64>::kernels()};
