// The channel-stencil kernels of AVX-512.
#include "simd/avx512.h"

#include "kernels/channel_stencil/kernel-inl.h"

extern const convext::ChannelStencilTable convext::kChannelStencilAvx512 = {ChannelStencil<F32>::kernels<14, 10>(),
                                                                            ChannelStencil<F64>::kernels<14, 10>()};
