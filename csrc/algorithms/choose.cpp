#include "algorithms/choose.h"

#include <stdexcept>
#include <string>

namespace convext {

extern const Algorithm kReference;

namespace {
constexpr const Algorithm* kAlgorithms[] = {
    &kReference,
};

const char* objection(const Algorithm& a, const ConvProblem& problem, const Policy& policy) {
  const char* reason = a.supports(problem);
  return reason != nullptr ? reason : a.profitable(problem, policy);
}

Plan plan_with(const Algorithm& a, const ConvProblem& problem, const Policy& policy) {
  Plan plan = a.plan(problem, policy);
  plan.algorithm = &a;
  plan.isa = policy.isa;
  return plan;
}
}  // namespace

std::span<const Algorithm* const> all_algorithms() { return kAlgorithms; }

Plan choose(const ConvProblem& problem, const Policy& policy) {
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

std::vector<Candidate> explain(const ConvProblem& problem, const Policy& policy) {
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
