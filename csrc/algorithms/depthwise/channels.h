// Depthwise convolution with channels in the lanes (kernels/channel_stencil), either layout.
#pragma once

#include "algorithms/algorithm.h"

namespace convext {

// Pixels times vectors of channels in one task: the tables of a panel are made once a task.
inline constexpr int64_t kVectorsPerTask = 2048;

template <typename T>
Plan plan_channel_correlation(const ConvProblem& problem, Isa isa);
template <typename T>
void run_channel_correlation(const ConvProblem& problem, const Plan& plan, const Operands& operands,
                             const Context& context);

template <typename T>
Plan plan_channel_weight_grad(const ConvProblem& problem, Isa isa);
template <typename T>
void run_channel_weight_grad(const ConvProblem& problem, const Plan& plan, const Operands& operands,
                             const Context& context);

}  // namespace convext
