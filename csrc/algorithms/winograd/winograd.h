// The halves of the Winograd algorithm; winograd.cpp puts them together.
#pragma once

#include "algorithms/algorithm.h"

namespace convext {

// Output pass and input gradient: correlate.cpp. cycles estimates what a plan takes; run tells whether all results
// are finite.
template <typename T>
Plan plan_winograd_correlation(const ConvProblem& problem, Isa isa);
template <typename T>
double winograd_correlation_cycles(const ConvProblem& problem, const Plan& plan);
template <typename T>
bool run_winograd_correlation(const ConvProblem& problem, const Plan& plan, const Operands& operands,
                              const Context& context);

// Weight gradient: weight_grad.cpp; likewise.
template <typename T>
Plan plan_winograd_weight_grad(const ConvProblem& problem, Isa isa);
template <typename T>
double winograd_weight_grad_cycles(const ConvProblem& problem, const Plan& plan);
template <typename T>
bool run_winograd_weight_grad(const ConvProblem& problem, const Plan& plan, const Operands& operands,
                              const Context& context);

}  // namespace convext
