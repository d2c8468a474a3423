// The line-stencil kernels of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/line_stencil/kernel-inl.h"

extern const convext::LineStencilTable convext::kLineStencilScalar = {LineStencil<F32, 1, 3, 2>::kernel(),
                                                                      LineStencil<F64, 1, 3, 2>::kernel()};
