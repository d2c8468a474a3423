// Depthwise convolution, and that of small groups, of channels-last images, read and written where they lie
// (kernels/pixel_stencil).
#pragma once

#include <numeric>

#include "algorithms/axis.h"
#include "algorithms/channel_panel.h"
#include "algorithms/chunks.h"
#include "algorithms/method.h"
#include "algorithms/read_ahead.h"
#include "algorithms/tiling.h"
#include "kernels/tables.h"

namespace convext {

// correlate.cpp and weight_grad.cpp.
extern const Method kGroupedPixelCorrelation, kGroupedPixelGrad;

// Kernels ask for what they read and write so many tiles later: two are x1.05 to x1.1 of one, three the same.
inline constexpr int64_t kTilesAhead = 2;

// Pixels of a row in registers. Where the bytes of a pixel are a multiple of half a page, those of a tile share few of
// L1's sets, and push one another out: they get half the ways, but six pixels do. (3x3, output; AVX-512, AVX2: 512
// channels x1.05, x1.2, stride 2 x1.2, x1.35, 1024 channels x1.04, x1.1. Groups, which meet a line several times, x0.84
// to x1.2, 7x7 x0.96.)
template <typename T>
int64_t max_pixel_run(const PixelStencilKernels<T>& kernels, int64_t taps, int64_t channels, int64_t group) {
  constexpr int64_t kLine = 64, kSets = 64, kWays = 8, kLeast = 6, kFewTaps = 3;
  if (taps > kFewTaps || group > 1) return kernels.max_run;
  const int64_t sets = kSets / std::gcd(kSets, channels * static_cast<int64_t>(sizeof(T)) / kLine);
  return std::min<int64_t>(kernels.max_run, std::max(kLeast, sets * kWays / 2));
}

// The taps of a pair of axes as runs, for each tile of columns. Weights and sums lie as
// [lane group][tap, number in the group, bias][lane]: `tap` numbers are those of a tap.
class PixelRuns {
 public:
  PixelRuns(const Axis& h, const Axis& w, int64_t kernel_w, int64_t channels, int64_t tap, int64_t max_run)
      : h_(h),
        w_(w),
        kernel_w_(kernel_w),
        channels_(channels),
        tap_(tap),
        tiles_(EvenSplit::of_at_most(w.out, max_run)) {
    while (apart_ < w.taps && apart_ * w.offset_step != w.stride) ++apart_;
    for (int64_t first = 0; first < std::min(apart_, w.taps); ++first) of_row_ += runs_of(first).parts;
  }

  const EvenSplit& tiles() const { return tiles_; }
  int64_t count() const { return tiles_.parts * h_.taps * of_row_; }
  int64_t tap_step() const { return apart_ * w_.tap_step * tap_; }

  void fill(PixelRun* run) const {
    tiles_.each([&](int64_t begin, int64_t length) {
      for (int64_t th = 0; th < h_.taps; ++th)
        for (int64_t first = 0; first < std::min(apart_, w_.taps); ++first)
          runs_of(first).each([&](int64_t before, int64_t taps) {
            const int64_t tw = first + before * apart_, col = begin * w_.stride + w_.offset(tw);
            int64_t inside = 0;
            for (int64_t i = 0; i < length + taps - 1; ++i)
              if (const int64_t at = col + i * w_.stride; at >= 0 && at < w_.in) inside |= int64_t{1} << i;
            *run++ = {(h_.offset(th) * w_.in + col) * channels_,
                      ((h_.tap0 + th * h_.tap_step) * kernel_w_ + w_.tap0 + tw * w_.tap_step) * tap_, taps, inside};
          });
    });
  }

  // The runs of a tile and row that read rows inside the image.
  struct Range {
    const PixelRun* first;
    int64_t count;
  };
  Range range(const PixelRun* runs, int64_t tile, int64_t row) const {
    int64_t first = 0, last = h_.taps;
    while (first < last && row * h_.stride + h_.offset(first) < 0) ++first;
    while (first < last && row * h_.stride + h_.offset(last - 1) >= h_.in) --last;
    return {runs + (tile * h_.taps + first) * of_row_, (last - first) * of_row_};
  }

 private:
  // Of the taps first, first + apart, ...
  EvenSplit runs_of(int64_t first) const {
    return EvenSplit::of_at_most(ceil_div(w_.taps - first, apart_), kPixelRunMax);
  }

  Axis h_, w_;
  int64_t kernel_w_, channels_, tap_;
  EvenSplit tiles_;
  int64_t apart_ = 1;  // taps so far apart read neighbouring pixels, if any do
  int64_t of_row_ = 0;
};

// Lane groups in blocks of at most `largest`, but of whole groups of channels: lane groups that these span count as
// one.
struct PixelChannelBlocks {
  EvenSplit spans;
  int64_t span;
  int64_t parts() const { return spans.parts; }
  int64_t begin(int64_t i) const { return spans.begin(i) * span; }
  int64_t length(int64_t i) const { return spans.length(i) * span; }
  int64_t largest() const { return spans.largest() * span; }
};
inline PixelChannelBlocks pixel_blocks(const ConvProblem& p, int64_t lanes, int64_t largest) {
  const int64_t span = std::max<int64_t>(1, p.ic_per_group() / lanes);
  return {EvenSplit::of_at_most(ceil_div(p.ic, lanes) / span, std::max<int64_t>(1, largest / span)), span};
}

// Lane groups whose weights stay in half of L1, and parts of an image's rows: enough for all threads, each large
// enough to pay for its tables and for the rows that its neighbours read too.
inline void plan_pixel_tasks(const ConvProblem& p, int64_t rows, int64_t cols, int64_t lanes, int64_t number_bytes,
                             Blocks& b) {
  constexpr int64_t kMinVectors = 2048;
  const int64_t groups = ceil_div(p.ic, lanes), numbers = p.taps() * p.ic_per_group() + 1,
                fit = kL1Bytes / 2 / (numbers * lanes * number_bytes);
  b.k = pixel_blocks(p, lanes, std::max<int64_t>(4, fit)).largest() * lanes;
  const int64_t parts = std::min(ceil_div(kBusyTasks, p.n), ceil_div(rows * cols * groups, kMinVectors));
  b.rows = EvenSplit{rows, std::clamp<int64_t>(parts, 1, rows)}.largest();
}

}  // namespace convext
