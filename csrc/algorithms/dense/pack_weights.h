// The weights of a correlation, rearranged for the packed outer-product tiles.
//
// For each group, phase, block of source channels and tile of MR destination channels:
// [source channel][tap][MR], so that a tile reads its numbers one after the other.
#pragma once

#include "algorithms/correlation.h"
#include "kernels/transpose/transpose.h"

namespace convext {

// One tile: destination channels [0, mr) and source channels [0, k) of `weight`, the taps of two axes.
template <typename T>
void pack_weight_tile(T* dst, const T* weight, const Correlation& c, const Axis& h, const Axis& w, int64_t mr,
                      int64_t k, TransposeFn<T> transpose) {
  if (c.output_pass && h.taps * w.taps == c.taps()) {
    transpose(weight, c.weight_m, mr, k * c.taps(), dst, mr);  // channels and taps adjoin
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
