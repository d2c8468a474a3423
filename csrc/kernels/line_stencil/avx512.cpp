// The line-stencil kernels of AVX-512.
#include "simd/avx512.h"

#include "kernels/line_stencil/kernel-inl.h"

extern const convext::LineStencilTable convext::kLineStencilAvx512 = {LineStencil<F32, 2, 12, 2>::kernel(),
                                                                      LineStencil<F64, 2, 12, 2>::kernel()};
