// The row kernels of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/rows/kernel-inl.h"

extern const convext::RowTable convext::kRowsScalar = {{Rows<F32>::copy, Rows<F32>::interleave, Rows<F32>::sum},
                                                       {Rows<F64>::copy, Rows<F64>::interleave, Rows<F64>::sum}};
