// What users call. Here, above autograd, is the choice between convext and aten: convext computes dense
// float32 and float64 tensors on the CPU; everything else goes to aten with the same arguments, and so does
// every call that is wrong, so that errors are torch's own.
#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv1d_ops.h>
#include <ATen/ops/conv2d_ops.h>
#include <ATen/ops/conv_transpose1d_ops.h>
#include <ATen/ops/conv_transpose2d_ops.h>
#include <ATen/ops/pad.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "torch/layout.h"
#include "torch/operators.h"
#include "torch/problem.h"

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

template <size_t N>
using Numbers = std::array<SymInt, N>;

// The list with one number for each dimension, or nothing if it has a wrong length.
template <size_t N>
std::optional<Numbers<N>> broadcast(SymIntArrayRef list) {
  if (list.size() != 1 && list.size() != N) return std::nullopt;
  Numbers<N> numbers;
  for (size_t i = 0; i < N; ++i) numbers[i] = list[list.size() == 1 ? 0 : i];
  return numbers;
}

// Whether a condition on sizes holds; what cannot be known while tracing is taken to hold.
bool holds(const c10::SymBool& condition) { return TORCH_GUARD_OR_TRUE(condition); }

template <size_t N>
bool all_at_least(const Numbers<N>& numbers, int64_t least) {
  return std::all_of(numbers.begin(), numbers.end(), [&](const SymInt& n) { return holds(n.sym_ge(least)); });
}

// factor * count, far enough from the limits of 64 bits to be added to other sizes.
SymInt product(const SymInt& factor, const SymInt& count) {
  constexpr int64_t kLimit = int64_t{1} << 60;
  const auto f = factor.maybe_as_int(), c = count.maybe_as_int();
  if (f && c)
    TORCH_CHECK(*c == 0 || (*f <= kLimit / std::abs(*c) && *f >= -kLimit / std::abs(*c)),
                "convext: the sizes of this convolution overflow 64 bits (", *f, " x ", *c, ")");
  return factor * count;
}

bool is_ours(const Tensor& t) {
  if (!t.device().is_cpu() || t.layout() != at::kStrided || t.is_nested()) return false;
  return t.scalar_type() == at::kDouble ||
         (t.scalar_type() == at::kFloat && !at::autocast::is_autocast_enabled(at::kCPU));  // autocast: to bfloat16
}

bool is_like(const Tensor& t, const Tensor& input) { return t.scalar_type() == input.scalar_type() && is_ours(t); }

bool has_bias(const std::optional<Tensor>& bias) { return bias.has_value() && bias->defined(); }

// Whether convext computes tensors of these kinds and numbers of dimensions. Empty ones are left to torch,
// which refuses some of them.
bool are_ours(size_t spatial, const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias) {
  const int64_t dims = static_cast<int64_t>(spatial) + 2;
  return is_ours(input) && is_like(weight, input) && weight.dim() == dims &&
         (input.dim() == dims || input.dim() == dims - 1) && holds(input.sym_numel().sym_gt(0)) &&
         holds(weight.sym_numel().sym_gt(0)) && (!has_bias(bias) || (is_like(*bias, input) && bias->dim() == 1));
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

template <size_t N>
struct Padding {
  Numbers<N> before, after;
};

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

// Whether a padding mode takes this much padding on one side.
bool is_allowed(PaddingMode mode, const SymInt& padding, const SymInt& size) {
  switch (mode) {
    case PaddingMode::kZeros:
      return holds(padding.sym_ge(0));
    case PaddingMode::kReflect:
      return holds(padding.sym_lt(size));
    case PaddingMode::kCircular:
      return holds(padding.sym_le(size));
    case PaddingMode::kReplicate:
      return true;
  }
  return false;
}

// The convolution, or nothing if it is not convext's to compute.
template <size_t N>
std::optional<Tensor> try_conv(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                               SymIntArrayRef stride_list, const std::optional<Padding<N>>& padding,
                               SymIntArrayRef dilation_list, const SymInt& groups, std::string_view padding_mode) {
  const PaddingMode mode = parse_padding_mode(padding_mode);
  const auto stride = broadcast<N>(stride_list), dilation = broadcast<N>(dilation_list);
  if (!are_ours(N, input, weight, bias) || !padding || !stride || !dilation || !all_at_least(*stride, 1) ||
      !all_at_least(*dilation, 1) || !holds(groups.sym_ge(1)))
    return std::nullopt;
  const Tensor x = batched<N>(input);
  const SymInt oc = weight.sym_size(0);
  if (!holds(x.sym_size(1).sym_eq(weight.sym_size(1) * groups)) || !holds((oc % groups).sym_eq(0)) ||
      (has_bias(bias) && !holds(bias->sym_size(0).sym_eq(oc))))
    return std::nullopt;
  Numbers<N> output_size;
  for (size_t i = 0; i < N; ++i) {
    const SymInt size = x.sym_size(i + 2), before = product(padding->before[i], 1),
                 after = product(padding->after[i], 1);
    if (!is_allowed(mode, before, size) || !is_allowed(mode, after, size)) return std::nullopt;
    const SymInt last = size + before + after - product((*dilation)[i], weight.sym_size(i + 2) - 1) - 1;
    if (!holds(last.sym_ge(0))) return std::nullopt;
    output_size[i] = last / (*stride)[i] + 1;
  }
  // torch's circular padding makes a contiguous copy; the others keep the memory format.
  const bool channels_last = is_channels_last(mode == PaddingMode::kCircular ? weight : x, weight);
  return like_input<N>(conv_output(x, weight, bias, output_size,
                                   {*stride, padding->before, *dilation, groups, padding_mode, channels_last}),
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

template <size_t N>
Tensor conv_padding(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, SymIntArrayRef stride,
                    std::string_view padding, SymIntArrayRef dilation, SymInt groups, std::string_view padding_mode) {
  const auto sides = named_padding<N>(padding, weight, stride, dilation);
  if (auto result = try_conv<N>(input, weight, bias, stride, sides, dilation, groups, padding_mode)) return *result;
  if (sides && padding_mode != "zeros")
    return aten_padded<N>(input, weight, bias, stride, *sides, dilation, groups, padding_mode);
  if (sides && padding == "full")  // torch has no word for it
    return Aten<N>::Conv::call(input, weight, bias, stride, sides->before, dilation, groups);
  return Aten<N>::ConvPadding::call(input, weight, bias, stride, padding, dilation, groups);
}

template <size_t N>
std::optional<Tensor> try_conv_transpose(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                                         SymIntArrayRef stride_list, SymIntArrayRef padding_list,
                                         SymIntArrayRef output_padding_list, const SymInt& groups,
                                         SymIntArrayRef dilation_list) {
  const auto stride = broadcast<N>(stride_list), padding = broadcast<N>(padding_list),
             output_padding = broadcast<N>(output_padding_list), dilation = broadcast<N>(dilation_list);
  if (!are_ours(N, input, weight, bias) || !stride || !padding || !output_padding || !dilation ||
      !all_at_least(*stride, 1) || !all_at_least(*padding, 0) || !all_at_least(*output_padding, 0) ||
      !all_at_least(*dilation, 1) || !holds(groups.sym_ge(1)))
    return std::nullopt;
  const Tensor x = batched<N>(input);
  if (!holds(x.sym_size(1).sym_eq(weight.sym_size(0))) || !holds((weight.sym_size(0) % groups).sym_eq(0)) ||
      (has_bias(bias) && !holds(bias->sym_size(0).sym_eq(weight.sym_size(1) * groups))))
    return std::nullopt;
  Numbers<N> size;
  for (size_t i = 0; i < N; ++i) {
    const SymInt &s = (*stride)[i], &d = (*dilation)[i], &more = (*output_padding)[i];
    if (!holds(more.sym_lt(s.max(d)))) return std::nullopt;
    size[i] = product(s, x.sym_size(i + 2) - 1) + product(d, weight.sym_size(i + 2) - 1) - product((*padding)[i], 2) +
              product(more, 1) + 1;
    if (!holds(size[i].sym_ge(1))) return std::nullopt;
  }
  return like_input<N>(conv_input_grad(x, weight, bias, size,
                                       {*stride, *padding, *dilation, groups, "zeros", is_channels_last(x, weight)}),
                       input);
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
