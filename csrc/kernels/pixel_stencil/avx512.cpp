// The pixel-stencil kernels of AVX-512.
#include "simd/avx512.h"

#include "kernels/pixel_stencil/kernel-inl.h"

extern const convext::PixelStencilTable convext::kPixelStencilAvx512 = {PixelStencil<F32>::kernels<14>(),
                                                                        PixelStencil<F64>::kernels<14>()};
