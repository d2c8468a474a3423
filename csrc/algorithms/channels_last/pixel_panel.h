// The source pixels that one block of destination pixels reads, some channels of each, channels last: read
// where they lie if no tap reaches outside the image, or copied to memory that stays in the L2 cache. As in
// algorithms/panel.h the copy does away with edges; a step of a kernel then reads at one offset for all pixels.
#pragma once

#include "algorithms/axis.h"
#include "algorithms/pixel_blocks.h"
#include "kernels/rows/rows.h"

namespace convext {

// Images of `height` x `width` pixels of `channels` numbers.
template <typename T>
struct PixelImages {
  const T* data;
  int64_t height, width, channels;
  const T* at(int64_t n, int64_t h, int64_t w) const { return data + ((n * height + h) * width + w) * channels; }
};

class PixelPanel {
 public:
  // For blocks of `rows` x `cols` pixels, `channels` channels of each. Rows that no tap reads are left out; columns
  // are as they lie.
  PixelPanel(const Axis& h, const Axis& w, int64_t rows, int64_t cols, int64_t channels)
      : h_(h), w_(w), rows_(h, rows, true), channels_(channels) {
    const int64_t width = w.taps > 0 && cols > 0 ? (cols - 1) * w.stride + (w.taps - 1) * w.offset_step + 1 : 0;
    column_ = w.stride * channels, row_ = width * channels, image_ = rows_.size() * row_;
  }

  // The source itself.
  template <typename T>
  PixelPanel(const Axis& h, const Axis& w, const PixelImages<T>& source) : PixelPanel(h, w, 0, 0, source.channels) {
    in_place_ = true;
    column_ = w.stride * source.channels, row_ = h.stride * source.width * source.channels;
    image_ = source.height * source.width * source.channels;
    tap_row_ = source.width * source.channels;
  }

  // Where the panel has the pixel that the block's first pixel reads through a tap, and what lies between pixels.
  int64_t tap_offset(int64_t tap_h, int64_t tap_w) const {
    return in_place_ ? h_.offset(tap_h) * tap_row_ + w_.offset(tap_w) * channels_
                     : rows_.base(tap_h) * row_ + tap_w * w_.offset_step * channels_;
  }
  int64_t pixel_offset(int64_t image, int64_t row, int64_t col) const {
    return image * image_ + row * row_ + col * column_;
  }
  // Numbers of an image.
  int64_t size() const { return image_; }

  // The block's first pixel, from channel `channel` on: where the source has it, or where `memory` has it now.
  template <typename T>
  const T* block(const PixelImages<T>& source, const PixelBlock& b, int64_t channel, PaddingMode mode,
                 const RowKernels<T>& kernels, T* memory) const {
    if (in_place_) return source.at(b.n0, b.r0 * h_.stride, b.c0 * w_.stride) + channel;
    for (int64_t i = 0; i < b.images; ++i)
      rows_.each_piece(b.r0, [&](int64_t at, int64_t row, int64_t count) {
        for (int64_t r = 0; r < count; ++r) {
          T* dst = memory + i * image_ + (at + r) * row_;
          const int64_t from = source_index(mode, row + r * h_.stride, source.height);
          if (from < 0)
            std::fill_n(dst, row_, T(0));
          else
            copy_row(dst, source, source.at(b.n0 + i, from, 0) + channel, b.c0, mode, kernels);
        }
      });
    return memory;
  }

 private:
  template <typename T>
  void copy_row(T* dst, const PixelImages<T>& source, const T* row, int64_t c0, PaddingMode mode,
                const RowKernels<T>& kernels) const {
    const int64_t start = c0 * w_.stride + w_.offset0, count = row_ / channels_;
    const auto edge = [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t from = source_index(mode, start + i, source.width);
        if (from < 0)
          std::fill_n(dst + i * channels_, channels_, T(0));
        else
          std::copy_n(row + from * source.channels, channels_, dst + i * channels_);
      }
    };
    const int64_t first = std::clamp<int64_t>(-start, 0, count),
                  last = std::clamp<int64_t>(source.width - start, first, count);
    edge(0, first);
    const T* from = row + (start + first) * source.channels;
    if (channels_ == source.channels)
      std::copy_n(from, (last - first) * channels_, dst + first * channels_);
    else
      kernels.copy(
          {dst + first * channels_, channels_, from, source.channels, last - first, 0, 1, channels_, channels_});
    edge(last, count);
  }

  Axis h_, w_;
  Strip rows_;
  int64_t channels_;
  int64_t image_, row_, column_;
  int64_t tap_row_ = 0;
  bool in_place_ = false;
};

}  // namespace convext
