// Depthwise convolution with rows of planes in the lanes.
#pragma once

#include <algorithm>
#include <cstdlib>

#include "algorithms/checks.h"
#include "algorithms/method.h"

namespace convext {

// Masks of lanes are made of columns in 32 bits: wider rows are copied, or left to others.
inline constexpr int64_t kMaskColumns = 1 << 29;
inline bool columns_fit_masks(const ConvProblem& p) {
  return std::max({p.iw, p.ow, p.kw * p.dilation_w, std::abs(p.pad_left)}) < kMaskColumns;
}

// Can each row of the destination be summed from one channel, read where it lies with masks at its ends?
inline const char* needs_masked_rows(const ConvProblem& p) {
  if (p.ic_per_group() != 1) return "a group has several input channels";
  if (p.pass == Pass::kInputGrad && p.oc_per_group() != 1) return "several output channels of a group are summed";
  if (p.padding_mode != PaddingMode::kZeros) return "its border is no zeros";
  if (!columns_fit_masks(p)) return "its rows are too wide for masks";
  return needs_channels_first(p);
}

inline bool strides_by_two(const ConvProblem& p) {
  return p.stride_h == 2 && p.stride_w == 2 && p.dilation_h == 1 && p.dilation_w == 1;
}

extern const Method kPlaneCorrelation, kPlaneWeightGrad, kLineWeightGrad;

// Does kPlaneWeightGrad compute it: zeros as padding, and steps along rows that vectors can take? The weight gradient
// of others is pixel_sum.h's.
bool reads_planes_in_place(const ConvProblem& problem);

// Do its rows of taps share what they read?
bool shares_rows(const ConvProblem& problem);

}  // namespace convext
