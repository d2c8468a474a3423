// Winograd's minimal filtering for stride 1: fewer multiplications than the direct sum, at up to a few times its
// rounding error.
#include "algorithms/winograd/winograd.h"

#include "algorithms/correlation.h"
#include "algorithms/dense/dense.h"
#include "algorithms/layouts.h"
#include "algorithms/tiling.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  if (p.stride_h != 1 || p.stride_w != 1) return "it is strided";
  if (p.padding_mode != PaddingMode::kZeros) return "its tiles reach past the edge, where they read zeros";
  if (const char* reason = needs_channels_first(p)) return reason;
  const int64_t taps_h = output_axis(p.padding_mode, p.oh, p.ih, p.kh, 1, p.dilation_h, p.pad_top).taps,
                taps_w = output_axis(p.padding_mode, p.ow, p.iw, p.kw, 1, p.dilation_w, p.pad_left).taps;
  return taps_h * taps_w > 1 ? nullptr : "a kernel of one tap has no tiles";
}

// A pass for one number type, by Winograd and by direct sums.
struct Half {
  Plan (*plan)(const ConvProblem&, Isa);
  double (*cycles)(const ConvProblem&, const Plan&);
  bool (*run)(const ConvProblem&, const Plan&, const Operands&, const Context&);
  Plan (*plan_direct)(const ConvProblem&, Isa);
  void (*run_direct)(const ConvProblem&, const Plan&, const Operands&, const Context&);
};

template <typename T>
constexpr Half kCorrelation{plan_winograd_correlation<T>, winograd_correlation_cycles<T>, run_winograd_correlation<T>,
                            plan_correlation<T>, run_correlation<T>};
template <typename T>
constexpr Half kWeightGrad{plan_winograd_weight_grad<T>, winograd_weight_grad_cycles<T>, run_winograd_weight_grad<T>,
                           plan_weight_grad<T>, run_weight_grad<T>};

template <typename T>
const Half& half_for(const ConvProblem& p) {
  return p.pass == Pass::kWeightGrad ? kWeightGrad<T> : kCorrelation<T>;
}
const Half& half(const ConvProblem& p) { return p.dtype == DType::kFloat32 ? half_for<float>(p) : half_for<double>(p); }

// The same of the direct sum: whole vectors, and a tenth for panels.
double direct_cycles(const ConvProblem& p, Isa isa) {
  const OuterProductTiles<float>& tiles = outer_product<float>(isa);
  const auto product = [&](int64_t m, int64_t vectors, int64_t steps) {
    const Tile tile = best_tile(tiles, false, m, vectors);
    return 1.1 * static_cast<double>(p.g * steps) *
           product_cycles(EvenSplit::of_at_most(m, tile.mr), EvenSplit::of_at_most(vectors, tile.nv));
  };
  if (p.pass == Pass::kWeightGrad)
    return product(p.ic_per_group() * p.taps(), ceil_div(p.oc_per_group(), tiles.lanes), p.n * p.output_pixels());
  const Correlation c(p);
  const bool flat = c.out_w < 4 * tiles.lanes;  // rows of pixels run on
  return product(c.m, ceil_div(flat ? c.out_pixels() : c.out_w, tiles.lanes),
                 c.n * c.k * c.taps() * (flat ? 1 : c.out_h));
}

const char* profitable(const ConvProblem& p, const Policy& policy) {
  if (p.dtype == DType::kFloat64) return "who takes float64 wants its digits: 5 times the error of torch's";
  const Plan plan = half(p).plan(p, policy.isa);
  // Of 3x3, the transformed filters are 4 times as many numbers.
  constexpr size_t kSmallFilters = 8 << 20, kLargeFilters = 64 << 20;
  const size_t weights = sizeof(float) * static_cast<size_t>(p.weight_count());
  if (plan.workspace.shared_bytes > std::clamp(5 * weights, kSmallFilters, kLargeFilters))
    return "the transformed filters take too much memory";
  return half(p).cycles(p, plan) > direct_cycles(p, policy.isa) ? "the transforms cost more than they save" : nullptr;
}

// With room for the direct sum.
Plan plan(const ConvProblem& p, const Policy& policy) {
  Plan plan = half(p).plan(p, policy.isa);
  const Workspace direct = half(p).plan_direct(p, policy.isa).workspace;
  plan.workspace = {std::max(plan.workspace.shared_bytes, direct.shared_bytes),
                    std::max(plan.workspace.thread_bytes, direct.thread_bytes)};
  return plan;
}

// A value that is not finite reaches its whole tile. Such data are rare, and computed anew by direct sums.
void run(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  if (half(p).run(p, plan, operands, context)) return;
  Plan direct = half(p).plan_direct(p, plan.isa);
  direct.problem = p, direct.isa = plan.isa;
  half(p).run_direct(p, direct, operands, context);
}

}  // namespace

// Measured on random data: up to 1.3 times the bound of the direct sum, and 1.2 to 2.5 times the RMS error of torch's.
// The terms that count are those of the whole tile: where a sum is small, its error is that of its neighbours.
extern const Algorithm kWinograd = {"winograd", supports, profitable, plan, run, 4};

}  // namespace convext
