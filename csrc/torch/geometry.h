// Which calls convext serves, and with what numbers. What it does not serve goes to aten with the same
// arguments, and so does every call that is wrong, so that errors are torch's own.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>

#include "torch/operators.h"
#include "torch/problem.h"

namespace convext {

// One number for each of N spatial dimensions.
template <size_t N>
using Numbers = std::array<c10::SymInt, N>;

template <size_t N>
struct Padding {
  Numbers<N> before, after;
};

// The numbers of a served call, as the closed operators want them.
template <size_t N>
struct Geometry {
  Numbers<N> stride, padding, dilation;
  Numbers<N> result_size;
  bool channels_last = false;  // the result

  Arguments arguments(const c10::SymInt& groups, std::string_view padding_mode = "zeros") const {
    return {stride, padding, dilation, groups, padding_mode, channels_last};
  }
};

// Whether a condition on sizes holds; what cannot be known while tracing is taken to hold.
inline bool holds(const c10::SymBool& condition) { return TORCH_GUARD_OR_TRUE(condition); }

// The list with one number for each dimension, or nothing if it has a wrong length.
template <size_t N>
std::optional<Numbers<N>> broadcast(c10::SymIntArrayRef list) {
  if (list.size() != 1 && list.size() != N) return std::nullopt;
  Numbers<N> numbers;
  for (size_t i = 0; i < N; ++i) numbers[i] = list[list.size() == 1 ? 0 : i];
  return numbers;
}

// factor * count, far enough from the limits of 64 bits to be added to other sizes; throws if it is not.
c10::SymInt product(const c10::SymInt& factor, const c10::SymInt& count);

// Whether these are dense float32 or float64 tensors on the CPU, of one dtype, and have something in them:
// torch refuses some empty ones.
bool are_ours(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias);

// The geometry of a convolution of tensors with N + 2 dimensions, or nothing if a number is none that it can
// have. `padding` is empty for the same reason.
template <size_t N>
std::optional<Geometry<N>> conv_geometry(const at::Tensor& input, const at::Tensor& weight,
                                         const std::optional<at::Tensor>& bias, c10::SymIntArrayRef stride,
                                         const std::optional<Padding<N>>& padding, c10::SymIntArrayRef dilation,
                                         const c10::SymInt& groups, PaddingMode mode);

// The same of a transposed convolution, which the input gradient computes.
template <size_t N>
std::optional<Geometry<N>> conv_transpose_geometry(const at::Tensor& input, const at::Tensor& weight,
                                                   const std::optional<at::Tensor>& bias, c10::SymIntArrayRef stride,
                                                   c10::SymIntArrayRef padding, c10::SymIntArrayRef output_padding,
                                                   const c10::SymInt& groups, c10::SymIntArrayRef dilation);

}  // namespace convext
