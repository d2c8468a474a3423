// The two halves of the dense algorithm; dense.cpp puts them together.
#pragma once

#include "algorithms/algorithm.h"

namespace convext {

// Output pass and input gradient: correlate.cpp.
template <typename T>
Plan plan_correlation(const ConvProblem& problem, Isa isa);
template <typename T>
void run_correlation(const ConvProblem& problem, const Plan& plan, const Operands& operands, const Context& context);

// Weight gradient: weight_grad.cpp.
template <typename T>
Plan plan_weight_grad(const ConvProblem& problem, Isa isa);
template <typename T>
void run_weight_grad(const ConvProblem& problem, const Plan& plan, const Operands& operands, const Context& context);

}  // namespace convext
