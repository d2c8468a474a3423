// The pixel-stencil kernels of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/pixel_stencil/kernel-inl.h"

extern const convext::PixelStencilTable convext::kPixelStencilScalar = {PixelStencil<F32>::kernels<4>(),
                                                                        PixelStencil<F64>::kernels<4>()};
