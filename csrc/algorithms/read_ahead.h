// Brings what the next block will read into the L2 cache, some cache lines a turn, while the present one is computed.
// The hardware does so within a page only, and rows of weights and of planes lie pages apart.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/integers.h"
#include "core/problem.h"

namespace convext {

// Whether the images are larger than the last cache is likely to be: kernels then ask for what the next tile reads and
// writes. The hardware follows few of the streams that a tile is. (Zen 4, 32 MiB; depthwise, channels last: from 19 MB
// on x1.1 to x2.4, below 14 MB x0.82 to x0.95.)
template <typename T>
bool from_memory(const ConvProblem& p, int64_t cache_bytes = 16 << 20) {
  return (p.input_count() + p.output_count()) * static_cast<int64_t>(sizeof(T)) > cache_bytes;
}

// Whether rows of the result, of so many numbers, are written past the caches: what they overwrite is then not brought
// there, a third of all that is moved. Only large results, of which little would be found there later, and only whole
// cache lines: parts of one are sent to memory apart. (Depthwise, Zen 4; rows of 112 and 224 numbers x1.1 to x1.5, of
// 56 x0.6 to x0.83.)
template <typename T>
bool streams_past_caches(const ConvProblem& p, const T* result, int64_t row) {
  constexpr int64_t kLarge = 8 << 20, kLine = 64, kBytes = sizeof(T);
  const int64_t numbers = p.pass == Pass::kOutput ? p.output_count() : p.input_count();
  return from_memory<T>(p) && numbers * kBytes > kLarge && row * kBytes % kLine == 0 &&
         reinterpret_cast<uintptr_t>(result) % kLine == 0;
}

// Numbers of planes that lie one after the other. (With 512 the whole gain is lost.)
inline constexpr int64_t kReadAhead = 2048;

// Spans of `length` numbers, `pitch` numbers from one to the next: `rows` of them, and that `outer` times.
template <typename T>
struct Spans {
  const T* first;
  int64_t outer, outer_pitch, rows, pitch, length;
};

template <typename T>
class ReadAhead {
 public:
  ReadAhead() = default;  // of nothing

  // All within `turns` turns.
  ReadAhead(const Spans<T>& s, int64_t turns)
      : span_(s.first),
        outer_(s.length > 0 ? s.outer : 0),
        outer_step_(s.outer_pitch - s.rows * s.pitch),
        rows_(s.rows),
        rows_left_(s.rows),
        pitch_(s.pitch),
        lines_(s.length / kLine + 1),
        lines_a_turn_(ceil_div(outer_ * rows_ * lines_, turns)) {}

  void turn() {
    for (int64_t left = lines_a_turn_; left > 0 && outer_ > 0;) {
      const int64_t count = std::min(left, lines_ - line_);
      for (int64_t i = 0; i < count; ++i) __builtin_prefetch(span_ + (line_ + i) * kLine, 0, kL2);
      line_ += count, left -= count;
      if (line_ < lines_) return;
      line_ = 0, span_ += pitch_;
      if (--rows_left_ == 0) rows_left_ = rows_, span_ += outer_step_, --outer_;
    }
  }

 private:
  static constexpr int64_t kLine = 64 / sizeof(T);
  static constexpr int kL2 = 2;  // __builtin_prefetch's locality
  const T* span_ = nullptr;
  int64_t outer_ = 0, outer_step_ = 0, rows_ = 0, rows_left_ = 0, pitch_ = 0;
  int64_t lines_ = 0, line_ = 0, lines_a_turn_ = 0;
};

}  // namespace convext
