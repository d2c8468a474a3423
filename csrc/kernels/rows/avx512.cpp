// The row kernels of AVX-512.
#include "simd/avx512.h"

#include "kernels/rows/kernel-inl.h"

extern const convext::RowTable convext::kRowsAvx512 = {{Rows<F32>::copy, Rows<F32>::interleave, Rows<F32>::sum},
                                                       {Rows<F64>::copy, Rows<F64>::interleave, Rows<F64>::sum}};
