// What a call of the operators depends on besides its tensors, and the one place that decides on the layouts that
// algorithms see.
#pragma once

#include <ATen/core/Tensor.h>

#include "algorithms/algorithm.h"

namespace convext {

// CONVEXT_VERBOSE, read once: one line a call on stderr. Throws std::invalid_argument if it is neither 0 nor 1.
bool verbose();

// The process's settings. An operator asks once, so that all parts of a result are of one mind.
Policy current_policy();

// How many of an image's numbers speak for channels_last: all, none (it is both or neither) or, if it is contiguous,
// less than none.
int64_t channels_last_numbers(const at::Tensor& image);

// What is computed in place of a contiguous problem: with all tensors channels_last if most numbers of its images speak
// for it and an algorithm is worth it.
struct LayoutChoice {
  ConvProblem problem;  // as the algorithms see it
  Plan plan;
  bool channels_last;
};
LayoutChoice choose_layout(const ConvProblem& problem, int64_t numbers, const Policy& policy);

}  // namespace convext
