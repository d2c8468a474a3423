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

Tensor fake_result(const SymInt& first, const SymInt& second, SymIntArrayRef spatial, bool channels_last,
                   const Tensor& like) {
  const auto empty = [&](SymIntArrayRef sizes, at::MemoryFormat format) {
    return at::empty_symint(sizes, like.options(), format);
  };
  return empty_result<SymInt>(sizes_of(first, second, spatial), channels_last, empty);
}

Tensor conv_output(const Tensor& input, const Tensor& weight, const std::optional<Tensor>&, SymIntArrayRef output_size,
                   SymIntArrayRef, SymIntArrayRef, SymIntArrayRef, SymInt, std::string_view, bool channels_last) {
  return fake_result(input.sym_size(0), weight.sym_size(0), output_size, channels_last, input);
}

Tensor conv_input_grad(const Tensor& output, const Tensor& weight, const std::optional<Tensor>&,
                       SymIntArrayRef input_size, SymIntArrayRef, SymIntArrayRef, SymIntArrayRef, SymInt groups,
                       std::string_view, bool channels_last) {
  return fake_result(output.sym_size(0), weight.sym_size(1) * groups, input_size, channels_last, output);
}

std::tuple<Tensor, Tensor> conv_weight_grad(const Tensor& output, const Tensor& input, SymIntArrayRef kernel_size,
                                            SymIntArrayRef, SymIntArrayRef, SymIntArrayRef, SymInt groups,
                                            std::string_view, bool bias, bool channels_last) {
  const SymInt oc = output.sym_size(1);
  return {fake_result(oc, input.sym_size(1) / groups, kernel_size, channels_last, output),
          at::empty_symint({bias ? oc : SymInt(0)}, output.options())};
}

TORCH_LIBRARY_IMPL(convext, Meta, m) {
  m.impl("conv_output", &conv_output);
  m.impl("conv_input_grad", &conv_input_grad);
  m.impl("conv_weight_grad", &conv_weight_grad);
}

}  // namespace
}  // namespace convext
