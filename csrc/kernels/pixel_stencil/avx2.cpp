// The pixel-stencil kernels of AVX2.
#include "simd/avx2.h"

#include "kernels/pixel_stencil/kernel-inl.h"

extern const convext::PixelStencilTable convext::kPixelStencilAvx2 = {PixelStencil<F32>::kernels<10>(),
                                                                      PixelStencil<F64>::kernels<10>()};
