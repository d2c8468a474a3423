// The stencil kernels of AVX2.
#include "simd/avx2.h"

#include "kernels/stencil/kernel-inl.h"

extern const convext::StencilTable convext::kStencilAvx2 = {Stencil<F32, 3, 4>::kernel(), Stencil<F64, 3, 4>::kernel()};
