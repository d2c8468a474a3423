// Where the tiles of outer_product_rows read: the steps of a sum as offsets from a pixel, and the pixels of a block.
#pragma once

#include "algorithms/channels_last/pixel_panel.h"
#include "algorithms/channels_last/pixel_product.h"

namespace convext {

template <typename T>
struct PixelReads {
  using Phase = PixelProduct::Phase;
  using Channels = PixelProduct::Channels;

  int64_t* offset;
  const T** pixel;

  // For sums over all taps: their offsets, and the pixels, the first of which the panel has at `first`.
  void of_taps(const PixelProduct& product, const Phase& phase, const Channels& k, const PixelBlock& b,
               const PixelPanel& panel, const T* first) const {
    const auto index = [](const Axis& of, const Axis& in, int64_t tap) {
      return (of.offset(tap) - in.offset0) / in.offset_step;
    };
    int64_t* to = offset;
    for (int64_t th = 0; th < phase.h.taps; ++th) {
      const int64_t row = panel.tap_offset_h(index(phase.h, product.all_h, th));
      for (int64_t tw = 0; tw < phase.w.taps; ++tw) {
        const int64_t tap = row + panel.tap_offset_w(index(phase.w, product.all_w, tw));
        for (int64_t c = 0; c < k.channels; ++c) *to++ = tap + c;
      }
    }
    const T** px = pixel;
    const int64_t step = panel.pixel_offset(0, 0, 1);
    for (int64_t i = 0; i < b.images; ++i)
      for (int64_t r = 0; r < b.rows; ++r, px += b.cols) {
        const T* row = first + panel.pixel_offset(i, r, 0);
        for (int64_t c = 0; c < b.cols; ++c) px[c] = row + c * step;
      }
  }

  // For sums over one tap: the pixels that it reads, from `channel` on, or zeros.
  void of_tap(const PixelProduct& product, const Phase& phase, const Channels& k, int64_t tap, const PixelBlock& b,
              const PixelImages<T>& source, int64_t channel, const T* zeros) const {
    const PaddingMode mode = product.c.padding_mode;
    const int64_t top = phase.h.offset(tap / phase.w.taps), left = phase.w.offset(tap % phase.w.taps);
    for (int64_t c = 0; c < k.channels; ++c) offset[c] = c;
    const T** px = pixel;
    for (int64_t i = 0; i < b.images; ++i)
      for (int64_t r = 0; r < b.rows; ++r) {
        const int64_t h = source_index(mode, (b.r0 + r) * phase.h.stride + top, source.height);
        const T* row = h < 0 ? nullptr : source.at(b.n0 + i, h, 0) + channel;
        for (int64_t c = 0; c < b.cols; ++c) {
          const int64_t w = source_index(mode, (b.c0 + c) * phase.w.stride + left, source.width);
          *px++ = row == nullptr || w < 0 ? zeros : row + w * source.channels;
        }
      }
  }
};

// Counts the pixels at edges, before each of a block and at its end: those of which a tap reads outside the source.
inline void count_edges(const PixelProduct& product, const PixelBlock& b, int64_t* edges) {
  const auto [top, bottom] = product.all_h.inside();
  const auto [left, right] = product.all_w.inside();
  int64_t count = *edges = 0;
  for (int64_t i = 0; i < b.images; ++i)
    for (int64_t r = b.r0; r < b.r0 + b.rows; ++r) {
      const bool whole = r < top || r >= bottom;
      for (int64_t c = b.c0; c < b.c0 + b.cols; ++c) *++edges = count += whole || c < left || c >= right ? 1 : 0;
    }
}

}  // namespace convext
