// Output pass and input gradient of depthwise convolution; the weight gradient is pixel_sum.h's.
#pragma once

#include "algorithms/algorithm.h"

namespace convext {

template <typename T>
Plan plan_planes(const ConvProblem& problem, Isa isa);
template <typename T>
void run_planes(const ConvProblem& problem, const Plan& plan, const Operands& operands, const Context& context);

}  // namespace convext
