// Dense convolution as an implicit matrix product, channels first, any kernel, stride, dilation and group.
#include "algorithms/dense/dense.h"

#include "algorithms/layouts.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) { return first_reason(needs_channels_first(p), needs_border_fold(p)); }

const char* profitable(const ConvProblem&, const Policy&) { return nullptr; }

// Calls f with the pass's half of the algorithm for the problem's number type.
template <typename T>
Plan plan_for(const ConvProblem& p, Isa isa) {
  return p.pass == Pass::kWeightGrad ? plan_weight_grad<T>(p, isa) : plan_correlation<T>(p, isa);
}

template <typename T>
void run_for(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  (p.pass == Pass::kWeightGrad ? run_weight_grad<T> : run_correlation<T>)(p, plan, operands, context);
}

Plan plan(const ConvProblem& p, const Policy& policy) {
  return (p.dtype == DType::kFloat32 ? plan_for<float> : plan_for<double>)(p, policy.isa);
}

void run(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  (p.dtype == DType::kFloat32 ? run_for<float> : run_for<double>)(p, plan, operands, context);
}

}  // namespace

extern const Algorithm kDense = {"dense", supports, profitable, plan, run};

}  // namespace convext
