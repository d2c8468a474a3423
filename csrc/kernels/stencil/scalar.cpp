// The stencil kernels of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/stencil/kernel-inl.h"

extern const convext::StencilTable convext::kStencilScalar = {Stencil<F32, 2, 2>::kernel(),
                                                              Stencil<F64, 2, 2>::kernel()};
