// Depthwise convolution, one channel to one, of images whose channels lie side by side.
#include "algorithms/depthwise/pixels.h"

#include "algorithms/layouts.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  if (p.ic_per_group() != 1 || p.oc_per_group() != 1) return "a group has several channels";
  if (p.padding_mode != PaddingMode::kZeros) return "its border is no zeros";
  return needs_channels_last(p);
}

// A panel needs neither masks nor, for weight gradients, sums in memory: it wins where a row is a tile or little more,
// all of it at the edges, and copies serve many taps. (Measured at 7 to 64 pixels a row, 3 x 3 to 7 x 7 taps.)
const char* profitable(const ConvProblem& p, const Policy&) {
  constexpr int64_t kMaxEdges = 1 << 16;  // pixels and taps of a row: the table of runs takes a few bytes for each
  if (std::max(p.iw, p.ow) * p.taps() > kMaxEdges) return "the table of its edges would be large";
  const bool few_taps = p.taps() <= 9 && p.pass != Pass::kWeightGrad;
  return !few_taps && std::max(p.iw, p.ow) <= 16 ? "rows are narrow" : nullptr;
}

using Pixels = Halves<kDepthwisePixelCorrelation, kDepthwisePixelGrad>;

}  // namespace

extern const Algorithm kDepthwisePixels = {"depthwise_pixels", supports, profitable, Pixels::plan, Pixels::run};

}  // namespace convext
