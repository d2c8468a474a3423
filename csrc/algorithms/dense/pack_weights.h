// The weights of a correlation, rearranged for the packed outer-product tiles.
//
// For each group, phase, block of source channels and tile of MR destination channels:
// [source channel][tap][MR], so that a tile reads its numbers one after the other.
#pragma once

#include "algorithms/correlation.h"
#include "kernels/transpose/transpose.h"

namespace convext {

// From that many taps on a transpose of mr x taps numbers beats moving them one by one (measured: 14 x 3 numbers
// by a masked 16 x 16 square 9 ns each).
inline constexpr int64_t kTransposedTaps = 7;

// One tile: destination channels [0, mr) and source channels [0, k) of `weight`, the taps of two axes.
template <typename T>
void pack_weight_tile(T* dst, const T* weight, const Correlation& c, const Axis& h, const Axis& w, int64_t mr,
                      int64_t k, TransposeFn<T> transpose) {
  const int64_t taps = h.taps * w.taps;
  const bool all_taps = taps == c.taps();
  if (all_taps && c.weight_k == taps && h.tap_step == 1 && w.tap_step == 1) {
    transpose(weight, c.weight_m, mr, k * taps, dst, mr);  // an output pass: channels and taps adjoin
  } else if (all_taps && h.tap_step == -1 && w.tap_step == -1 && taps >= kTransposedTaps) {
    for (int64_t i = 0; i < k; ++i)  // an input gradient: the taps run backwards
      transpose(weight + i * c.weight_k, c.weight_m, mr, taps, dst + ((i + 1) * taps - 1) * mr, -mr);
  } else {
    for (int64_t i = 0; i < k; ++i)
      for (int64_t th = 0; th < h.taps; ++th)
        for (int64_t tw = 0; tw < w.taps; ++tw) {
          const T* from = weight + i * c.weight_k + (h.tap0 + th * h.tap_step) * c.kernel_w + w.tap0 + tw * w.tap_step;
          for (int64_t r = 0; r < mr; ++r) *dst++ = from[r * c.weight_m];
        }
  }
}

}  // namespace convext
