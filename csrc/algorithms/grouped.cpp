// Weight gradients of convolutions with few output channels a group: pixels in the lanes. (Their output pass
// and input gradient are the dense algorithm's: pixels are in the lanes there anyway.)
#include "algorithms/layouts.h"
#include "algorithms/pixel_sum.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  return p.pass != Pass::kWeightGrad ? "it computes weight gradients only" : needs_channels_first(p);
}

const char* profitable(const ConvProblem& p, const Policy&) {
  return p.oc_per_group() > 8 ? "output channels fill the lanes" : nullptr;
}

Plan plan(const ConvProblem& p, const Policy& policy) {
  return (p.dtype == DType::kFloat32 ? plan_pixel_sum<float> : plan_pixel_sum<double>)(p, policy.isa);
}

void run(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  (p.dtype == DType::kFloat32 ? run_pixel_sum<float> : run_pixel_sum<double>)(p, plan, operands, context);
}

}  // namespace

extern const Algorithm kGrouped = {"grouped", supports, profitable, plan, run};

}  // namespace convext
