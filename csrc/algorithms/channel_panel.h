// A panel with channels in the lanes (kernels/channel_stencil): the source pixels that a block of a plane
// reads, for as many channels as a vector has lanes. As in algorithms/panel.h the copy does away with edges
// and strides; here it also turns planes into pixels, if the channels do not lie side by side already.
#pragma once

#include "algorithms/axis.h"
#include "core/scratch.h"
#include "kernels/tables.h"

namespace convext {

// A tensor of either layout. The channels of a pixel lie side by side if channel == 1.
template <typename T>
struct ChannelView {
  T* data;
  int64_t image, channel, pixel;  // strides

  ChannelView(T* d, Layout layout, int64_t channels, int64_t pixels)
      : data(d),
        image(channels * pixels),
        channel(layout == Layout::kChannelsFirst ? pixels : 1),
        pixel(layout == Layout::kChannelsFirst ? 1 : channels) {}
  T* at(int64_t n, int64_t c, int64_t px) const { return data + n * image + c * channel + px * pixel; }
};

// The channels that fill the lanes together.
struct LaneGroups {
  int64_t channels, lanes;
  int64_t count() const { return ceil_div(channels, lanes); }
  int64_t begin(int64_t i) const { return i * lanes; }
  int64_t length(int64_t i) const { return std::min(lanes, channels - i * lanes); }
};

// Rows of vectors; the last vector of each row takes the pixels that nobody reads.
template <typename T>
class ChannelPanel {
 public:
  static int64_t vectors(const Axis& h, const Axis& w, int64_t rows, int64_t cols) {
    return Strip(h, rows, true).size() * (Strip(w, cols, true).size() + 1);
  }

  // Takes memory for blocks of up to rows x cols.
  ChannelPanel(const Axis& h, const Axis& w, int64_t in_h, int64_t in_w, PaddingMode mode, Isa isa, int64_t rows,
               int64_t cols, ScratchAllocator& take)
      : h_(h),
        w_(w),
        in_h_(in_h),
        in_w_(in_w),
        mode_(mode),
        kernels_(channel_stencil<T>(isa)),
        scatter_(transposes<T>(isa).scatter),
        rows_(h, rows, true),
        cols_(w, cols, true),
        panel_(take.array<T>(vectors(h, w, rows, cols) * kernels_.lanes)),
        row_source_(take.array<int64_t>(rows_.size())),
        row_place_(take.array<int64_t>(in_w)),
        place_(take.array<int64_t>(std::min(in_h, rows * h.stride + h.taps * h.offset_step) * in_w)),
        copies_(take.array<Copy>(cols_.size())) {}

  const T* data() const { return panel_; }
  int64_t pitch() const { return (cols_.size() + 1) * kernels_.lanes; }
  int64_t tap_offset(int64_t tap_h, int64_t tap_w) const {
    return rows_.base(tap_h) * pitch() + cols_.base(tap_w) * kernels_.lanes;
  }

  // Finds out where the pixels of the block go that starts at row r, column c of the destination, and clears the panel
  // if none goes to some places.
  void prepare(int64_t r, int64_t rows, int64_t c, int64_t cols) {
    rows_ = Strip(h_, rows, true), cols_ = Strip(w_, cols, true);
    rows_read_ = range(rows_, r, in_h_), cols_read_ = range(cols_, c, in_w_);
    if (rows_read_.readers < rows_.size() || cols_read_.readers < cols_.size()) clear();
    std::fill_n(row_source_, rows_.size(), -1);
    each_reader(rows_, r, in_h_, [&](int64_t row, int64_t from) { row_source_[row] = from; });
    const int64_t nobody = cols_.size() * kernels_.lanes, width = cols_read_.size();
    std::fill_n(row_place_, width, nobody);
    copy_count_ = 0;
    each_reader(cols_, c, in_w_, [&](int64_t col, int64_t from) {
      int64_t& place = row_place_[from - cols_read_.begin];
      if (place == nobody)
        place = col * kernels_.lanes;
      else
        copies_[copy_count_++] = {col * kernels_.lanes, place};
    });
    // Rows that adjoin in the source go as one: short rows would leave most of a transpose idle.
    joined_ = mode_ == PaddingMode::kZeros && width == in_w_;
    if (!joined_) return;
    std::fill_n(place_, rows_read_.size() * in_w_, nobody);
    for (int64_t i = 0; i < rows_.size(); ++i) {
      if (row_source_[i] < 0) continue;
      int64_t* place = place_ + (row_source_[i] - rows_read_.begin) * in_w_;
      for (int64_t j = 0; j < in_w_; ++j) place[j] = i * pitch() + row_place_[j];
    }
  }

  // Fills the prepared panel with `channels` channels of image n from channel c on; the lanes after them are zeros.
  void fill(const ChannelView<const T>& source, int64_t n, int64_t c, int64_t channels) const {
    if (channels < kernels_.lanes) clear();
    if (joined_)
      return spread(source, source.at(n, c, rows_read_.begin * in_w_), rows_read_.size() * in_w_, channels, panel_,
                    place_);
    for (int64_t i = 0; i < rows_.size(); ++i) {
      if (row_source_[i] < 0) continue;
      T* row = panel_ + i * pitch();
      spread(source, source.at(n, c, row_source_[i] * in_w_ + cols_read_.begin), cols_read_.size(), channels, row,
             row_place_);
      for (int64_t j = 0; j < copy_count_; ++j) std::copy_n(row + copies_[j].from, kernels_.lanes, row + copies_[j].to);
    }
  }

 private:
  // Source positions, and how many positions of a strip read them.
  struct Range {
    int64_t begin, end, readers;
    int64_t size() const { return end - begin; }
  };
  struct Copy {
    int64_t to, from;
  };

  void clear() const { std::fill_n(panel_, rows_.size() * pitch(), T(0)); }

  // Calls f(position, source position) for each position of a strip that reads the source.
  template <typename F>
  void each_reader(const Strip& strip, int64_t o, int64_t size, const F& f) const {
    const int64_t step = strip.step();
    strip.each_piece(o, [&](int64_t at, int64_t start, int64_t count) {
      if (mode_ == PaddingMode::kZeros) {
        const int64_t first = std::clamp<int64_t>(ceil_div(-start, step), 0, count),
                      end = std::clamp(ceil_div(size - start, step), first, count);
        for (int64_t i = first; i < end; ++i) f(at + i, start + i * step);
        return;
      }
      for (int64_t i = 0; i < count; ++i)
        if (const int64_t from = source_index(mode_, start + i * step, size); from >= 0) f(at + i, from);
    });
  }

  Range range(const Strip& strip, int64_t o, int64_t size) const {
    Range read{size, 0, 0};
    each_reader(strip, o, size, [&](int64_t, int64_t from) {
      read = {std::min(read.begin, from), std::max(read.end, from + 1), read.readers + 1};
    });
    return read.readers == 0 ? Range{} : read;
  }

  void spread(const ChannelView<const T>& source, const T* from, int64_t pixels, int64_t channels, T* to,
              const int64_t* place) const {
    if (source.channel == 1)
      kernels_.spread({to, place, from, source.pixel, pixels, channels});
    else
      scatter_(from, source.channel, channels, pixels, to, place);
  }

  Axis h_, w_;
  int64_t in_h_, in_w_;
  PaddingMode mode_;
  const ChannelStencilKernels<T>& kernels_;
  TransposeScatterFn<T> scatter_;
  Strip rows_, cols_;
  T* panel_;
  int64_t *row_source_, *row_place_, *place_;
  Copy* copies_;
  Range rows_read_{}, cols_read_{};
  int64_t copy_count_ = 0;
  bool joined_ = false;
};

}  // namespace convext
