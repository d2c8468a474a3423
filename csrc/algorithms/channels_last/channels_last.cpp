// Dense convolution as an implicit matrix product, channels last, any kernel, stride, dilation and group: pixels
// are the rows of the product and channels its columns, in the lanes.
#include "algorithms/channels_last/channels_last.h"

#include <algorithm>

#include "algorithms/layouts.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) { return first_reason(needs_channels_last(p), needs_border_fold(p)); }

constexpr int64_t kMinLanes = 5;

const char* profitable(const ConvProblem& p, const Policy&) {
  const int64_t in_lanes = p.pass == Pass::kOutput      ? p.oc_per_group()
                           : p.pass == Pass::kInputGrad ? p.ic_per_group()
                                                        : std::max(p.oc_per_group(), p.ic_per_group());
  return in_lanes < kMinLanes ? "few channels a group leave lanes idle" : nullptr;
}

template <typename T>
Plan plan_for(const ConvProblem& p, Isa isa) {
  return p.pass == Pass::kWeightGrad ? plan_pixel_weight_grad<T>(p, isa) : plan_pixel_correlation<T>(p, isa);
}

template <typename T>
void run_for(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  (p.pass == Pass::kWeightGrad ? run_pixel_weight_grad<T> : run_pixel_correlation<T>)(p, plan, operands, context);
}

Plan plan(const ConvProblem& p, const Policy& policy) {
  return (p.dtype == DType::kFloat32 ? plan_for<float> : plan_for<double>)(p, policy.isa);
}

void run(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  (p.dtype == DType::kFloat32 ? run_for<float> : run_for<double>)(p, plan, operands, context);
}

}  // namespace

extern const Algorithm kChannelsLast = {"channels_last", supports, profitable, plan, run};

}  // namespace convext
