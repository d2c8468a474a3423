// A half of an algorithm: some of its passes, for both number types. A class template computes it,
//
//   template <typename T>
//   struct C {
//     C(const ConvProblem&, Isa, const Blocks&);
//     void plan(Blocks&);               // of one that was made without blocks
//     KernelName kernel() const;        // its shape and tile
//     Workspace workspace() const;
//     double cost() const;              // if it has one: what it takes on one thread, for Algorithm::worthwhile
//     void run(const Workspace&, const Operands&, const Context&) const;
//   };
//
// the file of which ends in `extern constexpr Half kName = half<C>();`.
#pragma once

#include "algorithms/algorithm.h"

namespace convext {

struct Half {
  Plan (*plan)(const ConvProblem&, Isa);
  void (*run)(const ConvProblem&, const Plan&, const Operands&, const Context&);
  double (*cost)(const Plan&) = nullptr;
};

// Calls f with a C of the problem's number type.
template <template <typename> class C, typename F>
auto call_with(const ConvProblem& p, Isa isa, const Blocks& blocks, const F& f) {
  return p.dtype == DType::kFloat32 ? f(C<float>(p, isa, blocks)) : f(C<double>(p, isa, blocks));
}

template <template <typename> class C>
constexpr Half half() {
  Half made{
      .plan =
          [](const ConvProblem& p, Isa isa) {
            Plan plan;
            plan.isa = isa;
            call_with<C>(p, isa, {}, [&](auto&& c) { c.plan(plan.blocks); });
            call_with<C>(p, isa, plan.blocks, [&](const auto& c) {
              plan.workspace = c.workspace();
              plan.kernel = c.kernel();
            });
            plan.kernel.dtype = p.dtype, plan.kernel.isa = isa;
            return plan;
          },
      .run =
          [](const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
            call_with<C>(p, plan.isa, plan.blocks, [&](const auto& c) { c.run(plan.workspace, operands, context); });
          },
  };
  if constexpr (requires(const C<float>& c) { c.cost(); })
    made.cost = [](const Plan& plan) {
      return call_with<C>(plan.problem, plan.isa, plan.blocks, [](const auto& c) { return c.cost(); });
    };
  return made;
}

// What an algorithm of several halves exports, each of which computes the problems that half_of gives it.
template <const Half& (*half_of)(const ConvProblem&)>
struct HalvesBy {
  static constexpr auto of = half_of;
  static Plan plan(const ConvProblem& p, const Policy& policy) { return of(p).plan(p, policy.isa); }
  static void run(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
    of(p).run(p, plan, operands, context);
  }
};

// Of an algorithm that computes all that it supports by one.
template <const Half& half>
const Half& only_half(const ConvProblem&) {
  return half;
}
template <const Half& half>
using Whole = HalvesBy<only_half<half>>;

// As most have it: one for the output pass and the input gradient, and one for the weight gradient.
template <const Half& correlation, const Half& weight_grad>
const Half& half_of_pass(const ConvProblem& p) {
  return p.pass == Pass::kWeightGrad ? weight_grad : correlation;
}
template <const Half& correlation, const Half& weight_grad>
using Halves = HalvesBy<half_of_pass<correlation, weight_grad>>;

}  // namespace convext
