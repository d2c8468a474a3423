// The channel-stencil kernels of AVX2.
#include "simd/avx2.h"

#include "kernels/channel_stencil/kernel-inl.h"

extern const convext::ChannelStencilTable convext::kChannelStencilAvx2 = {ChannelStencil<F32>::kernels<10, 10>(),
                                                                          ChannelStencil<F64>::kernels<10, 10>()};
