// Weight gradients with few output channels a group, few taps of few input channels, or 1 x 1 that leaves lanes idle:
// pixels in the lanes. (Their output pass and input
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

// The dense algorithm has output channels in the lanes, for which it transposes each number of the output, and the taps
// of input channels as the rows of a tile, which share what is transposed: few have little to share. (Against it, or
// Winograd, two threads of a Zen 4; AVX-512; AVX2. 3x3 of RGB to 64 x1.5, x1.1, stride 2 x1.1, x1.1, 1 to 128 x1.9,
// x1.6, 8 to 64 at 56x56 x1.1, x0.7, 8 to 16 at 14x14 x0.83, 8 to 64 k3 x1.5, x1.3, k5 x1.2, x1.1; 4x4 stride 2, 3 to
// 64 x1.05, x0.93; 5x5 of RGB x1.1, x0.85 to x1.1, stride 2 x1.0, x0.9; 2x2, 8 to 32 x1.08, x0.9, stride 2 x0.95, x0.8.
// 7x7 of 2 channels x1.09, x0.95; 7x7, 1 to 32 x1.0; stride 2, 3 to 64 x1.0, x0.88; stride 4 x0.9. One tap that moves
// nothing, of few channels in or out, on a Xeon: x1.2 to x13, x0.9 to x9.)
bool few_rows(const ConvProblem& p, Isa isa) {
  const int64_t icg = p.ic_per_group(), rows = icg * p.taps();
  const bool avx512 = isa == Isa::kAvx512, strided = p.stride_h > 1 || p.stride_w > 1;
  if (icg > 4 && (icg > 8 || strided || p.ow < 24 || (!avx512 && p.oh > 1))) return false;
  if (rows <= 36 || (rows <= 50 && icg * p.oc_per_group() <= 64)) return true;
  return !strided && rows <= (avx512 ? 100 : 40);
}

// 1 x 1, against channels in the lanes. (Two threads of a Zen 4; AVX-512; AVX2: 12 of 16 lanes x1.3 to x1.45, x1.3; 24
// of 32 x1.3 to x2.1, at 112x112 and more x0.65 to x0.8; 20 of 32, 24 x1.4, x1.0; 28 of 32 x1.16; 40 of 48 x1.1 to
// x1.2, x0.85; full lanes x0.6 to x1.04; 12 and 24 channels at 7x7 x0.8 to x0.9.)
bool idle_lanes(const ConvProblem& p, int64_t channels, Isa isa) {
  constexpr int64_t kFew = 196, kMany = 6400;  // pixels
  const int64_t lanes = vector_lanes(p.dtype, isa), idle = round_up(channels, lanes) - channels;
  return moves_nothing(p) && isa != Isa::kScalar && channels <= 3 * lanes && p.output_pixels() >= kFew &&
         (channels <= lanes || p.output_pixels() <= kMany) && idle * (isa == Isa::kAvx512 ? 7 : 3) >= channels;
}

const char* profitable(const ConvProblem& p, const Policy& policy) {
  if (moves_nothing(p) && p.output_pixels() == 1) return "images of one pixel: there is nothing to fill the lanes with";
  constexpr int64_t kFew = 8;
  const int64_t ocg = p.oc_per_group(), fewest = moves_nothing(p) ? std::min(p.ic_per_group(), ocg) : ocg;
  return fewest <= kFew || few_rows(p, policy.isa) || idle_lanes(p, fewest, policy.isa)
             ? nullptr
             : "output channels fill the lanes, and taps the tiles";
}

// The numbers of a vector of sums are added up after each block, which takes as long as some vectors of pixels. (Of 8
// channels, AVX-512; AVX2, against dense: 448 pixels a block x1.3, x0.9; 196 x0.93 to x1.15, x0.7; 112 x0.86, x0.47; of
// 4 channels 196 x1.3 to x1.8, x1.06 to x1.26.)
const char* worthwhile(const Plan& plan) {
  constexpr double kFull = 1.2, kSum = 14;  // what dense takes with full lanes; vectors
  const ConvProblem& p = plan.problem;
  if (moves_nothing(p) || few_rows(p, plan.isa)) return nullptr;
  const auto number = [](int64_t i) { return static_cast<double>(i); };
  const int64_t ocg = p.oc_per_group(), pixels = plan.blocks.images * plan.blocks.rows * plan.blocks.cols,
                lanes = vector_lanes(p.dtype, plan.isa);
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
