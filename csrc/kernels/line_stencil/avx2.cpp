// The line-stencil kernels of AVX2.
#include "simd/avx2.h"

#include "kernels/line_stencil/kernel-inl.h"

extern const convext::LineStencilTable convext::kLineStencilAvx2 = {LineStencil<F32, 1, 10, 2>::kernel(),
                                                                    LineStencil<F64, 1, 10, 2>::kernel()};
