// What users call. Here, above autograd, is the choice between convext and aten.
#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv1d_ops.h>
#include <ATen/ops/conv2d_ops.h>
#include <ATen/ops/conv_transpose1d_ops.h>
#include <ATen/ops/conv_transpose2d_ops.h>
#include <ATen/ops/pad.h>
#include <torch/library.h>

#include <array>
#include <optional>
#include <string_view>

#include "torch/geometry.h"
#include "torch/operators.h"
#include "torch/problem.h"
#include "torch/python_functions.h"

namespace convext {
namespace {

using at::Tensor;
using c10::SymInt;
using c10::SymIntArrayRef;

// torch's own operators of N spatial dimensions.
template <size_t N>
struct Aten;
template <>
struct Aten<1> {
  using Conv = at::_ops::conv1d;
  using ConvPadding = at::_ops::conv1d_padding;
  using ConvTranspose = at::_ops::conv_transpose1d;
};
template <>
struct Aten<2> {
  using Conv = at::_ops::conv2d;
  using ConvPadding = at::_ops::conv2d_padding;
  using ConvTranspose = at::_ops::conv_transpose2d_input;
};

// Whether these tensors are convext's to compute, with or without a batch. Autocast computes float32 in bfloat16
// or float16, which aten does.
template <size_t N>
bool are_computed(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias) {
  const bool is_cast = input.scalar_type() == at::kFloat && at::autocast::is_autocast_enabled(at::kCPU);
  return !is_cast && (input.dim() == N + 2 || input.dim() == N + 1) && are_ours(input, weight, bias) &&
         !knows_only_aten(input) && !knows_only_aten(weight);
}

// A batch of one around an input without a batch, and the same undone.
template <size_t N>
Tensor batched(const Tensor& input) {
  return input.dim() == N + 2 ? input : input.unsqueeze(0);
}

template <size_t N>
Tensor like_input(const Tensor& result, const Tensor& input) {
  return input.dim() == N + 2 ? result : result.squeeze(0);
}

// The padding that "valid", "same" or "full" means; nothing if it means none here.
template <size_t N>
std::optional<Padding<N>> named_padding(std::string_view name, const Tensor& weight, SymIntArrayRef stride_list,
                                        SymIntArrayRef dilation_list) {
  const auto stride = broadcast<N>(stride_list), dilation = broadcast<N>(dilation_list);
  if (weight.dim() != N + 2 || !stride || !dilation) return std::nullopt;
  Padding<N> padding;
  if (name == "valid") return padding;
  for (size_t i = 0; i < N; ++i) {
    const SymInt span = product((*dilation)[i], weight.sym_size(i + 2) - 1);
    if (name == "full") {
      padding.before[i] = padding.after[i] = span;
    } else if (name == "same" && holds((*stride)[i].sym_eq(1))) {
      padding.before[i] = span / 2;
      padding.after[i] = span - padding.before[i];
    } else {
      return std::nullopt;
    }
  }
  return padding;
}

// The convolution, or nothing if it is not convext's to compute.
template <size_t N>
std::optional<Tensor> try_conv(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                               SymIntArrayRef stride, const std::optional<Padding<N>>& padding, SymIntArrayRef dilation,
                               const SymInt& groups, std::string_view padding_mode) {
  const PaddingMode mode = parse_padding_mode(padding_mode);
  if (!are_computed<N>(input, weight, bias)) return std::nullopt;
  const Tensor x = batched<N>(input);
  const auto geometry = conv_geometry<N>(x, weight, bias, stride, padding, dilation, groups, mode);
  if (!geometry) return std::nullopt;
  return like_input<N>(conv_output(x, weight, bias, geometry->result_size, geometry->arguments(groups, padding_mode)),
                       input);
}

// What torch.nn's modules do for padding modes other than zeros.
template <size_t N>
Tensor aten_padded(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, SymIntArrayRef stride,
                   const Padding<N>& padding, SymIntArrayRef dilation, const SymInt& groups, std::string_view mode) {
  std::array<SymInt, 2 * N> sides;  // the last dimension first
  for (size_t i = 0; i < N; ++i) {
    sides[2 * i] = padding.before[N - 1 - i];
    sides[2 * i + 1] = padding.after[N - 1 - i];
  }
  return Aten<N>::Conv::call(at::pad_symint(input, sides, mode), weight, bias, stride, SymInt(0), dilation, groups);
}

template <size_t N>
Tensor conv(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, SymIntArrayRef stride,
            SymIntArrayRef padding, SymIntArrayRef dilation, SymInt groups, std::string_view padding_mode) {
  std::optional<Padding<N>> sides;
  if (const auto numbers = broadcast<N>(padding)) sides = {*numbers, *numbers};
  if (auto result = try_conv<N>(input, weight, bias, stride, sides, dilation, groups, padding_mode)) return *result;
  if (sides && padding_mode != "zeros")
    return aten_padded<N>(input, weight, bias, stride, *sides, dilation, groups, padding_mode);
  return Aten<N>::Conv::call(input, weight, bias, stride, padding, dilation, groups);
}

// As torch does, though nothing is copied here.
template <size_t N>
void warn_of_uneven_padding(const Padding<N>& sides) {
  for (size_t i = 0; i < N; ++i) {
    if (holds(sides.before[i].sym_eq(sides.after[i]))) continue;
    TORCH_WARN_ONCE(
        "Using padding='same' with even kernel lengths and odd dilation may require a zero-padded copy of the input "
        "be created");
  }
}

template <size_t N>
Tensor conv_padding(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, SymIntArrayRef stride,
                    std::string_view padding, SymIntArrayRef dilation, SymInt groups, std::string_view padding_mode) {
  const auto sides = named_padding<N>(padding, weight, stride, dilation);
  if (auto result = try_conv<N>(input, weight, bias, stride, sides, dilation, groups, padding_mode)) {
    if (padding == "same" && padding_mode == "zeros") warn_of_uneven_padding(*sides);
    return *result;
  }
  if (sides && padding_mode != "zeros")
    return aten_padded<N>(input, weight, bias, stride, *sides, dilation, groups, padding_mode);
  if (padding == "full") {  // torch has no word for it; without sides something else is wrong, which torch names
    const Numbers<N> before = sides ? sides->before : Numbers<N>{};
    return Aten<N>::Conv::call(input, weight, bias, stride, before, dilation, groups);
  }
  return Aten<N>::ConvPadding::call(input, weight, bias, stride, padding, dilation, groups);
}

template <size_t N>
std::optional<Tensor> try_conv_transpose(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                                         SymIntArrayRef stride, SymIntArrayRef padding, SymIntArrayRef output_padding,
                                         const SymInt& groups, SymIntArrayRef dilation) {
  if (!are_computed<N>(input, weight, bias)) return std::nullopt;
  const Tensor x = batched<N>(input);
  const auto geometry = conv_transpose_geometry<N>(x, weight, bias, stride, padding, output_padding, groups, dilation);
  if (!geometry) return std::nullopt;
  return like_input<N>(conv_input_grad(x, weight, bias, geometry->result_size, geometry->arguments(groups)), input);
}

template <size_t N>
Tensor conv_transpose(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                      SymIntArrayRef stride, SymIntArrayRef padding, SymIntArrayRef output_padding, SymInt groups,
                      SymIntArrayRef dilation) {
  if (auto result = try_conv_transpose<N>(input, weight, bias, stride, padding, output_padding, groups, dilation))
    return *result;
  return Aten<N>::ConvTranspose::call(input, weight, bias, stride, padding, output_padding, groups, dilation);
}

void register_all(torch::Library& m) {
  m.impl("conv1d", &conv<1>);
  m.impl("conv2d", &conv<2>);
  m.impl("conv1d.padding", &conv_padding<1>);
  m.impl("conv2d.padding", &conv_padding<2>);
  m.impl("conv_transpose1d", &conv_transpose<1>);
  m.impl("conv_transpose2d", &conv_transpose<2>);
}

TORCH_LIBRARY_IMPL(convext, CompositeImplicitAutograd, m) { register_all(m); }
TORCH_LIBRARY_IMPL(convext, FuncTorchBatchedDecomposition, m) { register_all(m); }  // vmap: of what they call

}  // namespace
}  // namespace convext
