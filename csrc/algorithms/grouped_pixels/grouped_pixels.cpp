// Depthwise convolution, one channel to one, and that of small groups of as many input as output channels, of images
// whose channels lie side by side.
#include "algorithms/grouped_pixels/grouped_pixels.h"

#include "algorithms/checks.h"

namespace convext {
namespace {

constexpr int64_t kMaxGroup = 16;

const char* supports(const ConvProblem& p) {
  const int64_t channels = p.ic_per_group();
  if (p.oc_per_group() != channels) return "a group has not as many input as output channels";
  if ((channels & (channels - 1)) != 0 || channels > kMaxGroup) return "channels a group are not 1, 2, 4, 8 or 16";
  if (p.padding_mode != PaddingMode::kZeros) return "its border is no zeros";
  return needs_channels_last(p);
}

// A panel needs neither masks nor, for weight gradients, sums in memory: it wins where a row is a tile or little more,
// all of it at the edges, and copies serve many taps. (Measured at 7 to 64 pixels a row, 3 x 3 to 7 x 7 taps.)
const char* profitable(const ConvProblem& p, const Policy& policy) {
  constexpr int64_t kMaxEdges = 1 << 16;  // pixels and taps of a row: the table of runs takes a few bytes for each
  if (std::max(p.iw, p.ow) * p.taps() > kMaxEdges) return "the table of its edges would be large";
  if (p.ic_per_group() > 1) {
    const int64_t lanes = vector_lanes(p.dtype, policy.isa);
    if (p.g == 1 || p.ic < lanes) return "few groups leave lanes idle";
    return p.ic_per_group() > lanes ? "a group fills the lanes" : nullptr;
  }
  const bool few_taps = p.taps() <= 9 && p.pass != Pass::kWeightGrad;
  return !few_taps && std::max(p.iw, p.ow) <= 16 ? "rows are narrow" : nullptr;
}

using Pixels = Methods<kGroupedPixelCorrelation, kGroupedPixelGrad>;

}  // namespace

extern const Algorithm kGroupedPixels = {"grouped_pixels", supports, profitable, Pixels::plan, Pixels::run};

}  // namespace convext
