// The blocks of a correlation: what a panel holds, how wide a register tile is, how many channels and pixels a block
// takes. Each decision builds on those before it.
#pragma once

#include "algorithms/axis_cut.h"
#include "algorithms/checks.h"
#include "algorithms/correlation.h"
#include "algorithms/panel.h"
#include "algorithms/tiling.h"

namespace convext {

template <typename T>
class CorrelationPlan {
 public:
  // apart: do blocks have taps of their own, none of which reads padding?
  CorrelationPlan(const Correlation& c, bool apart, Isa isa)
      : c_(c),
        apart_(apart),
        isa_(isa),
        tiles_(outer_product<T>(isa)),
        h_(c.axis_h(0)),
        w_(c.all_phases_w()),
        rows_(AxisCut(h_, apart, h_.out).largest()),
        cols_(AxisCut(w_, apart, kMaxCols).largest()),
        taps_h_(apart ? rows_.taps : ceil_div(c.kernel_h, c.phases_h)),
        taps_w_(apart ? cols_.taps : ceil_div(c.kernel_w, c.phases_w)) {}

  Blocks blocks() const {
    Blocks b;
    choose_arrangement(b);
    choose_tile(b);
    choose_source_channels(b);
    choose_rows(b);
    choose_destination_channels(b);
    return b;
  }

  // Halves the block where it costs least; false if nothing is left to halve.
  static bool shrink(Blocks& b) {
    const bool narrow = !in_rows(b.arrangement) || b.cols <= kMinCols;
    int64_t& size = b.images > 1 ? b.images : b.rows > 1 ? b.rows : !narrow ? b.cols : b.m > b.mr ? b.m : b.k;
    if (size == 1) return false;
    size = ceil_div(size, 2);
    return true;
  }

 private:
  static constexpr int64_t kBytes = sizeof(T);
  static constexpr int64_t kMinCols = 64;
  static constexpr int64_t kMaxFlatWidth = 256;  // wider rows are long enough by themselves
  static constexpr int64_t kMaxCols = 1024;
  // Of several images: enough vectors to lose little in the last one. Packed weights stream at no cost to larger
  // products, and each block of destination channels copies the images again (up to 20 % where weights were shared).
  static constexpr int64_t kMaxFlatPixels = 256;
  static constexpr int64_t kMaxResultBytes = 1 << 20;

  int64_t vectors(int64_t pixels) const { return ceil_div(pixels, tiles_.lanes); }
  bool scattered() const { return c_.phases_h * c_.phases_w > 1; }

  // By the cycles of one source channel and image: padded vectors at the end of each line, weights that come from
  // beyond L2 for every block of pixels, and copying: by each block of destination channels, whose results of
  // several images stay near.
  void choose_arrangement(Blocks& b) const {
    constexpr double kStreamedBytes = 10;  // of weights a cycle, from L3 or memory
    double best_cycles = 0;
    const bool streamed = c_.m * c_.k * c_.taps() * kBytes > 2 * l2_bytes(isa_);
    const double weight_cycles = streamed ? static_cast<double>(c_.m * taps_h_ * taps_w_ * kBytes) / kStreamedBytes : 0;
    // Copies of results, which those of few source channels wait for: 1x1 1 to 384 channels on 60 pixels x2.5, 64 to
    // 256 on 100 x1.2. (AVX2, whose ends of rows cost as much: x0.65 to x1.)
    const double result_cycles =
        isa_ == Isa::kAvx512 && moves_nothing(c_.problem())
            ? kNumberCycles * static_cast<double>(c_.m * h_.out * w_.out) / static_cast<double>(c_.k)
            : 0;
    const auto consider = [&](Arrangement arrangement, int64_t images, int64_t copies, int64_t lines, int64_t length) {
      const Tile t = best_tile(tiles_, true, c_.m, vectors(length));
      const double product =
          product_cycles(EvenSplit::of_at_most(c_.m, t.mr), EvenSplit::of_at_most(vectors(length), t.nv));
      const int64_t copiers = images > 1 ? ceil_div(c_.m * length * kBytes, kMaxResultBytes) : 1;
      const double cycles =
          (product * static_cast<double>(lines * taps_h_ * taps_w_) + weight_cycles) / static_cast<double>(images) +
          static_cast<double>(copies * copiers * h_.out) * (kRowCycles + kNumberCycles * static_cast<double>(w_.out)) +
          (images > 1 ? result_cycles : 0);
      if (best_cycles != 0 && cycles >= best_cycles) return;
      best_cycles = cycles, b.arrangement = arrangement, b.images = images;
    };
    const int64_t pixels = std::max<int64_t>(1, rows_.length * cols_.length);
    const int64_t together =
        EvenSplit::of_at_most(c_.n, std::max<int64_t>(1, (apart_ ? kMaxCols : kMaxFlatPixels) / pixels)).largest();
    if (moves_nothing(c_.problem()))
      consider(Arrangement::kInPlace, 1, 0, h_.out, w_.out);
    else if (!apart_ || h_.out == 1)
      consider(Arrangement::kShifts, 1, 1, h_.out, w_.out);
    if (!apart_ && h_.out > 1 && w_.out <= kMaxFlatWidth)
      consider(scattered() || tap_classes(h_) < h_.taps ? Arrangement::kColumnTaps : Arrangement::kTapCopies, 1,
               taps_w_, 1, h_.out * w_.out);
    if (apart_ ? h_.out > 1 : together > 1 && !scattered())
      consider(Arrangement::kTapCopies, together, taps_h_ * taps_w_ + 1, 1, together * pixels);
  }

  // The register tile for lines of so many columns, and whether weights are packed for it.
  void choose_tile(Blocks& b) const {
    const bool rows = in_rows(b.arrangement);
    b.cols = apart_ ? cols_.length : rows ? std::min(w_.out, kMaxCols) : w_.out;
    const int64_t line = rows ? b.cols : b.images * rows_.length * b.cols;
    const int64_t uses = rows ? vectors(line) * std::min(h_.out, ceil_div(kMaxCols, line)) : vectors(line);
    b.packed_weights = !apart_ && packing_pays(uses, vectors(c_.n * c_.out_pixels()));
    const Tile tile = best_tile(tiles_, b.packed_weights, c_.m, std::min(vectors(line), vectors(kMaxCols)));
    b.mr = tile.mr, b.nv = tile.nv;
  }

  // Do packed weights pay where a block has `uses` vectors of pixels, and all images have `all`? Read in place, a
  // tile's rows (or, if these adjoin, its steps) spread over as many cache lines and pages. Neighbouring taps share
  // them: packing gains a tenth with many pixels of all images, and loses one with few. So it does with a single tap,
  // unless its rows meet in few sets of L2.
  bool packing_pays(int64_t uses, int64_t all) const {
    constexpr int64_t kUses = 12, kUsesAcross = 2, kAll = 32, kPage = 4096;
    if (c_.weight_m == 1) return uses > kUsesAcross;
    if (scattered()) return uses > kUses;
    const bool many = all > kAll;
    // Has each source channel a block of weights to itself?
    const bool all_taps = c_.output_pass && h_.taps == c_.kernel_h && c_.axis_w(0).taps == c_.kernel_w;
    if (c_.taps() > 1) return many && all_taps;
    return uses > kUses && (many || c_.weight_m * kBytes % kPage == 0);
  }

  // As many as add up at once, whose slice of the panel stays in L1.
  void choose_source_channels(Blocks& b) const {
    const int64_t nr = b.nv * tiles_.lanes, taps = std::max<int64_t>(1, taps_h_ * taps_w_),
                  slice = in_rows(b.arrangement) ? taps_h_ * (nr + (taps_w_ - 1) * std::min(w_.offset_step, nr))
                                                 : taps_h_ * taps_w_ * nr,
                  fit = kL1Bytes / (kBytes * std::max<int64_t>(slice, 1)), steps = steps_at_once<T>(c_.k * taps);
    b.k = EvenSplit::of_at_most(c_.k, std::clamp<int64_t>(fit, 1, ceil_div(steps, taps))).largest();
  }

  // As many as keep the panel within L2, and the block of the result that the panels add to.
  void choose_rows(Blocks& b) const {
    const auto bytes = [&](int64_t rows) {
      const int64_t panel = PanelShape<T>(h_, w_, rows, b.cols, b.arrangement).channel_pitch() * b.k;
      const int64_t result = scattered() ? c_.phases_w * c_.m * rows * b.cols : 0;
      return kBytes * std::max(2 * panel, result);
    };
    b.rows = b.images > 1 ? h_.out : 1;
    while (b.rows < h_.out && b.rows * b.cols < kMaxCols && bytes(b.rows + 1) <= l2_bytes(isa_)) ++b.rows;
    b.rows = AxisCut(h_, apart_, b.rows).largest().length;
  }

  // A phase's packed weights share L2 with the panel; those of all phases, and results, stay near. Read in place,
  // weights pay for no second copy of a panel, unless results would fill L2 besides.
  void choose_destination_channels(Blocks& b) const {
    const int64_t weights = std::max<int64_t>(1, b.k * taps_h_ * taps_w_),
                  result = std::max<int64_t>(1, c_.phases_w * b.images * b.rows * b.cols);
    const int64_t near = std::min(l2_bytes(isa_) / weights, kMaxResultBytes / std::max(c_.phases_w * weights, result));
    const int64_t read_in_place = apart_ ? c_.m : kMaxResultBytes / 2 / kBytes / result;
    const int64_t least = std::min<int64_t>(b.packed_weights ? 4 * b.mr : std::max<int64_t>(read_in_place, b.mr), c_.m);
    b.m = std::clamp<int64_t>(near / kBytes, least, c_.m);
  }

  const Correlation& c_;
  bool apart_;
  Isa isa_;
  const OuterProductTiles<T>& tiles_;
  Axis h_, w_;               // of the first phase, of all phases
  AxisPart rows_, cols_;     // the largest parts
  int64_t taps_h_, taps_w_;  // of a phase, or of the largest parts
};

}  // namespace convext
