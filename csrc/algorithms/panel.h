// A panel: the source rows that one block of pixels reads, for some channels, copied side by side into
// memory that stays in the L2 cache. The copy does away with everything a kernel should not know of:
// edges (zeros, reflected, replicated, wrapped) and strides.
#pragma once

#include <cstring>

#include "algorithms/axis.h"
#include "core/problem.h"

namespace convext {

// Copies the row positions start, start + step, ... (count of them) of a row of `width` numbers.
template <typename T>
void copy_row(T* dst, const T* row, int64_t width, int64_t start, int64_t step, int64_t count, PaddingMode mode) {
  const int64_t first = start < 0 ? std::min(count, ceil_div(-start, step)) : 0;
  const int64_t last = start >= width ? first : std::max(first, std::min(count, ceil_div(width - start, step)));
  const auto edge = [&](int64_t i) {
    const int64_t at = source_index(mode, start + i * step, width);
    dst[i] = at < 0 ? T(0) : row[at];
  };
  for (int64_t i = 0; i < first; ++i) edge(i);
  const T* from = row + start;
  if (step == 1) {
    std::memcpy(dst + first, from + first, static_cast<size_t>(last - first) * sizeof(T));
  } else {
    for (int64_t i = first; i < last; ++i) dst[i] = from[i * step];
  }
  for (int64_t i = last; i < count; ++i) edge(i);
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
  void pack(T* panel, const T* source, int64_t in_h, int64_t in_w, int64_t channels, int64_t r, int64_t c,
            PaddingMode mode) const {
    for (int64_t k = 0; k < channels; ++k) {
      const T* plane = source + k * in_h * in_w;
      T* channel = panel + k * channel_pitch();
      cols_.each_piece(c, [&](int64_t col, int64_t col_source, int64_t col_count) {
        T* column = channel + (column_taps_ ? col * rows_.size() : col);
        rows_.each_piece(r, [&](int64_t row, int64_t row_source, int64_t row_count) {
          for (int64_t i = 0; i < row_count; ++i) {
            T* dst = column + (row + i) * row_pitch();
            const int64_t ih = source_index(mode, row_source + i * rows_.step(), in_h);
            if (ih < 0)
              std::memset(dst, 0, static_cast<size_t>(col_count) * sizeof(T));
            else
              copy_row(dst, plane + ih * in_w, in_w, col_source, cols_.step(), col_count, mode);
          }
        });
      });
    }
  }

 private:
  Strip rows_, cols_;
  bool column_taps_;
};

}  // namespace convext
