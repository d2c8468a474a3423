// Derivatives of the three operators, written as PyTorch's generated code is. The three passes of a
// convolution are the partial derivatives of one form that is linear in input, weight and output; so each
// pass's derivatives are the other two, to any order, backwards and forwards.
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/dynamo/compiled_autograd.h>
#include <torch/library.h>

#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "torch/operators.h"

namespace convext {
namespace {

using at::Tensor;
using c10::SymInt;
using c10::SymIntArrayRef;
using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

// What a node keeps of its operator's call: the two tensors that the pass read, each only if the other's
// gradient may be asked for, and the arguments.
struct ConvNode : torch::autograd::Node {
  SavedVariable first, second;
  c10::SymDimVector first_size, second_size;  // spatial
  c10::SymDimVector stride, padding, dilation;
  SymInt groups;
  std::string padding_mode;
  bool channels_last = false;
  bool input_channels_last = false;  // the gradient of an input

  void release_variables() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    first.reset_data();
    second.reset_data();
  }

  // Compiled autograd: what the node's computation depends on, and that computation on what it is traced with.
  void compiled_args(torch::dynamo::autograd::CompiledNodeArgs& args) const override {
    args.collect(first, /*is_output=*/false);
    args.collect(second, /*is_output=*/false);
    for (const c10::SymDimVector* list : {&first_size, &second_size, &stride, &padding, &dilation})
      args.collect(SymIntArrayRef(*list));
    args.collect(groups);
    args.collect(padding_mode);
    args.collect(channels_last);
    args.collect(input_channels_last);
  }

  variable_list apply_with_saved(const variable_list& gradients,
                                 torch::dynamo::autograd::SwapSavedVariables& saved) override {
    const auto each = [&](const auto& swap) {
      swap(first);
      swap(second);
      for (c10::SymDimVector* list : {&first_size, &second_size, &stride, &padding, &dilation}) swap(*list);
      swap(groups);
    };
    each([&](auto& value) { saved.before(value); });
    variable_list results = apply(variable_list(gradients));
    each([&](auto& value) { saved.after(value); });
    return results;
  }

 protected:
  Arguments arguments() const { return {stride, padding, dilation, groups, padding_mode, channels_last}; }
  Arguments input_arguments() const { return {stride, padding, dilation, groups, padding_mode, input_channels_last}; }
};

// A number for each channel, as a tensor of these sizes.
Tensor expand_channels(const Tensor& bias, SymIntArrayRef sizes) {
  return bias.view(sizes.size() == 3 ? c10::IntArrayRef{-1, 1} : c10::IntArrayRef{-1, 1, 1}).expand_symint(sizes);
}

// (input, weight, bias) -> output
struct ConvOutputBackward : ConvNode {
  std::string name() const override { return "ConvOutputBackward"; }

  variable_list apply(variable_list&& gradients) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    variable_list results(3);
    if (!gradients[0].defined()) return results;
    const Tensor& output = gradients[0];
    const bool bias = task_should_compute_output(2);
    if (task_should_compute_output(0))
      results[0] = conv_input_grad(output, second.unpack(), {}, first_size, input_arguments());
    if (task_should_compute_output(1)) {
      auto [weight, sum] = conv_weight_grad(output, first.unpack(), second_size, arguments(), bias);
      results[1] = std::move(weight);
      if (bias) results[2] = std::move(sum);
    } else if (bias) {
      results[2] = channel_sum(output);
    }
    return results;
  }
};

// (output, weight, bias) -> input
struct ConvInputGradBackward : ConvNode {
  std::string name() const override { return "ConvInputGradBackward"; }

  variable_list apply(variable_list&& gradients) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    variable_list results(3);
    if (!gradients[0].defined()) return results;
    const Tensor& input = gradients[0];
    if (task_should_compute_output(0)) results[0] = conv_output(input, second.unpack(), {}, first_size, arguments());
    if (task_should_compute_output(1))
      results[1] = std::get<0>(conv_weight_grad(first.unpack(), input, second_size, arguments(), false));
    if (task_should_compute_output(2)) results[2] = channel_sum(input);
    return results;
  }
};

// (output, input) -> (weight, bias)
struct ConvWeightGradBackward : ConvNode {
  std::string name() const override { return "ConvWeightGradBackward"; }

  variable_list apply(variable_list&& gradients) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    variable_list results(3);
    const Tensor& bias = gradients[1];
    if (!gradients[0].defined()) {
      if (bias.defined() && task_should_compute_output(0)) {
        c10::SymDimVector sizes{second.unpack().sym_size(0), bias.sym_size(0)};
        sizes.append(first_size.begin(), first_size.end());
        results[0] = expand_channels(bias, sizes);
      }
      return results;
    }
    const Tensor& weight = gradients[0];
    if (task_should_compute_output(0)) results[0] = conv_output(second.unpack(), weight, bias, first_size, arguments());
    if (task_should_compute_output(1))
      results[1] = conv_input_grad(first.unpack(), weight, {}, second_size, arguments());
    return results;
  }
};

// torch.nn's padding modes pad a copy, and the gradient has the format that the gradient of padding gives it.
bool is_input_grad_channels_last(const Tensor& input, const Arguments& a) {
  if (a.padding_mode == "zeros") return a.channels_last;
  return a.padding_mode != "circular" && input.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
}

// The node of a call, or null if nothing needs a gradient.
template <typename Node>
c10::intrusive_ptr<Node> make_node(const Tensor& first, const Tensor& second, const std::optional<Tensor>& bias,
                                   const Arguments& a) {
  if (!torch::autograd::compute_requires_grad(first, second, bias)) return {};
  auto node = c10::make_intrusive<Node>();
  node->set_next_edges(torch::autograd::collect_next_edges(first, second, bias));
  if (node->should_compute_output(0)) node->second = SavedVariable(second, /*is_output=*/false);
  if (node->should_compute_output(1)) node->first = SavedVariable(first, /*is_output=*/false);
  const auto assign = [](c10::SymDimVector& to, SymIntArrayRef from) { to.append(from.begin(), from.end()); };
  assign(node->first_size, first.sym_sizes().slice(2));
  assign(node->second_size, second.sym_sizes().slice(2));
  assign(node->stride, a.stride);
  assign(node->padding, a.padding);
  assign(node->dilation, a.dilation);
  node->groups = a.groups;
  node->padding_mode = a.padding_mode;
  node->channels_last = a.channels_last;
  node->input_channels_last = is_input_grad_channels_last(first, a);
  return node;
}

// Calls the kernels below autograd.
template <typename Signature, typename... Args>
auto redispatch(const c10::TypedOperatorHandle<Signature>& op, c10::DispatchKeySet keys, const Args&... args) {
  const at::AutoDispatchBelowADInplaceOrView guard;
  return op.redispatch(keys & c10::after_autograd_keyset, args...);
}

bool has_tangent(const std::optional<Tensor>& t) { return torch::autograd::isFwGradDefined(t); }

Tensor tangent(const std::optional<Tensor>& t) { return has_tangent(t) ? t->_fw_grad(/*level=*/0) : Tensor(); }

// The forward gradient of a pass, which is linear in both tensors that it reads, and in its bias.
// compute(first, second, bias) calls the pass.
template <typename Compute>
Tensor forward_gradient(const Tensor& first, const Tensor& second, const std::optional<Tensor>& bias,
                        const Tensor& result, const Compute& compute) {
  const Tensor d_first = tangent(first), d_second = tangent(second), d_bias = tangent(bias);
  Tensor sum;
  if (d_first.defined()) sum = compute(d_first, second._fw_primal(0), d_bias);
  if (d_second.defined()) {
    const Tensor term = compute(first._fw_primal(0), d_second, sum.defined() ? Tensor() : d_bias);
    sum = sum.defined() ? sum.add(term) : term;
  }
  return sum.defined() ? sum : expand_channels(d_bias, result.sym_sizes());
}

// conv_output and conv_input_grad: the same but for the node and the operator.
template <typename Node, const c10::TypedOperatorHandle<ConvSignature>& (*op)()>
Tensor differentiable(c10::DispatchKeySet keys, const Tensor& first, const Tensor& second,
                      const std::optional<Tensor>& bias, SymIntArrayRef size, SymIntArrayRef stride,
                      SymIntArrayRef padding, SymIntArrayRef dilation, SymInt groups, std::string_view padding_mode,
                      bool channels_last) {
  const auto node =
      make_node<Node>(first, second, bias, {stride, padding, dilation, groups, padding_mode, channels_last});
  const Tensor result =
      redispatch(op(), keys, first, second, bias, size, stride, padding, dilation, groups, padding_mode, channels_last);
  if (node) torch::autograd::set_history(result, node);
  if (has_tangent(first) || has_tangent(second) || has_tangent(bias)) {
    const auto compute = [&](const Tensor& a, const Tensor& b, const Tensor& c) {
      return op().call(a, b, c, size, stride, padding, dilation, groups, padding_mode, channels_last);
    };
    result._set_fw_grad(forward_gradient(first, second, bias, result, compute), /*level=*/0, /*is_inplace_op=*/false);
  }
  return result;
}

std::tuple<Tensor, Tensor> differentiable_weight_grad(c10::DispatchKeySet keys, const Tensor& output,
                                                      const Tensor& input, SymIntArrayRef kernel_size,
                                                      SymIntArrayRef stride, SymIntArrayRef padding,
                                                      SymIntArrayRef dilation, SymInt groups,
                                                      std::string_view padding_mode, bool bias, bool channels_last) {
  const Arguments a{stride, padding, dilation, groups, padding_mode, channels_last};
  const auto node = make_node<ConvWeightGradBackward>(output, input, {}, a);
  auto [weight, sum] = redispatch(conv_weight_grad_op(), keys, output, input, kernel_size, stride, padding, dilation,
                                  groups, padding_mode, bias, channels_last);
  if (node) {
    torch::autograd::set_history(weight, node);
    torch::autograd::set_history(bias ? sum : Tensor(), node);
  }
  if (has_tangent(output) || has_tangent(input)) {
    const auto compute = [&](const Tensor& first, const Tensor& second, const Tensor&) {
      return std::get<0>(conv_weight_grad(first, second, kernel_size, a, false));
    };
    weight._set_fw_grad(forward_gradient(output, input, {}, weight, compute), 0, false);
    if (bias && has_tangent(output)) sum._set_fw_grad(channel_sum(tangent(output)), 0, false);
  }
  return {weight, sum};
}

TORCH_LIBRARY_IMPL(convext, Autograd, m) {
  m.impl("conv_output", &differentiable<ConvOutputBackward, conv_output_op>);
  m.impl("conv_input_grad", &differentiable<ConvInputGradBackward, conv_input_grad_op>);
  m.impl("conv_weight_grad", &differentiable_weight_grad);
}

}  // namespace
}  // namespace convext
