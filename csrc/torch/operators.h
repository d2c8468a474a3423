// The three operators that are closed under differentiation, called through the dispatcher (so with
// autograd, vmap, tracing and whatever else is on). Their schemas are in operators.cpp.
//
// All take tensors of three (n, c, w) or four (n, c, h, w) dimensions; the lists have one number for each
// spatial dimension, and the size of the result is always given.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string_view>
#include <tuple>

namespace convext {

// The arguments that the three have in common. `padding` is what lies before (above, left); what lies
// after follows from the sizes. `channels_last` is the memory format of the result, whatever the operands have:
// the gradients of a convolution have the format of the convolution, unless a padding mode changes it.
struct Arguments {
  c10::SymIntArrayRef stride, padding, dilation;
  const c10::SymInt& groups;
  std::string_view padding_mode;
  bool channels_last;
};

using ConvSignature = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                 c10::SymIntArrayRef, c10::SymIntArrayRef, c10::SymIntArrayRef, c10::SymIntArrayRef,
                                 c10::SymInt, std::string_view, bool);
using WeightGradSignature = std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, const at::Tensor&,
                                                               c10::SymIntArrayRef, c10::SymIntArrayRef,
                                                               c10::SymIntArrayRef, c10::SymIntArrayRef, c10::SymInt,
                                                               std::string_view, bool, bool);

const c10::TypedOperatorHandle<ConvSignature>& conv_output_op();
const c10::TypedOperatorHandle<ConvSignature>& conv_input_grad_op();
const c10::TypedOperatorHandle<WeightGradSignature>& conv_weight_grad_op();

inline at::Tensor conv_output(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                              c10::SymIntArrayRef output_size, const Arguments& a) {
  return conv_output_op().call(input, weight, bias, output_size, a.stride, a.padding, a.dilation, a.groups,
                               a.padding_mode, a.channels_last);
}

// Also the transposed convolution of `output`; the bias is its own, one number for each input channel.
inline at::Tensor conv_input_grad(const at::Tensor& output, const at::Tensor& weight,
                                  const std::optional<at::Tensor>& bias, c10::SymIntArrayRef input_size,
                                  const Arguments& a) {
  return conv_input_grad_op().call(output, weight, bias, input_size, a.stride, a.padding, a.dilation, a.groups,
                                   a.padding_mode, a.channels_last);
}

// The second tensor is the sum of `output` over all but its channels, or has no elements without `bias`.
inline std::tuple<at::Tensor, at::Tensor> conv_weight_grad(const at::Tensor& output, const at::Tensor& input,
                                                           c10::SymIntArrayRef kernel_size, const Arguments& a,
                                                           bool bias) {
  return conv_weight_grad_op().call(output, input, kernel_size, a.stride, a.padding, a.dilation, a.groups,
                                    a.padding_mode, bias, a.channels_last);
}

// The sum over all but the channels: the gradient of a bias.
at::Tensor channel_sum(const at::Tensor& t);

}  // namespace convext
