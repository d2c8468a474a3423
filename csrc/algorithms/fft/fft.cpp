// Convolution of rows with long rows of taps, by transforms (overlap-save).
#include "algorithms/fft/fft.h"

#include "algorithms/checks.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  if (p.kh != 1 || p.oh != p.ih || p.pad_top != 0 || (p.stride_h != 1 && p.ih > 1)) return "taps reach other rows";
  if (p.stride_w != 1) return "it is strided";
  if (p.dilation_w != 1 && p.kw != 1) return "it is dilated";
  return first_reason(needs_channels_first(p), needs_border_fold(p));
}

const char* profitable(const ConvProblem& p, const Policy&) {
  constexpr int64_t kFewTaps = 32;
  return p.kw < kFewTaps ? "the taps are few" : nullptr;
}

using Fft = Methods<kFftCorrelate, kFftWeightGrad>;

// A vector of the direct sum takes half a nanosecond where each reads its own numbers (depthwise weight gradients), a
// quarter where they share them (Sapphire Rapids; alike for all instruction sets, as the transforms are).
const char* worthwhile(const Plan& plan) {
  constexpr size_t kMaxSpectraBytes = 9 << 20;  // kSpectraBytes of correlate.cpp, and what the last block exceeds it by
  const ConvProblem& p = plan.problem;
  if (p.pass != Pass::kWeightGrad && plan.workspace.shared_bytes > kMaxSpectraBytes)
    return "the spectra of its smallest blocks need more than 9 MiB";
  const bool own = p.pass == Pass::kWeightGrad && p.ic_per_group() == 1;
  const double vectors = p.flops() / 2 / plan.kernel.nr, direct = vectors * (own ? 0.5 : 0.25);
  return Fft::of(p).cost(plan) > direct ? "few segments share the transforms of the taps" : nullptr;
}

}  // namespace

// Its error is that of a direct sum, but evenly spread: an element that is a sum of few terms has no smaller one.
extern const Algorithm kFft = {
    .name = "fft",
    .supports = supports,
    .profitable = profitable,
    .plan = Fft::plan,
    .run = Fft::run,
    .error_factor = 1.5,
    .worthwhile = worthwhile,
};

}  // namespace convext
