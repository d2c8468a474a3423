// Convolution with long rows of taps by transforms; fft.cpp chooses, correlate.cpp and weight_grad.cpp compute.
#pragma once

#include "algorithms/algorithm.h"

namespace convext {

template <typename T>
Plan plan_fft_correlate(const ConvProblem& problem, Isa isa);
template <typename T>
void run_fft_correlate(const ConvProblem& problem, const Plan& plan, const Operands& operands, const Context& context);

template <typename T>
Plan plan_fft_weight_grad(const ConvProblem& problem, Isa isa);
template <typename T>
void run_fft_weight_grad(const ConvProblem& problem, const Plan& plan, const Operands& operands,
                         const Context& context);

// What a plan takes on one thread, for the choice between algorithms.
template <typename T>
double fft_correlate_nanoseconds(const ConvProblem& problem, const Plan& plan);
template <typename T>
double fft_weight_grad_nanoseconds(const ConvProblem& problem, const Plan& plan);

}  // namespace convext
