// Depthwise convolution with rows of planes in the lanes.
#pragma once

#include "algorithms/half.h"

namespace convext {

extern const Half kPlaneCorrelation, kPlaneWeightGrad;

// Does kPlaneWeightGrad compute it: zeros as padding, and steps along rows that vectors can take? The weight gradient
// of others is pixel_sum.h's.
bool reads_planes_in_place(const ConvProblem& problem);

}  // namespace convext
