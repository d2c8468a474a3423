#include "algorithms/choose.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "algorithms/tiling.h"

namespace convext {

extern const Algorithm kPointwise, kGroupedPixels, kDepthwiseLines, kDepthwiseRows, kDepthwiseChannels, kDepthwise,
    kFft, kGrouped, kFewPixels, kKn2row, kWinograd, kJointPhases, kDense, kChannelsLast, kReference;

namespace {
constexpr const Algorithm* kAlgorithms[] = {
    &kFft,       &kGroupedPixels, &kDepthwiseLines, &kDepthwiseRows, &kDepthwiseChannels,
    &kDepthwise, &kGrouped,       &kFewPixels,      &kPointwise,     &kKn2row,
    &kWinograd,  &kJointPhases,   &kDense,          &kChannelsLast,  &kReference,
};

Plan plan_with(const Algorithm& a, const ConvProblem& problem, const Policy& policy) {
  Plan plan = a.plan(problem, policy);
  plan.problem = problem;
  plan.algorithm = &a;
  plan.isa = policy.isa;
  return plan;
}

void make_room_for_fallback(Plan& plan, const Policy& policy) {
  if (plan.algorithm->fallback == nullptr) return;
  const Workspace other = plan.algorithm->fallback(plan.problem).plan(plan.problem, policy).workspace;
  Workspace& room = plan.workspace;
  room = {std::max(room.shared_bytes, other.shared_bytes), std::max(room.thread_bytes, other.thread_bytes)};
}

// Why an algorithm cannot compute this, or nullptr.
const char* inability(const Algorithm& a, const ConvProblem& problem, bool vast) {
  return vast && !a.last_resort ? "it has panels, whose sizes are beyond 64 bits" : a.supports(problem);
}

// Why an algorithm is not taken, or nullptr; then the plan is made.
const char* objection(const Algorithm& a, const ConvProblem& problem, bool vast, const Policy& policy, Plan& plan) {
  if (const char* reason = inability(a, problem, vast)) return reason;
  if (a.error_factor > 1 && policy.precision == Precision::kHighest) return "precision 'highest': direct sums only";
  if (const char* reason = a.profitable(problem, policy)) return reason;
  plan = plan_with(a, problem, policy);
  if (a.worthwhile != nullptr)
    if (const char* reason = a.worthwhile(plan)) return reason;
  make_room_for_fallback(plan, policy);
  return plan.workspace.thread_bytes > kMaxThreadBytes ? "its smallest blocks need more than 2 MiB a thread" : nullptr;
}
}  // namespace

std::span<const Algorithm* const> all_algorithms() { return kAlgorithms; }

Plan choose(const ConvProblem& given, const Policy& policy) {
  const ConvProblem problem = canonical(given);
  const bool vast = is_vast(problem);
  Plan plan;
  for (const Algorithm* a : kAlgorithms) {
    if (policy.algorithm.empty()) {
      if (objection(*a, problem, vast, policy, plan) == nullptr) return plan;
    } else if (a->name == policy.algorithm) {
      if (const char* reason = inability(*a, problem, vast))
        throw std::invalid_argument("convext: " + std::string(a->name) + " cannot compute this: " + reason);
      plan = plan_with(*a, problem, policy);
      make_room_for_fallback(plan, policy);
      return plan;
    }
  }
  throw std::invalid_argument("convext: no algorithm is called '" + std::string(policy.algorithm) + "'");
}

int threads_for(const Plan& plan, int most) {
  constexpr double kFlopsPerThread = 1 << 18;  // some 4 us of dense work, about what opening a region costs
  return static_cast<int>(std::clamp(plan.problem.flops() / kFlopsPerThread, 1.0, static_cast<double>(most)));
}

void run(const Plan& plan, const Operands& operands, const Context& context) {
  plan.algorithm->run(plan.problem, plan, operands, context);
}

std::string to_string(const KernelName& name) {
  if (name.mr == 0) return name.shape;
  return std::string(name.shape) + (name.dtype == DType::kFloat32 ? "_f32_" : "_f64_") + std::to_string(name.mr) + "x" +
         std::to_string(name.nr) + "_" + std::string(to_string(name.isa));
}

std::vector<Candidate> explain(const ConvProblem& given, const Policy& policy) {
  const ConvProblem problem = canonical(given);
  const bool vast = is_vast(problem);
  std::vector<Candidate> candidates;
  bool taken = false;
  Plan plan;
  for (const Algorithm* a : kAlgorithms) {
    const char* reason = objection(*a, problem, vast, policy, plan);
    if (reason == nullptr && taken) reason = "an earlier algorithm of the list was taken";
    taken = taken || reason == nullptr;
    candidates.push_back({a, reason});
  }
  return candidates;
}

}  // namespace convext
