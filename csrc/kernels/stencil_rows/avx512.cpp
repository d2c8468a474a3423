// The stencil_rows kernels of AVX-512.
#include "simd/avx512.h"

#include "kernels/stencil_rows/kernel-inl.h"

extern const convext::StencilRowsTable convext::kStencilRowsAvx512 = {StencilRows<F32, 4, 4, 7>::kernel(),
                                                                      StencilRows<F64, 4, 4, 7>::kernel()};
