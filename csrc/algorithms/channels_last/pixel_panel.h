// The source pixels that one block of destination pixels reads, some channels of each, channels last: read
// where they lie if no tap reaches outside the image, or copied. As in algorithms/panel.h the copy does away with
// edges; a step of a kernel then reads at one offset for all pixels.
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
  int64_t tap_offset(int64_t tap_h, int64_t tap_w) const { return tap_offset_h(tap_h) + tap_offset_w(tap_w); }
  int64_t tap_offset_h(int64_t tap) const { return in_place_ ? h_.offset(tap) * tap_row_ : rows_.base(tap) * row_; }
  int64_t tap_offset_w(int64_t tap) const { return (in_place_ ? w_.offset(tap) : tap * w_.offset_step) * channels_; }
  int64_t pixel_offset(int64_t image, int64_t row, int64_t col) const {
    return image * image_ + row * row_ + col * column_;
  }
  // pixel_offset of each pixel of a block.
  void list_pixels(const PixelBlock& b, int64_t* offset) const {
    for (int64_t i = 0; i < b.images; ++i)
      for (int64_t r = 0; r < b.rows; ++r, offset += b.cols) {
        const int64_t row = pixel_offset(i, r, 0);
        for (int64_t c = 0; c < b.cols; ++c) offset[c] = row + c * column_;
      }
  }
  // Likewise, only of those for which a tap reads the source, and where they lie in another panel. Returns how many.
  int64_t list_inside(const PixelBlock& b, int64_t tap_h, int64_t tap_w, int64_t* offset, const PixelPanel& other,
                      int64_t* in_other) const {
    const auto inside = [](const Axis& axis, int64_t tap, int64_t o) {
      const int64_t at = o * axis.stride + axis.offset(tap);
      return at >= 0 && at < axis.in;
    };
    int64_t count = 0;
    for (int64_t i = 0; i < b.images; ++i)
      for (int64_t r = 0; r < b.rows; ++r)
        for (int64_t c = 0; c < b.cols && inside(h_, tap_h, b.r0 + r); ++c)
          if (inside(w_, tap_w, b.c0 + c))
            offset[count] = pixel_offset(i, r, c), in_other[count++] = other.pixel_offset(i, r, c);
    return count;
  }
  // Numbers of an image.
  int64_t size() const { return image_; }

  // The block's first pixel, from channel `channel` on: where the source has it, or where `memory` has it now.
  template <typename T>
  const T* block(const PixelImages<T>& source, const PixelBlock& b, int64_t channel, PaddingMode mode,
                 const RowKernels<T>& kernels, T* memory) const {
    if (in_place_) return source.at(b.n0, b.r0 * h_.stride, b.c0 * w_.stride) + channel;
    copy(source, b, channel, mode, kernels, memory, [](int64_t) { return Columns{0, 0}; });
    return memory;
  }

  // Copies only what pixels at an edge read, of which a tap reaches outside the source, and the `near` pixels before
  // and behind each.
  template <typename T>
  void edges(const PixelImages<T>& source, const PixelBlock& b, int64_t channel, PaddingMode mode,
             const RowKernels<T>& kernels, T* memory, int64_t near) const {
    if (w_.taps == 0) return;
    const auto [top, bottom] = h_.inside();
    const auto [left, right] = w_.inside();
    const int64_t first = std::clamp<int64_t>(left - b.c0 + near, 0, b.cols),
                  last = std::clamp<int64_t>(right - b.c0 - near, first, b.cols), width = row_ / channels_,
                  first_end = first > 0 ? (first - 1) * w_.stride + (w_.taps - 1) * w_.offset_step + 1 : 0;
    Columns others{std::min(first_end, width), last < b.cols ? last * w_.stride : width};
    others.last = std::max(others.first, others.last);
    const int64_t top_end = top > 0 ? (top - 1) * h_.stride + h_.offset(h_.taps - 1) + 1 : INT64_MIN,
                  bottom_begin = bottom < h_.out ? bottom * h_.stride + h_.offset0 : INT64_MAX;
    copy(source, b, channel, mode, kernels, memory,
         [=](int64_t row) { return row < top_end || row >= bottom_begin ? Columns{0, 0} : others; });
  }

 private:
  // Columns [first, last) of the panel.
  struct Columns {
    int64_t first, last;
  };

  // left_out(row) are columns of a source row that are not copied.
  template <typename T, typename LeftOut>
  void copy(const PixelImages<T>& source, const PixelBlock& b, int64_t channel, PaddingMode mode,
            const RowKernels<T>& kernels, T* memory, const LeftOut& left_out) const {
    const int64_t width = row_ / channels_;
    for (int64_t i = 0; i < b.images; ++i)
      rows_.each_piece(b.r0, [&](int64_t at, int64_t row, int64_t count) {
        for (int64_t r = 0; r < count; ++r) {
          T* dst = memory + i * image_ + (at + r) * row_;
          const int64_t from = source_index(mode, row + r * h_.stride, source.height);
          const Columns none = left_out(row + r * h_.stride);
          for (const Columns columns : {Columns{0, none.first}, Columns{none.last, width}})
            if (from < 0)
              std::fill_n(dst + columns.first * channels_, (columns.last - columns.first) * channels_, T(0));
            else
              copy_row(dst, source, source.at(b.n0 + i, from, 0) + channel, b.c0, columns, mode, kernels);
        }
      });
  }

  template <typename T>
  void copy_row(T* dst, const PixelImages<T>& source, const T* row, int64_t c0, const Columns& columns,
                PaddingMode mode, const RowKernels<T>& kernels) const {
    const int64_t start = c0 * w_.stride + w_.offset0;
    const auto edge = [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t from = source_index(mode, start + i, source.width);
        if (from < 0)
          std::fill_n(dst + i * channels_, channels_, T(0));
        else
          std::copy_n(row + from * source.channels, channels_, dst + i * channels_);
      }
    };
    const int64_t first = std::clamp<int64_t>(-start, columns.first, columns.last),
                  last = std::clamp<int64_t>(source.width - start, first, columns.last);
    edge(columns.first, first);
    const T* from = row + (start + first) * source.channels;
    if (channels_ == source.channels)
      std::copy_n(from, (last - first) * channels_, dst + first * channels_);
    else
      kernels.copy(
          {dst + first * channels_, channels_, from, source.channels, last - first, 0, 1, channels_, channels_});
    edge(last, columns.last);
  }

  Axis h_, w_;
  Strip rows_;
  int64_t channels_;
  int64_t image_, row_, column_;
  int64_t tap_row_ = 0;
  bool in_place_ = false;
};

}  // namespace convext
