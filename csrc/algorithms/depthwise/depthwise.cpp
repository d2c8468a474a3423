// Depthwise convolution: one input channel a group, any number of output channels (the multiplier), and convolution of
// one channel to one.
#include "algorithms/depthwise/depthwise.h"

#include "algorithms/layouts.h"
#include "algorithms/pixel_sum.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  if (p.ic_per_group() != 1) return "a group has several input channels";
  return first_reason(needs_channels_first(p), needs_border_fold(p));
}

const char* profitable(const ConvProblem& p, const Policy&) {
  return p.oc_per_group() > 4 ? "many output channels a group fill a dense tile" : nullptr;
}

bool sums_pixels(const ConvProblem& p) { return p.pass == Pass::kWeightGrad && !reads_planes_in_place(p); }

const Half& half_of(const ConvProblem& p) { return p.pass == Pass::kWeightGrad ? kPlaneWeightGrad : kPlaneCorrelation; }

Plan plan(const ConvProblem& p, const Policy& policy) {
  if (!sums_pixels(p)) return half_of(p).plan(p, policy.isa);
  return (p.dtype == DType::kFloat32 ? plan_pixel_sum<float> : plan_pixel_sum<double>)(p, policy.isa);
}

void run(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  if (!sums_pixels(p)) return half_of(p).run(p, plan, operands, context);
  (p.dtype == DType::kFloat32 ? run_pixel_sum<float> : run_pixel_sum<double>)(p, plan, operands, context);
}

}  // namespace

extern const Algorithm kDepthwise = {"depthwise", supports, profitable, plan, run};

}  // namespace convext
