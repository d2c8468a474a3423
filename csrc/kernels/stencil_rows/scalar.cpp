// The stencil_rows kernels of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/stencil_rows/kernel-inl.h"

extern const convext::StencilRowsTable convext::kStencilRowsScalar = {StencilRows<F32, 2, 2, 4>::kernel(),
                                                                      StencilRows<F64, 2, 2, 4>::kernel()};
