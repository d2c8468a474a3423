// The line_stencil_grad kernels of AVX2.
#include "simd/avx2.h"

#include "kernels/line_stencil_grad/kernel-inl.h"

extern const convext::LineStencilGradTable convext::kLineStencilGradAvx2 = {LineStencilGrad<F32, 4>::kernel(),
                                                                            LineStencilGrad<F64, 4>::kernel()};
