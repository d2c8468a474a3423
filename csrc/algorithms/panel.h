// A panel: the source rows that one block of pixels reads, for some channels, copied side by side into
// memory that stays in the L2 cache. The copy does away with everything a kernel should not know of:
// edges (zeros, reflected, replicated, wrapped) and strides.
#pragma once

#include <cstdlib>
#include <cstring>

#include "algorithms/axis.h"
#include "core/problem.h"
#include "kernels/rows/rows.h"

namespace convext {

// Cycles to copy a row into a panel, and each of its numbers. (Rows of 8 numbers take 9 cycles, of 56 some 15.)
inline constexpr double kRowCycles = 8;
inline constexpr double kNumberCycles = 0.12;

// Overwrites the zeros that a copied row has for positions outside the image with what the mode reads there. (Even
// strips may reach beyond what the mode has: those numbers are used by nobody.)
template <typename T>
void fill_edges(T* dst, const T* row, int64_t width, int64_t start, int64_t step, int64_t count, PaddingMode mode) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = start + i * step;
    if (at >= 0 && at < width)
      i += (width - 1 - at) / step;  // on to the last position inside
    else
      dst[i] = row[std::clamp<int64_t>(source_index(mode, at, width), 0, width - 1)];
  }
}

// A block of image planes (height x width, one after the other): rows row, row + row_step, ... and columns col,
// col + col_step, ... wherever they lie; and of `phases` blocks, each a column further.
template <typename T>
struct PlaneBlock {
  const T* plane;
  int64_t height, width;
  int64_t row, row_step, rows, col, col_step, cols;
  int64_t phases = 1, dst_phase = 0;
  int64_t planes = 1, dst_plane = 0;
};

template <typename T>
void copy_block(T* dst, int64_t dst_pitch, const PlaneBlock<T>& b, PaddingMode mode, const RowKernels<T>& kernels) {
  // Calls f(to) for the copy of each plane and phase.
  const auto each_copy = [&](const auto& f) {
    for (int64_t k = 0; k < b.planes; ++k)
      for (int64_t p = 0; p < b.phases; ++p) f(dst + k * b.dst_plane + p * b.dst_phase);
  };
  const int64_t plane = b.height * b.width;
  const bool adjoin = b.cols == b.width && dst_pitch == b.width && b.row_step == 1 && b.col_step == 1 && b.phases == 1;
  if (mode == PaddingMode::kZeros && adjoin && 4 * std::abs(b.col) <= b.width) {
    // Whole rows a little to the side: one row of the whole plane, but for the ends of rows that came from others.
    kernels.copy({dst, 0, b.plane, 0, 1, b.row * b.width + b.col, 1, b.rows * b.width, plane, 1, 0, b.planes,
                  b.dst_plane, plane});
    const int64_t end = b.col < 0 ? 0 : b.width - b.col;
    each_copy([&](T* to) {
      for (int64_t i = 0; i < std::abs(b.col); ++i)
        for (int64_t r = 0; r < b.rows; ++r) to[r * dst_pitch + end + i] = 0;
    });
  } else if (mode == PaddingMode::kZeros) {
    const int64_t first = b.row < 0 ? std::min(b.rows, ceil_div(-b.row, b.row_step)) : 0;
    const int64_t last =
        b.row < b.height ? std::max(first, std::min(b.rows, ceil_div(b.height - b.row, b.row_step))) : first;
    const auto clear = [&](int64_t from, int64_t to) {
      if (from < to)
        each_copy([&](T* copy) {
          for (int64_t r = from; r < to; ++r)
            std::memset(copy + r * dst_pitch, 0, static_cast<size_t>(b.cols) * sizeof(T));
        });
    };
    clear(0, first);
    kernels.copy({dst + first * dst_pitch, dst_pitch, b.plane + (b.row + first * b.row_step) * b.width,
                  b.row_step * b.width, last - first, b.col, b.col_step, b.cols, b.width, b.phases, b.dst_phase,
                  b.planes, b.dst_plane, plane});
    clear(last, b.rows);
  } else {
    for (int64_t k = 0; k < b.planes; ++k)
      for (int64_t r = 0; r < b.rows; ++r) {
        const T* row = b.plane + k * plane + source_index(mode, b.row + r * b.row_step, b.height) * b.width;
        T* to = dst + k * b.dst_plane + r * dst_pitch;
        kernels.copy({to, 0, row, 0, 1, b.col, b.col_step, b.cols, b.width, b.phases, b.dst_phase});
        for (int64_t p = 0; p < b.phases; ++p)
          fill_edges(to + p * b.dst_phase, row, b.width, b.col + p, b.col_step, b.cols, mode);
      }
  }
}

// How a panel is arranged: what a tap costs in copies, and how far the pixels of a line run on.
//   kShifts      [channel][row][position]                    a tap is a shift; a line is an image row
//   kColumnTaps  [channel][tap w][row][column]               a copy a tap along w; a line is all rows of the block
//   kTapCopies   [channel][tap h][tap w][image][row][column] a copy a tap; a line is a block of small images
//   kInPlace     [channel][position]                         none: one tap that moves nothing reads the source itself
enum class Arrangement : uint8_t { kShifts, kColumnTaps, kTapCopies, kInPlace };

// Is a line of pixels a row, or a part of one?
inline bool in_rows(Arrangement a) { return a == Arrangement::kShifts || a == Arrangement::kInPlace; }

template <typename T>
class PanelShape {
 public:
  PanelShape(const Axis& h, const Axis& w, int64_t rows, int64_t cols, Arrangement arrangement, int64_t images = 1)
      : rows_(h, rows, arrangement != Arrangement::kTapCopies),
        cols_(w, cols, arrangement == Arrangement::kShifts, true),
        arrangement_(arrangement),
        images_(images) {
    switch (arrangement) {
      case Arrangement::kShifts:
        channel_pitch_ = lines_apart(rows_.size() * cols_.size());
        break;
      case Arrangement::kColumnTaps:
        copy_pitch_ = lines_apart(rows_.size() * cols_.length());
        channel_pitch_ = cols_.size() * copy_pitch_;
        break;
      case Arrangement::kTapCopies:
        copy_pitch_ = lines_apart(images * rows_.length() * cols_.length());
        channel_pitch_ = rows_.size() * cols_.size() * copy_pitch_;
        break;
      case Arrangement::kInPlace:
        channel_pitch_ = w.in;
    }
  }

  int64_t lines() const { return arrangement_ == Arrangement::kShifts ? rows_.length() : 1; }
  int64_t line_length() const {
    return (arrangement_ == Arrangement::kShifts ? 1 : images_ * rows_.length()) * cols_.length();
  }
  int64_t row_pitch() const { return arrangement_ == Arrangement::kShifts ? cols_.size() : cols_.length(); }
  int64_t channel_pitch() const { return channel_pitch_; }

  int64_t tap_offset(int64_t tap_h, int64_t tap_w) const { return place(rows_.base(tap_h), cols_.base(tap_w), 0); }

  // Fills `channels` channels of one image for the block that starts at row r, column c of the destination's phase.
  void pack(T* panel, const T* source, int64_t in_h, int64_t in_w, int64_t channels, int64_t r, int64_t c,
            PaddingMode mode, const RowKernels<T>& kernels, int64_t image = 0) const {
    cols_.each_group(c, [&](const Strip::Group& g) {
      rows_.each_piece(r, [&](int64_t row, int64_t row_source, int64_t rows) {
        const int64_t at = place(row, g.at, image);
        copy_block(panel + at, row_pitch(),
                   {source, in_h, in_w, row_source, rows_.step(), rows, g.source, cols_.step(), g.count, g.pieces,
                    place(row, g.at + g.pitch, image) - at, channels, channel_pitch()},
                   mode, kernels);
      });
    });
  }

 private:
  // Copies of `numbers` begin at cache lines, an odd number of them apart: then few loads meet two lines, and those of
  // a tile spread over all sets of L1. (Not short ones: of a large patch that is a multiple of the memory.)
  static int64_t lines_apart(int64_t numbers) {
    constexpr int64_t kLine = 64 / sizeof(T);
    const int64_t apart = (ceil_div(numbers, kLine) | 1) * kLine;
    return 4 * apart <= 5 * numbers ? apart : numbers;
  }

  // Where row `row` of the row strip meets column `col` of the column strip; both begin a tap's or a class's part.
  int64_t place(int64_t row, int64_t col, int64_t image) const {
    switch (arrangement_) {
      case Arrangement::kShifts:
        return row * cols_.size() + col;
      case Arrangement::kColumnTaps:
        return col * copy_pitch_ + row * cols_.length();
      case Arrangement::kTapCopies:
        return (row * cols_.size() + col) * copy_pitch_ + image * rows_.length() * cols_.length();
      case Arrangement::kInPlace:
        return 0;
    }
    return 0;
  }

  Strip rows_, cols_;
  Arrangement arrangement_;
  int64_t images_, copy_pitch_ = 0, channel_pitch_ = 0;
};

}  // namespace convext
