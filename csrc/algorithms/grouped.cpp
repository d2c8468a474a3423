// Weight gradients of convolutions with few channels a group: pixels in the lanes. (Their output pass and input
// gradient are the dense algorithm's: pixels are in the lanes there anyway.)
#include <algorithm>

#include "algorithms/layouts.h"
#include "algorithms/pixel_sum.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  return p.pass != Pass::kWeightGrad ? "it computes weight gradients only" : needs_channels_first(p);
}

// The dense algorithm has output channels in the lanes and the taps of input channels as the rows of a tile: few of
// either leave it idle. Of 1 to 4 input channels, against it (two threads, AVX-512, AVX2): 1 to 16 channels, 3x3 x4.5,
// x2.9, 5x5 x2.2, x1.25; 1 to 32, 7 taps x1.5, x1.7; 3 to 16, 3x3 x1.6, x0.96, 7x7 stride 2 x1.3, x0.75. One tap that
// moves nothing, of few channels in or out: x1.2 to x13, x0.9 to x9.
const char* profitable(const ConvProblem& p, const Policy& policy) {
  if (moves_nothing(p) && p.output_pixels() == 1) return "images of one pixel: there is nothing to fill the lanes with";
  const int64_t icg = p.ic_per_group(), ocg = p.oc_per_group(), fewest = moves_nothing(p) ? std::min(icg, ocg) : ocg;
  const bool few_rows = icg <= 4 && icg * p.taps() <= 25 && ocg <= 64,
             few_numbers = icg <= 4 && icg * ocg <= 64 && policy.isa == Isa::kAvx512;
  // AVX2: 8 as well, unless few input channels share their transpose (3x3, 3 to 8: x0.8).
  const int64_t few = policy.isa == Isa::kAvx2 && icg >= 8 ? 7 : 8;
  return fewest <= few || few_rows || few_numbers ? nullptr : "output channels fill the lanes, and taps the tiles";
}

using Grouped = Whole<kPixelSum>;

}  // namespace

extern const Algorithm kGrouped = {"grouped", supports, profitable, Grouped::plan, Grouped::run};

}  // namespace convext
