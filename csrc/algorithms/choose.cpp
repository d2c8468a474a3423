#include "algorithms/choose.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace convext {

extern const Algorithm kPointwise, kDepthwiseChannels, kDepthwise, kGrouped, kDense, kReference;

namespace {
constexpr const Algorithm* kAlgorithms[] = {
    &kDepthwiseChannels, &kDepthwise, &kPointwise, &kGrouped, &kDense, &kReference,
};

const char* objection(const Algorithm& a, const ConvProblem& problem, const Policy& policy) {
  const char* reason = a.supports(problem);
  return reason != nullptr ? reason : a.profitable(problem, policy);
}

Plan plan_with(const Algorithm& a, const ConvProblem& problem, const Policy& policy) {
  Plan plan = a.plan(problem, policy);
  plan.problem = problem;
  plan.algorithm = &a;
  plan.isa = policy.isa;
  return plan;
}
}  // namespace

std::span<const Algorithm* const> all_algorithms() { return kAlgorithms; }

Plan choose(const ConvProblem& given, const Policy& policy) {
  const ConvProblem problem = canonical(given);
  for (const Algorithm* a : kAlgorithms) {
    if (policy.algorithm.empty()) {
      if (objection(*a, problem, policy) == nullptr) return plan_with(*a, problem, policy);
    } else if (a->name == policy.algorithm) {
      if (const char* reason = a->supports(problem))
        throw std::invalid_argument("convext: " + std::string(a->name) + " cannot compute this: " + reason);
      return plan_with(*a, problem, policy);
    }
  }
  throw std::invalid_argument("convext: no algorithm is called '" + std::string(policy.algorithm) + "'");
}

void run(const Plan& plan, const Operands& operands, const Context& context) {
  constexpr double kFlopsPerThread = 1 << 18;  // some 4 us of dense work, about what opening a region costs
  Context used = context;
  used.threads =
      static_cast<int>(std::clamp(plan.problem.flops() / kFlopsPerThread, 1.0, static_cast<double>(context.threads)));
  plan.algorithm->run(plan.problem, plan, operands, used);
}

std::string to_string(const KernelName& name) {
  if (name.mr == 0) return name.shape;
  return std::string(name.shape) + (name.dtype == DType::kFloat32 ? "_f32_" : "_f64_") + std::to_string(name.mr) + "x" +
         std::to_string(name.nr) + "_" + std::string(to_string(name.isa));
}

std::vector<Candidate> explain(const ConvProblem& given, const Policy& policy) {
  const ConvProblem problem = canonical(given);
  std::vector<Candidate> candidates;
  bool taken = false;
  for (const Algorithm* a : kAlgorithms) {
    const char* reason = objection(*a, problem, policy);
    if (reason == nullptr && taken) reason = "an earlier algorithm of the list was taken";
    taken = taken || reason == nullptr;
    candidates.push_back({a, reason});
  }
  return candidates;
}

}  // namespace convext
