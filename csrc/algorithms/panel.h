// A panel: the source rows that one block of pixels reads, for some channels, copied side by side into
// memory that stays in the L2 cache. The copy does away with everything a kernel should not know of:
// edges (zeros, reflected, replicated, wrapped) and strides.
#pragma once

#include <cstring>

#include "algorithms/axis.h"
#include "core/problem.h"
#include "kernels/rows/rows.h"

namespace convext {

// Overwrites the zeros that a copied row has for positions outside the image with what the mode reads there.
template <typename T>
void fill_edges(T* dst, const T* row, int64_t width, int64_t start, int64_t step, int64_t count, PaddingMode mode) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = start + i * step;
    if (at >= 0 && at < width) i += (width - 1 - at) / step;  // on to the last position inside
    else dst[i] = row[source_index(mode, at, width)];
  }
}

// Copies a block of an image plane (height x width): rows row, row + row_step, ... and columns col,
// col + col_step, ... wherever they lie.
template <typename T>
struct PlaneBlock {
  const T* plane;
  int64_t height, width;
  int64_t row, row_step, rows, col, col_step, cols;
};

template <typename T>
void copy_block(T* dst, int64_t dst_pitch, const PlaneBlock<T>& b, PaddingMode mode, const RowKernels<T>& kernels) {
  if (mode == PaddingMode::kZeros) {
    const int64_t first = b.row < 0 ? std::min(b.rows, ceil_div(-b.row, b.row_step)) : 0;
    const int64_t last = b.row < b.height ? std::max(first, std::min(b.rows, ceil_div(b.height - b.row, b.row_step))) : first;
    const auto clear = [&](int64_t from, int64_t to) {
      for (int64_t r = from; r < to; ++r) std::memset(dst + r * dst_pitch, 0, static_cast<size_t>(b.cols) * sizeof(T));
    };
    clear(0, first);
    kernels.copy({dst + first * dst_pitch, dst_pitch, b.plane + (b.row + first * b.row_step) * b.width, b.row_step * b.width,
                  last - first, b.col, b.col_step, b.cols, b.width});
    clear(last, b.rows);
  } else {
    for (int64_t r = 0; r < b.rows; ++r) {
      const T* row = b.plane + source_index(mode, b.row + r * b.row_step, b.height) * b.width;
      kernels.copy({dst + r * dst_pitch, dst_pitch, row, 0, 1, b.col, b.col_step, b.cols, b.width});
      fill_edges(dst + r * dst_pitch, row, b.width, b.col, b.col_step, b.cols, mode);
    }
  }
}

// How a panel is arranged. The rows of a channel are those of the row strip. Two arrangements:
//   shared columns  [channel][row][position]      a tap along w is a shift; tiles stay within an image row
//   column taps     [channel][tap][row][column]   a copy for each tap along w; the rows of a tap adjoin, so a
//                                                 tile may run on from one image row into the next
class PanelShape {
 public:
  PanelShape(const Axis& h, const Axis& w, int64_t rows, int64_t cols, bool column_taps)
      : rows_(h, rows, true), cols_(w, cols, !column_taps), column_taps_(column_taps) {}

  int64_t row_pitch() const { return column_taps_ ? cols_.length() : cols_.size(); }
  int64_t channel_pitch() const { return rows_.size() * cols_.size(); }
  int64_t tap_offset(int64_t tap_h, int64_t tap_w) const {
    const int64_t column = column_taps_ ? tap_w * rows_.size() * cols_.length() : cols_.base(tap_w);
    return rows_.base(tap_h) * row_pitch() + column;
  }

  // Fills `channels` channels for the block that starts at row r, column c of the destination's phase.
  template <typename T>
  void pack(T* panel, const T* source, int64_t in_h, int64_t in_w, int64_t channels, int64_t r, int64_t c, PaddingMode mode,
            const RowKernels<T>& kernels) const {
    for (int64_t k = 0; k < channels; ++k)
      cols_.each_piece(c, [&](int64_t col, int64_t col_source, int64_t cols) {
        T* column = panel + k * channel_pitch() + (column_taps_ ? col * rows_.size() : col);
        rows_.each_piece(r, [&](int64_t row, int64_t row_source, int64_t rows) {
          copy_block(column + row * row_pitch(), row_pitch(),
                     {source + k * in_h * in_w, in_h, in_w, row_source, rows_.step(), rows, col_source, cols_.step(), cols}, mode, kernels);
        });
      });
  }

 private:
  Strip rows_, cols_;
  bool column_taps_;
};

}  // namespace convext
