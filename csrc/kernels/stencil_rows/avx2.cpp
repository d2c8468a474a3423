// The stencil_rows kernels of AVX2.
#include "simd/avx2.h"

#include "kernels/stencil_rows/kernel-inl.h"

extern const convext::StencilRowsTable convext::kStencilRowsAvx2 = {StencilRows<F32, 4, 2, 5>::kernel(),
                                                                    StencilRows<F64, 4, 2, 5>::kernel()};
