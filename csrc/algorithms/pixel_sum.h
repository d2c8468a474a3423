// Weight gradient with pixels in the lanes (kernels/inner_product): for few output channels a group, where
// output channels would not fill the lanes. Depthwise and grouped convolution share it.
#pragma once

#include "algorithms/algorithm.h"

namespace convext {

template <typename T>
Plan plan_pixel_sum(const ConvProblem& problem, Isa isa);
template <typename T>
void run_pixel_sum(const ConvProblem& problem, const Plan& plan, const Operands& operands, const Context& context);

}  // namespace convext
