// The line_stencil_grad kernels of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/line_stencil_grad/kernel-inl.h"

extern const convext::LineStencilGradTable convext::kLineStencilGradScalar = {LineStencilGrad<F32, 4>::kernel(),
                                                                              LineStencilGrad<F64, 4>::kernel()};
