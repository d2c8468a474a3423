// The line_stencil_grad kernels of AVX-512.
#include "simd/avx512.h"

#include "kernels/line_stencil_grad/kernel-inl.h"

extern const convext::LineStencilGradTable convext::kLineStencilGradAvx512 = {LineStencilGrad<F32, 8>::kernel(),
                                                                              LineStencilGrad<F64, 8>::kernel()};
