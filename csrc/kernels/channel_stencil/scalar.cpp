// The channel-stencil kernels of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/channel_stencil/kernel-inl.h"

extern const convext::ChannelStencilTable convext::kChannelStencilScalar = {ChannelStencil<F32>::kernels<8, 8>(),
                                                                            ChannelStencil<F64>::kernels<8, 8>()};
