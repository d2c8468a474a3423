// Checks that several algorithms share.
#pragma once

#include "core/problem.h"

namespace convext {

inline const char* needs_channels_first(const ConvProblem& p) {
  const bool first = p.input_layout == Layout::kChannelsFirst && p.weight_layout == Layout::kChannelsFirst &&
                     p.output_layout == Layout::kChannelsFirst;
  return first ? nullptr : "an operand is channels last";
}

inline const char* needs_channels_last(const ConvProblem& p) {
  const bool weight = p.weight_layout == Layout::kChannelsLast || p.taps() == 1 || p.ic_per_group() == 1;
  const bool last = p.input_layout == Layout::kChannelsLast && p.output_layout == Layout::kChannelsLast && weight;
  return last ? nullptr : "an operand is channels first";
}

inline const char* needs_border_fold(const ConvProblem& p) {
  return p.pass == Pass::kInputGrad && p.padding_mode != PaddingMode::kZeros
             ? "the input gradient of this padding mode folds the border"
             : nullptr;
}

// Of a canonical problem: whether its kernel has one tap, which keeps every pixel in its place.
inline bool moves_nothing(const ConvProblem& p) {
  return p.taps() == 1 && p.ih == 1 && p.oh == 1 && p.iw == p.ow && p.pad_top == 0 && p.pad_left == 0 &&
         p.stride_w == 1;
}

inline const char* first_reason(const char* a, const char* b) { return a != nullptr ? a : b; }

}  // namespace convext
