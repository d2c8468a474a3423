// Depthwise convolution with channels in the lanes (kernels/channel_stencil), either layout.
#pragma once

#include "algorithms/method.h"

namespace convext {

// Pixels times vectors of channels in one task: the tables of a panel are made once a task.
inline constexpr int64_t kVectorsPerTask = 2048;

// channels_correlate.cpp and channels_weight_grad.cpp.
extern const Method kChannelCorrelation, kChannelWeightGrad;

}  // namespace convext
