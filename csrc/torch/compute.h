// The one place that decides on the layouts that algorithms see.
#pragma once

#include <ATen/core/Tensor.h>

#include "algorithms/algorithm.h"

namespace convext {

// How many of an image's numbers speak for channels_last: all, none (it is both or neither) or, if it is contiguous,
// less than none.
int64_t channels_last_numbers(const at::Tensor& image);

// Makes all tensors of a contiguous problem channels_last if most numbers of its images speak for it and an algorithm
// is worth it. Returns the plan.
Plan choose_layout(ConvProblem& problem, int64_t numbers, const Policy& policy);

}  // namespace convext
