// Which memory format a result has: as torch, channels_last if either of the tensors that it is computed
// from is. Real and fake kernels ask here, so their strides agree.
#pragma once

#include <ATen/core/Tensor.h>

namespace convext {

inline bool is_channels_last(const at::Tensor& t) {
  return t.dim() == 4 && t.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
}

inline at::MemoryFormat result_format(const at::Tensor& a, const at::Tensor& b) {
  return is_channels_last(a) || is_channels_last(b) ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

}  // namespace convext
