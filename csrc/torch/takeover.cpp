// Kernels for the CPU key of aten::_convolution and aten::convolution_backward, where torch has none: its own are
// composite, and these call them for whatever convext does not serve. Autograd, vmap, autocast and so on stay above
// and are torch's. All of aten::convolution does is to call aten::_convolution, which is also what torch.jit.trace
// records; taken over itself, it would be recorded as what convext calls, with the sizes of this call.
#include "torch/takeover.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/_convolution_native.h>
#include <ATen/ops/convolution_backward_native.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <tuple>

#include "torch/geometry.h"
#include "torch/layout.h"
#include "torch/operators.h"

namespace convext {
namespace {

using at::Tensor;
using c10::SymInt;
using c10::SymIntArrayRef;
using Gradients = std::tuple<Tensor, Tensor, Tensor>;  // of input, weight, bias
using Mask = std::array<bool, 3>;                      // which of them are asked for

// The arguments that both operators have.
struct Numerals {
  SymIntArrayRef stride, padding, dilation;
  bool transposed;
  SymIntArrayRef output_padding;
  const SymInt& groups;
};

template <size_t N>
std::optional<Geometry<N>> geometry_of(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                                       const Numerals& a) {
  if (a.transposed)
    return conv_transpose_geometry<N>(input, weight, bias, a.stride, a.padding, a.output_padding, a.groups, a.dilation);
  if (std::any_of(a.output_padding.begin(), a.output_padding.end(), [](const SymInt& p) { return p != 0; })) return {};
  std::optional<Padding<N>> padding;
  if (const auto sides = broadcast<N>(a.padding)) padding = {*sides, *sides};
  return conv_geometry<N>(input, weight, bias, a.stride, padding, a.dilation, a.groups, PaddingMode::kZeros);
}

template <size_t N>
std::optional<Tensor> try_convolution(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                                      const Numerals& a) {
  const auto geometry = geometry_of<N>(input, weight, bias, a);
  if (!geometry) return {};
  const auto pass = a.transposed ? conv_input_grad : conv_output;
  return pass(input, weight, bias, geometry->result_size, geometry->arguments(a.groups));
}

template <size_t N>
std::optional<Gradients> try_backward(const Tensor& gradient, const Tensor& input, const Tensor& weight,
                                      const Numerals& a, const Mask& mask) {
  const auto geometry = geometry_of<N>(input, weight, {}, a);
  if (!geometry) return {};
  const SymInt channels = a.transposed ? weight.sym_size(1) * a.groups : weight.sym_size(0);
  if (gradient.sym_sizes() != sizes_of(input.sym_size(0), channels, SymIntArrayRef(geometry->result_size))) return {};
  const Arguments arguments = geometry->arguments(a.groups);
  const auto image = input.sym_sizes().slice(2), kernel = weight.sym_sizes().slice(2);
  const bool sum = mask[2] && mask[1] && !a.transposed;  // the bias' along with the weight's
  Gradients result;
  auto& [input_grad, weight_grad, bias_grad] = result;
  if (mask[0]) input_grad = (a.transposed ? conv_output : conv_input_grad)(gradient, weight, {}, image, arguments);
  if (mask[1]) {
    const auto& [outer, inner] = a.transposed ? std::tie(input, gradient) : std::tie(gradient, input);
    std::tie(weight_grad, bias_grad) = conv_weight_grad(outer, inner, kernel, arguments, sum);
  }
  if (!sum) bias_grad = mask[2] ? channel_sum(gradient) : Tensor();
  return result;
}

std::atomic<int> depth = 0;

// What convext computes of the two operators, or nothing if they are left to torch.
std::optional<Tensor> take_convolution(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                                       const Numerals& a) {
  if (!is_enabled() || !are_ours(input, weight, bias)) return {};
  if (weight.dim() == 3) return try_convolution<1>(input, weight, bias, a);
  if (weight.dim() == 4) return try_convolution<2>(input, weight, bias, a);
  return {};
}

std::optional<Gradients> take_backward(const Tensor& gradient, const Tensor& input, const Tensor& weight,
                                       const Numerals& a, const Mask& mask) {
  if (!is_enabled() || !are_ours(input, weight, gradient)) return {};
  if (weight.dim() == 3) return try_backward<1>(gradient, input, weight, a, mask);
  if (weight.dim() == 4) return try_backward<2>(gradient, input, weight, a, mask);
  return {};
}

Tensor convolution(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, SymIntArrayRef stride,
                   SymIntArrayRef padding, SymIntArrayRef dilation, bool transposed, SymIntArrayRef output_padding,
                   SymInt groups, bool benchmark, bool deterministic, bool cudnn_enabled, bool allow_tf32) {
  const Numerals numerals{stride, padding, dilation, transposed, output_padding, groups};
  if (const auto result = take_convolution(input, weight, bias, numerals)) return *result;
  return at::native::_convolution(input, weight, bias, C10_AS_INTARRAYREF_SLOW(stride),
                                  C10_AS_INTARRAYREF_SLOW(padding), C10_AS_INTARRAYREF_SLOW(dilation), transposed,
                                  C10_AS_INTARRAYREF_SLOW(output_padding), groups.guard_int(__FILE__, __LINE__),
                                  benchmark, deterministic, cudnn_enabled, allow_tf32);
}

Gradients convolution_backward(const Tensor& gradient, const Tensor& input, const Tensor& weight,
                               at::OptionalSymIntArrayRef bias_sizes, SymIntArrayRef stride, SymIntArrayRef padding,
                               SymIntArrayRef dilation, bool transposed, SymIntArrayRef output_padding, SymInt groups,
                               Mask mask) {
  const Numerals numerals{stride, padding, dilation, transposed, output_padding, groups};
  if (const auto result = take_backward(gradient, input, weight, numerals, mask)) return *result;
  at::OptionalIntArrayRef bias;
  if (bias_sizes) bias = C10_AS_INTARRAYREF_SLOW(*bias_sizes);
  return at::native::convolution_backward(gradient, input, weight, bias, C10_AS_INTARRAYREF_SLOW(stride),
                                          C10_AS_INTARRAYREF_SLOW(padding), C10_AS_INTARRAYREF_SLOW(dilation),
                                          transposed, C10_AS_INTARRAYREF_SLOW(output_padding),
                                          groups.guard_int(__FILE__, __LINE__), mask);
}

// Once, and never undone: another thread may be on its way through the dispatcher's table. For the same reason the
// kernels have torch's own signatures, with SymInts, and are known at compile time: then an entry that is read
// while it is written is either kernel, and works with either's functor.
void register_kernels() {
  static const auto* const library = [] {
    auto* const aten = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::CPU, __FILE__, __LINE__);
    aten->impl("_convolution", TORCH_FN(convolution));
    aten->impl("convolution_backward", TORCH_FN(convolution_backward));
    return aten;
  }();
  static_cast<void>(library);
}

// For explain(), which sees aten's operators before they come here: whether convext takes a call; if so, its own
// operators are called.
bool is_taken(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, SymIntArrayRef stride,
              SymIntArrayRef padding, SymIntArrayRef dilation, bool transposed, SymIntArrayRef output_padding,
              const SymInt& groups) {
  return take_convolution(input, weight, bias, {stride, padding, dilation, transposed, output_padding, groups})
      .has_value();
}

bool is_backward_taken(const Tensor& gradient, const Tensor& input, const Tensor& weight, SymIntArrayRef stride,
                       SymIntArrayRef padding, SymIntArrayRef dilation, bool transposed, SymIntArrayRef output_padding,
                       const SymInt& groups, Mask mask) {
  return take_backward(gradient, input, weight, {stride, padding, dilation, transposed, output_padding, groups}, mask)
      .has_value();
}

TORCH_LIBRARY_FRAGMENT(convext, m) {
  m.def(
      "is_taken(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding, SymInt[] dilation, bool "
      "transposed, SymInt[] output_padding, SymInt groups) -> bool",
      &is_taken);
  m.def(
      "is_backward_taken(Tensor gradient, Tensor input, Tensor weight, SymInt[] stride, SymInt[] padding, SymInt[] "
      "dilation, bool transposed, SymInt[] output_padding, SymInt groups, bool[3] mask) -> bool",
      &is_backward_taken);
}

}  // namespace

void enable() {
  register_kernels();
  depth.fetch_add(1, std::memory_order_relaxed);
}

void disable() {
  int now = depth.load(std::memory_order_relaxed);
  while (now > 0 && !depth.compare_exchange_weak(now, now - 1, std::memory_order_relaxed)) {
  }
}

bool is_enabled() { return depth.load(std::memory_order_relaxed) > 0; }

}  // namespace convext
