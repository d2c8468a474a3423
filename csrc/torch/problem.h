// From the sizes and arguments of an operator to a ConvProblem.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "core/problem.h"

namespace convext {

// Throws ValueError, in torch.nn's words, for what is no padding mode.
PaddingMode parse_padding_mode(std::string_view name);

// What a ConvProblem is made of: the sizes of the three tensors, (n, c, [h,] w) and (oc, ic/g, [kh,] kw),
// and one number for each spatial dimension in each list.
struct ProblemArguments {
  Pass pass;
  at::ScalarType dtype;
  bool bias;
  c10::IntArrayRef input, weight, output;
  c10::IntArrayRef stride, padding, dilation;
  int64_t groups;
  std::string_view padding_mode;
};

// Throws if the sizes do not fit together, or a padding mode would have to wrap twice. Numbers that nothing
// depends on (the stride of a single output, say) are set to their defaults, so that they cannot overflow and
// equal work gives equal problems.
ConvProblem make_problem(const ProblemArguments& arguments);

}  // namespace convext
