// The choice of an algorithm: a pure function of the problem and the policy, the same on any machine.
#pragma once

#include <span>
#include <vector>

#include "algorithms/algorithm.h"

namespace convext {

// All algorithms, in the order in which they are asked.
std::span<const Algorithm* const> all_algorithms();

// The first algorithm that supports the problem and is profitable. Throws std::invalid_argument if
// policy.algorithm names none, or one that does not support the problem.
Plan choose(const ConvProblem& problem, const Policy& policy);

// How many threads are worth having, of so many: opening a region costs microseconds.
int threads_for(const Plan& plan, int most);

// Computes, on as many threads as the context has.
void run(const Plan& plan, const Operands& operands, const Context& context);

// For people: each algorithm with the reason why it was not taken, or nullptr for the one that was.
struct Candidate {
  const Algorithm* algorithm;
  const char* reason;
};
std::vector<Candidate> explain(const ConvProblem& problem, const Policy& policy);

}  // namespace convext
