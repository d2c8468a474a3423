// Convolution of rows with long rows of taps, by transforms (overlap-save).
#include "algorithms/fft/fft.h"

#include "algorithms/layouts.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  if (p.kh != 1 || p.oh != p.ih || p.pad_top != 0 || (p.stride_h != 1 && p.ih > 1)) return "taps reach other rows";
  if (p.stride_w != 1) return "it is strided";
  if (p.dilation_w != 1 && p.kw != 1) return "it is dilated";
  return first_reason(needs_channels_first(p), needs_border_fold(p));
}

Plan fft_plan(const ConvProblem& p, const Policy& policy) {
  if (p.pass == Pass::kWeightGrad)
    return (p.dtype == DType::kFloat32 ? plan_fft_weight_grad<float> : plan_fft_weight_grad<double>)(p, policy.isa);
  return (p.dtype == DType::kFloat32 ? plan_fft_correlate<float> : plan_fft_correlate<double>)(p, policy.isa);
}

double nanoseconds(const ConvProblem& p, const Plan& plan) {
  if (p.pass == Pass::kWeightGrad)
    return (p.dtype == DType::kFloat32 ? fft_weight_grad_nanoseconds<float>
                                       : fft_weight_grad_nanoseconds<double>)(p, plan);
  return (p.dtype == DType::kFloat32 ? fft_correlate_nanoseconds<float> : fft_correlate_nanoseconds<double>)(p, plan);
}

// A vector of the direct sum takes half a nanosecond where each reads its own numbers (depthwise), a quarter where
// a matrix product shares them (Sapphire Rapids; alike for all instruction sets, as the transforms are).
const char* profitable(const ConvProblem& p, const Policy& policy) {
  constexpr int64_t kFewTaps = 32;
  constexpr size_t kMaxSpectraBytes = 9 << 20;
  if (p.kw < kFewTaps) return "the taps are few";
  Plan plan = fft_plan(p, policy);
  plan.isa = policy.isa;
  if (p.pass != Pass::kWeightGrad && plan.workspace.shared_bytes > kMaxSpectraBytes)
    return "the spectra of its smallest blocks need more than 9 MiB";
  const double vectors = p.flops() / 2 / plan.kernel.nr, direct = vectors * (p.ic_per_group() == 1 ? 0.5 : 0.25);
  return nanoseconds(p, plan) > direct ? "few segments share the transforms of the taps" : nullptr;
}

void run(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  if (p.pass == Pass::kWeightGrad)
    (p.dtype == DType::kFloat32 ? run_fft_weight_grad<float> : run_fft_weight_grad<double>)(p, plan, operands, context);
  else
    (p.dtype == DType::kFloat32 ? run_fft_correlate<float> : run_fft_correlate<double>)(p, plan, operands, context);
}

}  // namespace

// Its error is that of a direct sum, but evenly spread: an element that is a sum of few terms has no smaller one.
extern const Algorithm kFft = {"fft", supports, profitable, fft_plan, run, 1.5};

}  // namespace convext
