// The stencil kernels of AVX-512.
#include "simd/avx512.h"

#include "kernels/stencil/kernel-inl.h"

extern const convext::StencilTable convext::kStencilAvx512 = {Stencil<F32, 4, 4>::kernel(),
                                                              Stencil<F64, 4, 4>::kernel()};
