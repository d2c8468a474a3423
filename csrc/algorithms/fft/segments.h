// How rows become the lanes of a transform. Each row of a result is cut into an even number of segments, so short
// that a segment and the taps meet in `points` points. Two neighbours share a lane, as the real and the imaginary
// part of one complex signal: convolution with a real kernel keeps the two apart (and of their correlation with two
// others the real part is the sum of both). No lane holds parts of two rows: the rounding errors of one image must
// not depend on what another one holds.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "algorithms/axis.h"
#include "algorithms/panel.h"
#include "algorithms/tiling.h"
#include "core/scratch.h"
#include "kernels/tables.h"

namespace convext {

// A row of taps that is longer than kMaxFftPart is cut into parts, which are summed like input channels.
inline constexpr int64_t kMaxFftPart = 2048;
inline constexpr int64_t kMinFftPoints = 32, kMaxFftPoints = 4096;

struct Segments {
  int64_t rows;     // of a channel: n * height
  EvenSplit cuts;   // of a row of the result
  EvenSplit parts;  // of a row of taps
  int64_t points;   // of a transform
  int64_t lanes, per_block;

  Segments(int64_t rows, const Axis& axis, int64_t segment, int lanes)
      : rows(rows),
        cuts{axis.out, 2 * ceil_div(axis.out, 2 * segment)},
        parts(EvenSplit::of_at_most(std::max<int64_t>(1, axis.taps), kMaxFftPart)),
        points(static_cast<int64_t>(
            std::bit_ceil(static_cast<uint64_t>(std::max(kMinFftPoints, cuts.largest() + parts.largest() - 1))))),
        lanes(lanes),
        per_block(2 * lanes) {}

  // The longest segment that a transform of so many points allows; at least 1 for those that are tried.
  static int64_t longest(const Axis& axis, int64_t points) {
    return points - EvenSplit::of_at_most(std::max<int64_t>(1, axis.taps), kMaxFftPart).largest() + 1;
  }

  int64_t pairs() const { return rows * cuts.parts / 2; }
  int64_t blocks() const { return ceil_div(pairs(), lanes); }
  int64_t block_size() const { return points * per_block; }  // numbers
  int64_t lanes_used(int64_t block) const { return std::min(lanes, pairs() - block * lanes); }

  // Calls f(i, row, cut) for the segments of a block: the real parts of its lanes, then the imaginary parts. Segment
  // i is column i of the block.
  template <typename F>
  void each(int64_t block, const F& f) const {
    const int64_t neighbours = cuts.parts / 2;
    for (int64_t half = 0; half < 2; ++half)
      for (int64_t lane = 0; lane < lanes_used(block); ++lane) {
        const int64_t pair = block * lanes + lane;
        f(half * lanes + lane, pair / neighbours, 2 * (pair % neighbours) + half);
      }
  }
};

// Calls f(points) for the lengths of a transform that may be taken.
template <typename F>
void each_fft_length(const Axis& axis, const F& f) {
  for (int64_t points = kMinFftPoints; points <= kMaxFftPoints; points *= 2)
    if (Segments::longest(axis, points) > 0) f(points);
}

// Nanoseconds of the steps, by the point, on all lanes (AVX-512, Sapphire Rapids; half as many lanes take about two
// thirds): a transform, with the way of its signals into or out of the lanes, and a product of spectra.
inline double transform_nanoseconds(int64_t points) {
  return static_cast<double>(points) * (0.95 * std::log2(static_cast<double>(points)) + 11);
}
inline double product_nanoseconds(int64_t points) { return 3 * static_cast<double>(points); }

// exp(-2 pi i k / points), k < points, from one quarter of a circle.
template <typename T>
void fill_roots(T* roots, int64_t points) {
  const int64_t quarter = points / 4;
  for (int64_t k = 0; k < quarter; ++k) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(points);
    const T cosine = static_cast<T>(std::cos(angle)), sine = static_cast<T>(std::sin(angle));
    const T parts[] = {cosine, -sine, -sine, -cosine, -cosine, sine, sine, cosine};
    for (int64_t q = 0; q < 4; ++q) std::copy_n(parts + 2 * q, 2, roots + 2 * (q * quarter + k));
  }
}

// Numbers of a row that a signal reads: `count` from `start` on (which may lie outside), then zeros.
struct Window {
  int64_t start, count;
};

// Fills blocks of lanes with signals, by way of a small panel.
template <typename T>
class LaneLoader {
 public:
  LaneLoader(Isa isa, PaddingMode mode) : mode_(mode), rows_(rows<T>(isa)), transpose_(transpose<T>(isa)) {}

  static constexpr int64_t kPanelPoints = 128;
  static int64_t panel_size(const Segments& s) { return kPanelPoints * s.per_block; }

  // The rows of a channel's images: image i's plane starts at source + i * image_pitch.
  struct Rows {
    const T* source;
    int64_t image_pitch, height, width;
    const T* row(int64_t i) const { return source + i / height * image_pitch + i % height * width; }
  };

  // window(begin, length) says what a segment [begin, begin + length) of a row reads.
  template <typename WindowOf>
  void load(const Segments& s, int64_t block, const Rows& from, const WindowOf& window, T* panel, T* lanes) const {
    for (int64_t p = 0; p < s.points; p += kPanelPoints) {
      const int64_t points = std::min(kPanelPoints, s.points - p);
      if (s.lanes_used(block) < s.lanes) std::fill_n(panel, panel_size(s), T(0));
      s.each(block, [&](int64_t i, int64_t row, int64_t cut) {
        const Window w = window(s.cuts.begin(cut), s.cuts.length(cut));
        const int64_t count = std::clamp<int64_t>(w.count - p, 0, points);
        T* to = panel + i * kPanelPoints;
        if (count > 0) copy_block(to, 0, {from.row(row), 1, from.width, 0, 1, 1, w.start + p, 1, count}, mode_, rows_);
        std::fill_n(to + count, points - count, T(0));
      });
      transpose_(panel, kPanelPoints, s.per_block, points, lanes + p * s.per_block, s.per_block);
    }
  }

 private:
  PaddingMode mode_;
  const RowKernels<T>& rows_;
  TransposeFn<T> transpose_;
};

}  // namespace convext
