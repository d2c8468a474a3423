// The filters of a correlation, transformed: for a block of source channels and a slice of destination channels, as
// wide as a register tile, the matrices [term][frequency][source channel (times groups of taps)][lane].
#pragma once

#include "algorithms/channel_panel.h"
#include "algorithms/correlation.h"
#include "algorithms/winograd/tile_grid.h"
#include "core/parallel.h"

namespace convext {

template <typename T>
class WinogradFilters {
 public:
  WinogradFilters(const ConvProblem& p, const Correlation& c, const TileGrid& grid, Isa isa)
      : p_(p),
        c_(c),
        grid_(grid),
        kernels_(winograd<T>(isa)),
        transpose_(transpose<T>(isa)),
        rows_(rows<T>(isa)),
        m_lanes_{c.m, kernels_.lanes},
        streamed_from_(4 * l2_bytes(isa)) {}

  // Numbers of `channels` source channels and of `vectors` vectors of destination channels.
  int64_t count(int64_t channels, int64_t vectors) const {
    return grid_.filter_numbers() * kernels_.lanes * channels * vectors;
  }
  int64_t group_count() const { return count(c_.k, m_lanes_.count()); }

  // Where, in those of a group, the block of `channels` source channels from k0 on begins, and in it the slice that
  // begins at a vector.
  int64_t offset(int64_t k0, int64_t channels, int64_t vector) const {
    return count(k0, m_lanes_.count()) + count(channels, vector);
  }

  // Cycles of a group's filters, which are transformed in each of some blocks of tiles or, packed, before all.
  double cost(int64_t blocks, bool packed) const {
    constexpr double kFrequency = 5, kTap = 14, kBytesPerCycle = 10;  // from beyond the L2 cache
    const auto number = [](int64_t x) { return static_cast<double>(x); };
    const double once =
        number(m_lanes_.count() * c_.k) * (kFrequency * number(grid_.filter_numbers()) + kTap * number(c_.taps()));
    const int64_t bytes = group_count() * static_cast<int64_t>(sizeof(T));
    const double streamed = bytes > streamed_from_ ? number(bytes) / kBytesPerCycle : 0;
    return packed ? once + number(1 + blocks) * streamed : number(blocks) * once;
  }

  // All filters of all groups; weights(thread) is memory for the transform.
  template <typename Weights>
  void transform_all(const T* weight, const EvenSplit& k, const EvenSplit& slices, T* to, int threads,
                     const Weights& weights) const {
    parallel_for(threads, c_.g * k.parts * slices.parts, [&](int64_t task, int thread) {
      const int64_t slice = take_index(task, slices.parts), ki = take_index(task, k.parts), g = task;
      transform(weight, g, k.begin(ki), k.length(ki), slices, slice,
                to + g * group_count() + offset(k.begin(ki), k.length(ki), slices.begin(slice)), weights(thread));
    });
  }

  // Those of `channels` source channels from k0 on and of a slice; `gathered` has room for a vector's weights.
  void transform(const T* weight, int64_t g, int64_t k0, int64_t channels, const EvenSplit& slices, int64_t slice,
                 T* to, T* gathered) const {
    const int64_t lanes = kernels_.lanes, taps = c_.taps(), width = slices.length(slice) * lanes;
    for (int64_t v = slices.begin(slice); v < slices.begin(slice + 1); ++v, to += lanes) {
      gather(weight + g * c_.weights_per_group(), k0, channels, v, gathered);
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
          args.u = matrices + group * channels * width, args.u_filter = width,
          args.u_frequency = t.groups() * channels * width;
          t.transforms(kernels_).filter(args);
        });
        matrices += t.points() * t.groups() * channels * width;
      }
    }
  }

 private:
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
      for (int64_t i = 0; i < channels; ++i)
        transpose_(from + i * c_.weight_k, c_.weight_m, count, taps, to + i * taps * lanes, lanes);
  }

  const ConvProblem& p_;
  const Correlation& c_;
  const TileGrid& grid_;
  const WinogradKernels<T>& kernels_;
  TransposeFn<T> transpose_;
  const RowKernels<T>& rows_;
  LaneGroups m_lanes_;
  int64_t streamed_from_;
};

}  // namespace convext
