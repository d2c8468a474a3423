// A method of an algorithm computes some of its passes, for both number types. A class template describes it,
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
// the file of which makes `constexpr Method kName = method<C>();` of it: extern, if the algorithm is in another file.
#pragma once

#include "algorithms/algorithm.h"

namespace convext {

struct Method {
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
constexpr Method method() {
  Method made{
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

// What an algorithm of several methods exports, each of which computes the problems that method_of gives it.
template <const Method& (*method_of)(const ConvProblem&)>
struct MethodsBy {
  static constexpr auto of = method_of;
  static Plan plan(const ConvProblem& p, const Policy& policy) { return of(p).plan(p, policy.isa); }
  static void run(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
    of(p).run(p, plan, operands, context);
  }
};

// Of an algorithm that computes all that it supports by one.
template <const Method& method>
const Method& only_method(const ConvProblem&) {
  return method;
}
template <const Method& method>
using OneMethod = MethodsBy<only_method<method>>;

// As most have it: one for the output pass and the input gradient, and one for the weight gradient.
template <const Method& correlation, const Method& weight_grad>
const Method& method_of_pass(const ConvProblem& p) {
  return p.pass == Pass::kWeightGrad ? weight_grad : correlation;
}
template <const Method& correlation, const Method& weight_grad>
using Methods = MethodsBy<method_of_pass<correlation, weight_grad>>;

}  // namespace convext
