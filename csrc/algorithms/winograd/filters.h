// The filters of a correlation, transformed: for a block of source channels and a slice of destination channels, as
// wide as a register tile, the matrices [term][frequency][source channel (times groups of taps)][lane], each followed
// by a vector that is not used (see frequency_pitch).
#pragma once

#include "algorithms/channel_panel.h"
#include "algorithms/correlation.h"
#include "algorithms/winograd/tile_grid.h"
#include "core/parallel.h"

namespace convext {

template <typename T>
class WinogradFilters {
 public:
  WinogradFilters(const ConvProblem& p, const Correlation& c, const TileGrid& grid, const Blocks& b, Isa isa)
      : p_(p),
        c_(c),
        grid_(grid),
        kernels_(winograd<T>(isa)),
        transpose_(transpose<T>(isa)),
        rows_(rows<T>(isa)),
        m_lanes_{c.m, kernels_.lanes},
        k_(EvenSplit::of_at_most(c.k, b.k)),
        slices_(EvenSplit::of_at_most(m_lanes_.count(), b.nv)),
        streamed_from_(4 * l2_bytes(isa)) {}

  // Blocks of source channels, and slices of vectors of destination channels.
  const EvenSplit& k() const { return k_; }
  const EvenSplit& slices() const { return slices_; }

  // Numbers of a group, and of the largest slice of a block.
  int64_t group_count() const { return count(c_.k * m_lanes_.count(), k_.parts * slices_.parts); }
  int64_t slice_count() const { return count(k_.largest() * slices_.largest(), 1); }
  // From a matrix of so many channels of a slice to the next.
  int64_t pitch(const TileTerm& t, int64_t channels, int64_t slice) const {
    return frequency_pitch(t.groups() * channels, slices_.length(slice) * kernels_.lanes, kernels_.lanes);
  }
  // Where, in those of a group, a slice of a block begins.
  int64_t offset(int64_t ki, int64_t slice) const {
    return count(k_.begin(ki) * m_lanes_.count() + k_.length(ki) * slices_.begin(slice), ki * slices_.parts + slice);
  }

  // Cycles of a group's filters, which are transformed in each of some blocks of tiles or, packed, before all.
  double cost(int64_t blocks, bool packed) const {
    constexpr double kFrequency = 4, kTap = 9;
    // Bytes a cycle from beyond the L2 cache; what exceeds the TLB too (8 MiB a core) takes page walks.
    constexpr double kStreamed = 14, kWalked = 5;
    constexpr int64_t kTlbReach = 16 << 20;
    const auto number = [](int64_t x) { return static_cast<double>(x); };
    const double once =
        number(m_lanes_.count() * c_.k) * (kFrequency * number(grid_.filter_numbers()) + kTap * number(c_.taps()));
    const int64_t bytes = group_count() * static_cast<int64_t>(sizeof(T));
    const double walked = number(std::max<int64_t>(0, bytes - kTlbReach)) / kWalked;
    const double streamed = bytes > streamed_from_ ? number(bytes) / kStreamed + walked : 0;
    return packed ? once + number(1 + blocks) * streamed : number(blocks) * once;
  }

  // All filters of all groups; weights(thread) is memory for the transform.
  template <typename Weights>
  void transform_all(const T* weight, T* to, int threads, const Weights& weights) const {
    parallel_for(threads, c_.g * k_.parts * slices_.parts, [&](int64_t task, int thread) {
      const int64_t slice = take_index(task, slices_.parts), ki = take_index(task, k_.parts), g = task;
      transform(weight, g, ki, slice, to + g * group_count() + offset(ki, slice), weights(thread));
    });
  }

  // Those of a slice of a block; `gathered` has room for a vector's weights.
  void transform(const T* weight, int64_t g, int64_t ki, int64_t slice, T* to, T* gathered) const {
    const int64_t lanes = kernels_.lanes, taps = c_.taps(), width = slices_.length(slice) * lanes,
                  channels = k_.length(ki);
    for (int64_t v = slices_.begin(slice); v < slices_.begin(slice + 1); ++v, to += lanes) {
      gather(weight + g * c_.weights_per_group(), k_.begin(ki), channels, v, gathered);
      T* matrices = to;
      for (int64_t i = 0; i < grid_.terms(); ++i) {
        const TileTerm t = grid_.term(i);
        t.each_group([&](int64_t group, int64_t gh, int64_t gw) {
          WinogradFilterArgs<T> args{};
          args.w = gathered + (t.h.weight_tap(gh) * c_.kernel_w + t.w.weight_tap(gw)) * lanes;
          args.w_filter = taps * lanes, args.w_h = t.h.weight_step() * c_.kernel_w * lanes,
          args.w_w = t.w.weight_step() * lanes;
          args.taps_h = static_cast<int32_t>(t.h.taps(gh)), args.taps_w = static_cast<int32_t>(t.w.taps(gw));
          args.count = channels;
          args.u = matrices + group * channels * width, args.u_filter = width;
          args.u_frequency = pitch(t, channels, slice);
          t.transforms(kernels_).filter(args);
        });
        matrices += t.points() * pitch(t, channels, slice);
      }
    }
  }

 private:
  // Of so many pairs of a source channel and a vector of destination channels, in so many slices.
  int64_t count(int64_t pairs, int64_t slices) const {
    const int64_t matrices = grid_.sum([](const TileTerm& t) { return t.points(); });
    return (grid_.filter_numbers() * pairs + matrices * slices) * kernels_.lanes;
  }

  static void ask(const T* first, int64_t count) {
    constexpr int64_t kLine = 64 / sizeof(T);
    for (int64_t i = 0; i < count; i += kLine) __builtin_prefetch(first + i);
  }

  // [channel][tap][lane] of a vector of destination channels.
  void gather(const T* weight, int64_t k0, int64_t channels, int64_t vector, T* to) const {
    const int64_t lanes = kernels_.lanes, taps = c_.taps(), m0 = m_lanes_.begin(vector),
                  count = m_lanes_.length(vector);
    if (count < lanes) std::fill_n(to, channels * taps * lanes, T(0));
    if (p_.weight_layout == Layout::kChannelsLast) {
      const int64_t icg = p_.ic_per_group(), row = taps * icg;
      for (int64_t tap = 0; tap < taps; ++tap, weight += icg, to += lanes)
        if (c_.output_pass)
          transpose_(weight + m0 * row + k0, row, count, channels, to, taps * lanes);
        else
          rows_.copy({to, taps * lanes, weight + k0 * row + m0, row, channels, 0, 1, count, count});
      return;
    }
    const T* from = weight + m0 * c_.weight_m + k0 * c_.weight_k;
    if (c_.output_pass)
      transpose_(from, c_.weight_m, count, channels * taps, to, lanes);
    else
      for (int64_t i = 0; i < channels; ++i, from += c_.weight_k) {
        ask(from + lanes * taps, lanes * taps);  // for the next vector: it lies a page or more from the other channels'
        transpose_(from, c_.weight_m, count, taps, to + i * taps * lanes, lanes);
      }
  }

  const ConvProblem& p_;
  const Correlation& c_;
  const TileGrid& grid_;
  const WinogradKernels<T>& kernels_;
  TransposeFn<T> transpose_;
  const RowKernels<T>& rows_;
  LaneGroups m_lanes_;
  EvenSplit k_, slices_;
  int64_t streamed_from_;
};

}  // namespace convext
