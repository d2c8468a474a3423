// Shapes and strides of the three operators' results, for fake tensors: sizes may be symbolic.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "torch/layout.h"

namespace convext {
namespace {

using at::Tensor;
using c10::SymInt;
using c10::SymIntArrayRef;

Tensor new_tensor(SymInt first, SymInt second, SymIntArrayRef spatial, const Tensor& like, at::MemoryFormat format) {
  c10::SymDimVector sizes{std::move(first), std::move(second)};
  sizes.append(spatial.begin(), spatial.end());
  return at::empty_symint(sizes, like.options(), format);
}

Tensor conv_output(const Tensor& input, const Tensor& weight, const std::optional<Tensor>&, SymIntArrayRef output_size,
                   SymIntArrayRef, SymIntArrayRef, SymIntArrayRef, SymInt, std::string_view) {
  return new_tensor(input.sym_size(0), weight.sym_size(0), output_size, input, result_format(input, weight));
}

Tensor conv_input_grad(const Tensor& output, const Tensor& weight, const std::optional<Tensor>&,
                       SymIntArrayRef input_size, SymIntArrayRef, SymIntArrayRef, SymIntArrayRef, SymInt groups,
                       std::string_view) {
  return new_tensor(output.sym_size(0), weight.sym_size(1) * groups, input_size, output, result_format(output, weight));
}

std::tuple<Tensor, Tensor> conv_weight_grad(const Tensor& output, const Tensor& input, SymIntArrayRef kernel_size,
                                            SymIntArrayRef, SymIntArrayRef, SymIntArrayRef, SymInt groups,
                                            std::string_view, bool bias) {
  const SymInt oc = output.sym_size(1);
  return {new_tensor(oc, input.sym_size(1) / groups, kernel_size, output, result_format(output, input)),
          at::empty_symint({bias ? oc : SymInt(0)}, output.options())};
}

TORCH_LIBRARY_IMPL(convext, Meta, m) {
  m.impl("conv_output", &conv_output);
  m.impl("conv_input_grad", &conv_input_grad);
  m.impl("conv_weight_grad", &conv_weight_grad);
}

}  // namespace
}  // namespace convext
