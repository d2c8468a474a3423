#include "torch/operators.h"

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <string>

#include "torch/compute.h"
#include "torch/fold.h"
#include "torch/layout.h"
#include "torch/problem.h"

namespace convext {
namespace {

template <typename Signature>
c10::TypedOperatorHandle<Signature> find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

std::string describe(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                     c10::IntArrayRef stride, c10::IntArrayRef padding, c10::IntArrayRef output_size,
                     c10::IntArrayRef dilation, int64_t groups, std::string_view padding_mode, std::string_view pass) {
  const auto output = sizes_of(input.size(0), weight.size(0), output_size);
  const ConvProblem problem =
      make_problem({parse_problem("pass=" + std::string(pass)).pass, input.scalar_type(), bias.has_value(),
                    input.sizes(), weight.sizes(), output, stride, padding, dilation, groups, padding_mode});
  const bool last = padded_is_channels_last(input, weight, parse_padding_mode(padding_mode));
  const int64_t numbers = input.dim() != 4 ? 0 : last ? problem.output_count() : -problem.output_count();
  const LayoutChoice choice = choose_layout(problem, channels_last_numbers(input) + numbers, current_policy());
  return to_string(!choice.channels_last && folds_border(choice.problem) ? padded_problem(problem) : choice.problem);
}

}  // namespace

const c10::TypedOperatorHandle<ConvSignature>& conv_output_op() {
  static const auto op = find<ConvSignature>("convext::conv_output");
  return op;
}

const c10::TypedOperatorHandle<ConvSignature>& conv_input_grad_op() {
  static const auto op = find<ConvSignature>("convext::conv_input_grad");
  return op;
}

const c10::TypedOperatorHandle<WeightGradSignature>& conv_weight_grad_op() {
  static const auto op = find<WeightGradSignature>("convext::conv_weight_grad");
  return op;
}

at::Tensor channel_sum(const at::Tensor& t) {
  return t.sum(t.dim() == 3 ? c10::IntArrayRef{0, 2} : c10::IntArrayRef{0, 2, 3});
}

TORCH_LIBRARY(convext, m) {
  const std::vector<at::Tag> tags = {at::Tag::pt2_compliant_tag};

  // What users call: torch.nn.functional's arguments and a padding mode.
  m.def(
      "conv1d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] stride=1, SymInt[1] padding=0, "
      "SymInt[1] dilation=1, SymInt groups=1, str padding_mode=\"zeros\") -> Tensor",
      tags);
  m.def(
      "conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, SymInt[2] padding=0, "
      "SymInt[2] dilation=1, SymInt groups=1, str padding_mode=\"zeros\") -> Tensor",
      tags);
  m.def(
      "conv1d.padding(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] stride=1, str padding=\"valid\", "
      "SymInt[1] dilation=1, SymInt groups=1, str padding_mode=\"zeros\") -> Tensor",
      tags);
  m.def(
      "conv2d.padding(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, str padding=\"valid\", "
      "SymInt[2] dilation=1, SymInt groups=1, str padding_mode=\"zeros\") -> Tensor",
      tags);
  m.def(
      "conv_transpose1d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] stride=1, SymInt[1] padding=0, "
      "SymInt[1] output_padding=0, SymInt groups=1, SymInt[1] dilation=1) -> Tensor",
      tags);
  m.def(
      "conv_transpose2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, SymInt[2] padding=0, "
      "SymInt[2] output_padding=0, SymInt groups=1, SymInt[2] dilation=1) -> Tensor",
      tags);

  // The three passes, each other's derivatives.
  m.def(
      "conv_output(Tensor input, Tensor weight, Tensor? bias, SymInt[] output_size, SymInt[] stride, "
      "SymInt[] padding, SymInt[] dilation, SymInt groups, str padding_mode, bool channels_last=False) -> Tensor",
      tags);
  m.def(
      "conv_input_grad(Tensor output, Tensor weight, Tensor? bias, SymInt[] input_size, SymInt[] stride, "
      "SymInt[] padding, SymInt[] dilation, SymInt groups, str padding_mode, bool channels_last=False) -> Tensor",
      tags);
  m.def(
      "conv_weight_grad(Tensor output, Tensor input, SymInt[] kernel_size, SymInt[] stride, SymInt[] padding, "
      "SymInt[] dilation, SymInt groups, str padding_mode, bool bias, bool channels_last=False) -> "
      "(Tensor, Tensor)",
      tags);

  // The problem, as text, that a pass of these arguments would compute.
  m.def(
      "describe(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding_before, "
      "SymInt[] output_size, SymInt[] dilation, SymInt groups, str padding_mode, str pass_name) -> str",
      &describe);
}

}  // namespace convext
