// The methods of the Winograd algorithm; winograd.cpp puts them together.
#pragma once

#include <atomic>

#include "algorithms/method.h"

namespace convext {

// correlate.cpp and weight_grad.cpp. Costs are cycles.
extern const Method kWinogradCorrelation, kWinogradWeightGrad;

// Whether all results are finite so far: transforms spread an infinity over its tile, and may overflow.
using FiniteFlag = std::atomic<bool>;

// What is computed instead if they are not.
void sum_directly(const ConvProblem& problem, Isa isa, const Operands& operands, const Context& context);

}  // namespace convext
