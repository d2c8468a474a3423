#include "torch/geometry.h"

#include <algorithm>
#include <cstdlib>

#include "torch/layout.h"

namespace convext {
namespace {

using at::Tensor;
using c10::SymInt;
using c10::SymIntArrayRef;

template <size_t N>
bool all_at_least(const Numbers<N>& numbers, int64_t least) {
  return std::all_of(numbers.begin(), numbers.end(), [&](const SymInt& n) { return holds(n.sym_ge(least)); });
}

bool is_ours(const Tensor& t) {
  return t.device().is_cpu() && t.layout() == at::kStrided && !t.is_nested() &&
         (t.scalar_type() == at::kFloat || t.scalar_type() == at::kDouble);
}

bool has_bias(const std::optional<Tensor>& bias) { return bias.has_value() && bias->defined(); }

bool bias_fits(const std::optional<Tensor>& bias, const SymInt& channels) {
  return !has_bias(bias) || (bias->dim() == 1 && holds(bias->sym_size(0).sym_eq(channels)));
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

}  // namespace

SymInt product(const SymInt& factor, const SymInt& count) {
  constexpr int64_t kLimit = int64_t{1} << 60;
  const auto f = factor.maybe_as_int(), c = count.maybe_as_int();
  if (f && c)
    TORCH_CHECK(*c == 0 || (*f <= kLimit / std::abs(*c) && *f >= -kLimit / std::abs(*c)),
                "convext: the sizes of this convolution overflow 64 bits (", *f, " x ", *c, ")");
  return factor * count;
}

bool are_ours(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias) {
  const auto is_like_input = [&](const Tensor& t) { return t.scalar_type() == input.scalar_type() && is_ours(t); };
  return is_ours(input) && is_like_input(weight) && (!has_bias(bias) || is_like_input(*bias)) &&
         holds(input.sym_numel().sym_gt(0)) && holds(weight.sym_numel().sym_gt(0));
}

template <size_t N>
std::optional<Geometry<N>> conv_geometry(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                                         SymIntArrayRef stride_list, const std::optional<Padding<N>>& padding,
                                         SymIntArrayRef dilation_list, const SymInt& groups, PaddingMode mode) {
  const auto stride = broadcast<N>(stride_list), dilation = broadcast<N>(dilation_list);
  if (input.dim() != N + 2 || weight.dim() != N + 2 || !padding || !stride || !dilation || !all_at_least(*stride, 1) ||
      !all_at_least(*dilation, 1) || !holds(groups.sym_ge(1)))
    return std::nullopt;
  const SymInt oc = weight.sym_size(0);
  if (!holds(input.sym_size(1).sym_eq(weight.sym_size(1) * groups)) || !holds((oc % groups).sym_eq(0)) ||
      !bias_fits(bias, oc))
    return std::nullopt;
  // torch's circular padding makes a contiguous copy; the others keep the memory format.
  Geometry<N> geometry{*stride, padding->before, *dilation, {}, padded_is_channels_last(input, weight, mode)};
  for (size_t i = 0; i < N; ++i) {
    const SymInt size = input.sym_size(i + 2), before = product(padding->before[i], 1),
                 after = product(padding->after[i], 1);
    if (!is_allowed(mode, before, size) || !is_allowed(mode, after, size)) return std::nullopt;
    const SymInt last = size + before + after - product((*dilation)[i], weight.sym_size(i + 2) - 1) - 1;
    if (!holds(last.sym_ge(0))) return std::nullopt;
    geometry.result_size[i] = last / (*stride)[i] + 1;
  }
  return geometry;
}

template <size_t N>
std::optional<Geometry<N>> conv_transpose_geometry(const Tensor& input, const Tensor& weight,
                                                   const std::optional<Tensor>& bias, SymIntArrayRef stride_list,
                                                   SymIntArrayRef padding_list, SymIntArrayRef output_padding_list,
                                                   const SymInt& groups, SymIntArrayRef dilation_list) {
  const auto stride = broadcast<N>(stride_list), padding = broadcast<N>(padding_list),
             output_padding = broadcast<N>(output_padding_list), dilation = broadcast<N>(dilation_list);
  if (input.dim() != N + 2 || weight.dim() != N + 2 || !stride || !padding || !output_padding || !dilation ||
      !all_at_least(*stride, 1) || !all_at_least(*padding, 0) || !all_at_least(*output_padding, 0) ||
      !all_at_least(*dilation, 1) || !holds(groups.sym_ge(1)))
    return std::nullopt;
  if (!holds(input.sym_size(1).sym_eq(weight.sym_size(0))) || !holds((weight.sym_size(0) % groups).sym_eq(0)) ||
      !bias_fits(bias, weight.sym_size(1) * groups))
    return std::nullopt;
  Geometry<N> geometry{*stride, *padding, *dilation, {}, is_channels_last(input, weight)};
  for (size_t i = 0; i < N; ++i) {
    const SymInt &s = (*stride)[i], &d = (*dilation)[i], &more = (*output_padding)[i];
    if (!holds(more.sym_lt(s.max(d)))) return std::nullopt;
    geometry.result_size[i] = product(s, input.sym_size(i + 2) - 1) + product(d, weight.sym_size(i + 2) - 1) -
                              product((*padding)[i], 2) + product(more, 1) + 1;
    if (!holds(geometry.result_size[i].sym_ge(1))) return std::nullopt;
  }
  return geometry;
}

#define CONVEXT_INSTANTIATE(N)                                                                                     \
  template std::optional<Geometry<N>> conv_geometry<N>(const Tensor&, const Tensor&, const std::optional<Tensor>&, \
                                                       SymIntArrayRef, const std::optional<Padding<N>>&,           \
                                                       SymIntArrayRef, const SymInt&, PaddingMode);                \
  template std::optional<Geometry<N>> conv_transpose_geometry<N>(                                                  \
      const Tensor&, const Tensor&, const std::optional<Tensor>&, SymIntArrayRef, SymIntArrayRef, SymIntArrayRef,  \
      const SymInt&, SymIntArrayRef);
CONVEXT_INSTANTIATE(1)
CONVEXT_INSTANTIATE(2)
#undef CONVEXT_INSTANTIATE

}  // namespace convext
