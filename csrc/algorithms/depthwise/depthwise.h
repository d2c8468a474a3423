// Depthwise convolution with rows of planes in the lanes.
#pragma once

#include "algorithms/half.h"

namespace convext {

// Masks of lanes are made of columns in 32 bits: wider rows are copied, or left to others.
inline constexpr int64_t kMaskColumns = 1 << 29;

extern const Half kPlaneCorrelation, kPlaneWeightGrad;

// Does kPlaneWeightGrad compute it: zeros as padding, and steps along rows that vectors can take? The weight gradient
// of others is pixel_sum.h's.
bool reads_planes_in_place(const ConvProblem& problem);

}  // namespace convext
