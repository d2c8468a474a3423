// Memory formats: which one a convolution's results have, and tensors that have it.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/problem.h"

namespace convext {

// Whether the strides are those of channels_last; of a tensor of three dimensions, as an image of height 1.
inline bool has_channels_last_strides(const at::Tensor& t) {
  if (t.dim() != 3) return t.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  const auto size = t.sym_sizes(), stride = t.sym_strides();
  const c10::SymInt sizes[] = {size[0], size[1], 1, size[2]};
  const c10::SymInt strides[] = {stride[0], stride[1], size[2] * stride[2], stride[2]};
  return c10::is_channels_last_strides_2d<c10::SymInt>(sizes, strides);
}

// Whether torch makes the results of a convolution of these tensors channels_last: if either is. (It makes a
// one-dimensional input contiguous first; of few elements, it may then still be both.)
inline bool is_channels_last(const at::Tensor& input, const at::Tensor& weight) {
  return has_channels_last_strides(weight) ||
         ((input.dim() != 3 || input.is_contiguous()) && has_channels_last_strides(input));
}

// The same where a padding mode fills the border: torch pads the input first, and circular padding loses its layout.
inline bool padded_is_channels_last(const at::Tensor& input, const at::Tensor& weight, PaddingMode mode) {
  return is_channels_last(mode == PaddingMode::kCircular ? weight : input, weight);
}

// (first, second, spatial...)
template <typename Int>
c10::SmallVector<Int, 4> sizes_of(const Int& first, const Int& second, c10::ArrayRef<Int> spatial) {
  c10::SmallVector<Int, 4> sizes{first, second};
  sizes.append(spatial.begin(), spatial.end());
  return sizes;
}

// A result, made by empty(sizes, format). Real and fake kernels both come here, so their strides agree.
template <typename Int, typename Empty>
at::Tensor empty_result(c10::ArrayRef<Int> sizes, bool channels_last, const Empty& empty) {
  if (!channels_last) return empty(sizes, at::MemoryFormat::Contiguous);
  if (sizes.size() != 3) return empty(sizes, at::MemoryFormat::ChannelsLast);
  const Int image[] = {sizes[0], sizes[1], 1, sizes[2]};
  return empty(c10::ArrayRef<Int>(image), at::MemoryFormat::ChannelsLast).squeeze(2);
}

}  // namespace convext
