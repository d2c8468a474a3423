// Winograd's minimal filtering for stride 1: fewer multiplications than the direct sum, at up to twice its rounding
// error.
#include "algorithms/winograd/winograd.h"

#include "algorithms/correlation.h"
#include "algorithms/dense/dense.h"
#include "algorithms/layouts.h"
#include "algorithms/tiling.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  if (p.pass == Pass::kWeightGrad) return "it is a weight gradient";
  if (p.stride_h != 1 || p.stride_w != 1) return "it is strided";
  if (p.padding_mode != PaddingMode::kZeros) return "its tiles reach past the edge, where they read zeros";
  if (const char* reason = needs_channels_first(p)) return reason;
  const Correlation c(p);
  const int64_t taps_h = c.axis_h(0).taps, taps_w = c.axis_w(0).taps;
  return taps_h * taps_w > 1 ? nullptr : "a kernel of one tap has no tiles";
}

template <typename T>
Plan plan_for(const ConvProblem& p, Isa isa) {
  Plan plan = plan_winograd_correlation<T>(p, isa);  // with room for the direct sum: see run_for
  const Workspace direct = plan_correlation<T>(p, isa).workspace;
  plan.workspace = {std::max(plan.workspace.shared_bytes, direct.shared_bytes),
                    std::max(plan.workspace.thread_bytes, direct.thread_bytes)};
  return plan;
}

template <typename T>
void run_for(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  // A value that is not finite reaches its whole tile. Such data are rare, and computed anew by direct sums.
  if (run_winograd_correlation<T>(p, plan, operands, context)) return;
  Plan direct = plan_correlation<T>(p, plan.isa);
  direct.problem = p, direct.isa = plan.isa;
  run_correlation<T>(p, direct, operands, context);
}

// Cycles of the direct sum: whole vectors of pixels, with a tenth for panels.
template <typename T>
double direct_cycles(const ConvProblem& p, Isa isa) {
  const Correlation c(p);
  const OuterProductTiles<T>& tiles = outer_product<T>(isa);
  const bool flat = c.out_w < 4 * tiles.lanes;  // rows of pixels run on
  const int64_t vectors = ceil_div(flat ? c.out_pixels() : c.out_w, tiles.lanes), lines = flat ? 1 : c.out_h;
  const Tile tile = best_tile(tiles, false, c.m, vectors);
  return 1.1 * static_cast<double>(c.n * c.g * c.k * c.taps() * lines) *
         product_cycles(EvenSplit::of_at_most(c.m, tile.mr), EvenSplit::of_at_most(vectors, tile.nv));
}

template <typename T>
const char* profitable_for(const ConvProblem& p, Isa isa) {
  const double cycles = winograd_correlation_cycles<T>(p, plan_winograd_correlation<T>(p, isa));
  return cycles > direct_cycles<T>(p, isa) ? "the transforms cost more than they save" : nullptr;
}

const char* profitable(const ConvProblem& p, const Policy& policy) {
  return (p.dtype == DType::kFloat32 ? profitable_for<float> : profitable_for<double>)(p, policy.isa);
}

Plan plan(const ConvProblem& p, const Policy& policy) {
  return (p.dtype == DType::kFloat32 ? plan_for<float> : plan_for<double>)(p, policy.isa);
}

void run(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  (p.dtype == DType::kFloat32 ? run_for<float> : run_for<double>)(p, plan, operands, context);
}

}  // namespace

// Measured on random data: 1.3 times the bound of the direct sum, and 1.2 to 1.8 times its RMS error. The terms
// that count are those of the whole tile: where a sum is small, its error is that of its neighbours.
extern const Algorithm kWinograd = {"winograd", supports, profitable, plan, run, 4};

}  // namespace convext
