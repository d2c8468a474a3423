// Depthwise convolution: one input channel a group, any number of output channels (the multiplier), and
// convolution of one channel to one.
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

Plan plan(const ConvProblem& p, const Policy& policy) {
  if (p.pass == Pass::kWeightGrad)
    return (p.dtype == DType::kFloat32 ? plan_pixel_sum<float> : plan_pixel_sum<double>)(p, policy.isa);
  return (p.dtype == DType::kFloat32 ? plan_planes<float> : plan_planes<double>)(p, policy.isa);
}

void run(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  if (p.pass == Pass::kWeightGrad)
    (p.dtype == DType::kFloat32 ? run_pixel_sum<float> : run_pixel_sum<double>)(p, plan, operands, context);
  else
    (p.dtype == DType::kFloat32 ? run_planes<float> : run_planes<double>)(p, plan, operands, context);
}

}  // namespace

extern const Algorithm kDepthwise = {"depthwise", supports, profitable, plan, run};

}  // namespace convext
