// Winograd's minimal filtering: fewer multiplications than the direct sum, at up to a few times its
// rounding error.
#include "algorithms/winograd/winograd.h"

#include "algorithms/axis_cut.h"
#include "algorithms/checks.h"
#include "algorithms/correlation.h"
#include "algorithms/panel.h"
#include "algorithms/tiling.h"
#include "algorithms/winograd/tile_grid.h"

namespace convext {

extern const Algorithm kDense, kChannelsLast;

namespace {

const char* supports(const ConvProblem& p) {
  if (p.padding_mode != PaddingMode::kZeros) return "its tiles reach past the edge, where they read zeros";
  if (needs_channels_first(p) != nullptr)
    if (const char* reason = needs_channels_last(p)) return reason;
  const TileGrid grid = p.pass == Pass::kWeightGrad ? TileGrid::of_weight_grad(p) : TileGrid::of(Correlation(p));
  if (!grid.h().complete() || !grid.w().complete())
    return "a phase has no taps, or there are more than 16 along an axis";
  const TileTerm largest = grid.largest();
  return largest.h.taps() * largest.w.taps() > 1 ? nullptr : "no two taps are a whole stride apart";
}

// What the direct sum takes: whole vectors, of pixels and with a tenth for panels (more, where few channels share
// them), or of channels. (Channels last, 3x3 stride 2 with AVX-512: F(4, 2) takes 1.2 times what its cost says, so the
// direct sum counts as less.)
double direct_cycles(const ConvProblem& p, Isa isa) {
  const OuterProductTiles<float>& tiles = outer_product<float>(isa);
  const auto product = [&](int64_t m, int64_t vectors, int64_t steps) {
    const Tile tile = best_tile(tiles, false, m, vectors);
    return static_cast<double>(p.g * steps) *
           product_cycles(EvenSplit::of_at_most(m, tile.mr), EvenSplit::of_at_most(vectors, tile.nv));
  };
  constexpr double kPanels = 1.1;
  if (p.pass == Pass::kWeightGrad) {
    const int64_t icg = p.ic_per_group(), ocg = p.oc_per_group(), pixels = p.n * p.output_pixels();
    const double output_in_lanes = product(icg * p.taps(), ceil_div(ocg, tiles.lanes), pixels),
                 input_in_lanes = product(ocg, ceil_div(icg, tiles.lanes), pixels * p.taps());
    const bool either = p.input_layout == Layout::kChannelsLast;
    return kPanels * (either ? std::min(output_in_lanes, input_in_lanes) : output_in_lanes);
  }
  const Correlation c(p);
  const int64_t h = c.axis_h(0).out, w = c.axis_w(0).out;  // of a phase; together the phases have each tap once
  if (p.input_layout == Layout::kChannelsLast)
    return (isa == Isa::kAvx512 ? 0.9 : kPanels) * product(h * w, ceil_div(c.m, tiles.lanes), c.n * c.k * c.taps());
  const bool flat = w < 4 * tiles.lanes;  // rows of pixels run on
  const double sums = product(c.m, ceil_div(flat ? h * w : w, tiles.lanes), c.n * c.k * c.taps() * (flat ? 1 : h));
  const int64_t copied_rows = c.n * c.g * c.k * c.phases_h * h * (flat ? ceil_div(c.kernel_w, c.phases_w) : 1);
  const double copies = static_cast<double>(copied_rows) * (kRowCycles + kNumberCycles * static_cast<double>(w));
  const bool apart = c.phases_h * c.phases_w == 1 && much_padding(p.padding_mode, c.axis_h(0), c.axis_w(0));
  return (apart ? cost_of_parts(c.axis_h(0), c.axis_w(0)) : 1) * std::max(kPanels * sums, sums + copies);
}

const char* profitable(const ConvProblem& p, const Policy&) {
  constexpr int64_t kFewChannels = 4;
  if (p.dtype == DType::kFloat64) return "who takes float64 wants its digits: 5 times the error of torch's";
  const bool few = p.ic_per_group() < kFewChannels || p.oc_per_group() < kFewChannels;
  return few ? "too few channels share the transforms" : nullptr;
}

using Winograd = Methods<kWinogradCorrelation, kWinogradWeightGrad>;

const char* worthwhile(const Plan& plan) {
  // Of 3x3, the transformed filters are 4 times as many numbers.
  constexpr size_t kSmallFilters = 8 << 20, kLargeFilters = 64 << 20;
  const ConvProblem& p = plan.problem;
  const size_t weights = sizeof(float) * static_cast<size_t>(p.weight_count());
  // The direct sum, for which a plan has room too, packs as many numbers as the weight has.
  if (std::max(plan.workspace.shared_bytes, weights) > std::clamp(5 * weights, kSmallFilters, kLargeFilters))
    return "the filters take too much memory";
  // Channels first, a Zen 4 takes 0.75 to 0.9 of the cost, with AVX-512 and AVX2 (weight gradients of AVX2 0.8 to 1.05;
  // 260 layers that are near, two threads), the Xeon that it was fitted to all of it.
  const bool less = p.input_layout == Layout::kChannelsFirst && plan.isa != Isa::kScalar &&
                    (plan.isa == Isa::kAvx512 || p.pass != Pass::kWeightGrad);
  const double cost = (less ? 0.86 : 1) * Winograd::of(p).cost(plan);
  return cost > direct_cycles(p, plan.isa) ? "the transforms cost more than they save" : nullptr;
}

const Algorithm& direct_sum(const ConvProblem& p) {
  return p.input_layout == Layout::kChannelsFirst ? kDense : kChannelsLast;
}

}  // namespace

void sum_directly(const ConvProblem& p, Isa isa, const Operands& operands, const Context& context) {
  direct_sum(p).run(p, direct_sum(p).plan(p, {.isa = isa}), operands, context);
}

// Measured on random data: up to 1.3 times the bound of the direct sum, and 1.2 to 2.5 times the RMS error of torch's.
// The terms that count are those of the whole tile: where a sum is small, its error is that of its neighbours.
extern const Algorithm kWinograd = {
    .name = "winograd",
    .supports = supports,
    .profitable = profitable,
    .plan = Winograd::plan,
    .run = Winograd::run,
    .error_factor = 4,
    .worthwhile = worthwhile,
    .fallback = direct_sum,
};

}  // namespace convext
