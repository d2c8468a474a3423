// The weights of a block of destination and source channels, rearranged for the packed outer-product tiles.
//
// For each phase along w and each tile of MR destination channels: [source channel][tap][MR], so that a tile
// reads its numbers one after the other.
#pragma once

#include "algorithms/correlation.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"

namespace convext {

template <typename T>
class WeightPacking {
 public:
  WeightPacking(const Correlation& c, Isa isa) : c_(c), transposes_(transposes<T>(isa)), rows_(rows<T>(isa)) {}

  // Where weights that are packed all at once keep the block that begins at source channel k0 and has the
  // destination channels [m0, m0 + m). A row of phases has its own part of a group.
  int64_t offset(int64_t g, int64_t phase_h, int64_t m0, int64_t m, int64_t k0) const {
    int64_t before = 0, columns = 0;
    for (int64_t ph = 0; ph < phase_h; ++ph) before += c_.axis_h(ph).taps;
    for (int64_t pw = 0; pw < c_.phases_w; ++pw) columns += c_.axis_w(pw).taps;
    return g * c_.weights_per_group() +
           columns * (before * c_.m * c_.k + c_.axis_h(phase_h).taps * (m0 * c_.k + m * k0));
  }

  // All weights of all groups; m cuts the destination channels, as shuffle_w at a time. memory(thread) gives
  // the offsets and `unused` of pack().
  template <typename Memory>
  void pack_all(T* packed, const T* weight, const EvenSplit& m, const Blocks& blocks, int threads,
                const Memory& memory) const {
    const EvenSplit k = EvenSplit::of_at_most(c_.k, blocks.k);
    parallel_for(threads, c_.g * c_.phases_h * m.parts * k.parts, [&](int64_t task, int thread) {
      const int64_t ki = take_index(task, k.parts), mi = take_index(task, m.parts),
                    phase_h = take_index(task, c_.phases_h), g = task;
      const int64_t m0 = m.begin(mi) * c_.shuffle_w, count = m.length(mi) * c_.shuffle_w, k0 = k.begin(ki);
      const auto [offsets, unused] = memory(thread);
      pack(packed + offset(g, phase_h, m0, count, k0),
           weight + g * c_.weights_per_group() + m0 * c_.weight_m + k0 * c_.weight_k,
           EvenSplit::of_at_most(count, blocks.mr), k.length(ki), c_.axis_h(phase_h), offsets, unused);
    });
  }

  // `weight` is the block's first number, `tiles` cuts its destination channels, k is the number of its source
  // channels, `h` the wanted taps along h (in an output pass, all). `offsets` has room for max(k, 2) * taps numbers;
  // `unused`, for MR, is where taps go that read nothing but padding.
  void pack(T* dst, const T* weight, const EvenSplit& tiles, int64_t k, const Axis& h, int64_t* offsets,
            T* unused) const {
    if (c_.taps() > 1 && !c_.output_pass) return pack_phases(dst, weight, tiles, k, h, offsets, unused);
    const int64_t steps = k * h.taps * c_.kernel_w;
    if (c_.weight_m == 1) {
      for (int64_t i = 0; i < steps; ++i) offsets[i] = i * c_.weight_k;
      rows_.cut({dst, weight, offsets, steps, tiles.size, tiles.parts});
    } else if (steps > 0) {
      for (int64_t i = 0; i < tiles.parts; ++i)
        transposes_.block(weight + tiles.begin(i) * c_.weight_m, c_.weight_m, tiles.length(i), steps,
                          dst + tiles.begin(i) * steps, tiles.length(i));
    }
  }

 private:
  // A row of taps at a time, each to its place in its phase.
  void pack_phases(T* dst, const T* weight, const EvenSplit& tiles, int64_t k, const Axis& h, int64_t* place,
                   T* unused) const {
    int64_t* step = place + c_.kernel_w;
    for (int64_t i = 0; i < tiles.parts; ++i)
      for (int64_t th = 0; th < h.taps; ++th) {
        const int64_t first = tiles.begin(i), mr = tiles.length(i);
        std::fill_n(place, c_.kernel_w, unused - dst);
        std::fill_n(step, c_.kernel_w, 0);
        int64_t phase = 0;
        for (int64_t pw = 0; pw < c_.phases_w; ++pw) {
          const Axis w = c_.axis_w(pw);
          const int64_t taps = h.taps * w.taps;
          for (int64_t tw = 0; tw < w.taps; ++tw) {
            const int64_t tap = w.tap0 + tw * w.tap_step;
            place[tap] = phase + first * k * taps + (th * w.taps + tw) * mr, step[tap] = taps * mr;
          }
          phase += tiles.size * k * taps;
        }
        const T* row = weight + first * c_.weight_m + (h.tap0 + th * h.tap_step) * c_.kernel_w;
        for (int64_t j = 0; j < k; ++j) {
          transposes_.scatter(row + j * c_.weight_k, c_.weight_m, mr, c_.kernel_w, dst, place);
          for (int64_t tap = 0; tap < c_.kernel_w; ++tap) place[tap] += step[tap];
        }
      }
  }

  const Correlation& c_;
  const TransposeKernels<T>& transposes_;
  const RowKernels<T>& rows_;
};

}  // namespace convext
