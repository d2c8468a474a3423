// Weight gradients of convolutions with few channels a group: pixels in the lanes. (Their output pass and input
// gradient are the dense algorithm's: pixels are in the lanes there anyway.)
#include <algorithm>

#include "algorithms/checks.h"
#include "algorithms/pixel_sum.h"
#include "algorithms/tiling.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  return p.pass != Pass::kWeightGrad ? "it computes weight gradients only" : needs_channels_first(p);
}

// The dense algorithm has output channels in the lanes and the taps of input channels as the rows of a tile: few of
// either leave it idle. (1 to 4 input channels, against it, two threads of a Zen 4; AVX-512; AVX2: 3x3, 3 to 16 x1.5,
// x1.15; 1 to 32 x1.6, x1.6; 5x5, 2 to 32 x1.1, x0.95; 7x7, 1 to 32 x0.96, x1.0; 9x9, 1 to 64 x1.16, x1.0; 12x12
// x0.87; 7x7 stride 2, 3 to 16 x0.7, x0.7. One tap that moves nothing, of few channels in or out, on a Xeon: x1.2 to
// x13, x0.9 to x9.)
bool few_rows(const ConvProblem& p) {
  const int64_t icg = p.ic_per_group(), ocg = p.oc_per_group(), rows = icg * p.taps();
  return icg <= 4 && ocg <= 64 && (rows <= 25 || (rows <= 50 && icg * ocg <= 64));
}

const char* profitable(const ConvProblem& p, const Policy&) {
  if (moves_nothing(p) && p.output_pixels() == 1) return "images of one pixel: there is nothing to fill the lanes with";
  constexpr int64_t kFew = 8;
  const int64_t ocg = p.oc_per_group(), fewest = moves_nothing(p) ? std::min(p.ic_per_group(), ocg) : ocg;
  return fewest <= kFew || few_rows(p) ? nullptr : "output channels fill the lanes, and taps the tiles";
}

// The numbers of a vector of sums are added up after each block, which takes as long as some vectors of pixels. (Of 8
// channels, AVX-512; AVX2, against dense: 448 pixels a block x1.3, x0.9; 196 x0.93 to x1.15, x0.7; 112 x0.86, x0.47; of
// 4 channels 196 x1.3 to x1.8, x1.06 to x1.26.)
const char* worthwhile(const Plan& plan) {
  constexpr double kFull = 1.2, kSum = 14;  // what dense takes with full lanes; vectors
  const ConvProblem& p = plan.problem;
  if (moves_nothing(p) || few_rows(p)) return nullptr;
  const auto number = [](int64_t i) { return static_cast<double>(i); };
  const int64_t ocg = p.oc_per_group(), pixels = plan.blocks.images * plan.blocks.rows * plan.blocks.cols,
                lanes = p.dtype == DType::kFloat32 ? inner_product<float>(plan.isa).lanes
                                                   : inner_product<double>(plan.isa).lanes;
  const double dense = kFull * number(ceil_div(ocg, lanes) * lanes) / number(ocg);
  return (dense - 1) * number(pixels) > kSum * number(lanes) ? nullptr : "few pixels a block: its sums take longer";
}

using Only = OneMethod<kPixelSum>;

}  // namespace

extern const Algorithm kGrouped = {
    .name = "grouped",
    .supports = supports,
    .profitable = profitable,
    .plan = Only::plan,
    .run = Only::run,
    .worthwhile = worthwhile,
};

}  // namespace convext
