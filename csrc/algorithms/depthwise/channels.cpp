// Depthwise convolution, one channel to one, with channels in the lanes: for planes so small that a row does
// not fill a vector, and for tensors whose channels lie side by side already.
#include "algorithms/depthwise/channels.h"

#include "algorithms/layouts.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  if (p.ic_per_group() != 1 || p.oc_per_group() != 1) return "a group has several channels";
  if (p.input_layout != p.output_layout) return "input and output have different layouts";
  return needs_border_fold(p);
}

const char* profitable(const ConvProblem& p, const Policy&) {
  if (p.input_layout == Layout::kChannelsLast) return nullptr;
  return p.ow > 16 || p.g < 16 ? "rows fill vectors" : nullptr;
}

template <typename T>
Plan plan_for(const ConvProblem& p, Isa isa) {
  return p.pass == Pass::kWeightGrad ? plan_channel_weight_grad<T>(p, isa) : plan_channel_correlation<T>(p, isa);
}

template <typename T>
void run_for(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  (p.pass == Pass::kWeightGrad ? run_channel_weight_grad<T> : run_channel_correlation<T>)(p, plan, operands, context);
}

Plan plan(const ConvProblem& p, const Policy& policy) {
  return (p.dtype == DType::kFloat32 ? plan_for<float> : plan_for<double>)(p, policy.isa);
}

void run(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  (p.dtype == DType::kFloat32 ? run_for<float> : run_for<double>)(p, plan, operands, context);
}

}  // namespace

extern const Algorithm kDepthwiseChannels = {"depthwise_channels", supports, profitable, plan, run};

}  // namespace convext
