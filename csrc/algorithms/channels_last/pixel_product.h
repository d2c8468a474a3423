// A correlation, channels last, as products of matrices: pixels of the destination are the rows, its channels the
// columns, taps and source channels the steps.
#pragma once

#include "algorithms/axis_cut.h"
#include "algorithms/channels_last/channels_last.h"
#include "algorithms/correlation.h"
#include "kernels/rows/rows.h"
#include "kernels/transpose/transpose.h"

namespace convext {

struct PixelProduct {
  // A phase of the destination. The taps of the phases before precede its own in the packed weights.
  struct Phase {
    Axis h, w;
    int64_t index, taps_before;
    int64_t taps() const { return h.taps * w.taps; }
  };

  // Source channels [k0, k0 + channels), of all taps of a phase.
  struct Channels {
    int64_t k0, channels;
  };

  const ConvProblem p;
  const Correlation c;
  const Axis all_h, all_w;   // the taps are those of all phases
  const bool wide_dilation;  // do taps read so much padding that it is worth leaving out?
  const int64_t pixels;      // so many neighbours are one, with as many times more channels
  const int64_t m;           // its channels
  int64_t taps = 0;          // of all phases

  explicit PixelProduct(const ConvProblem& problem)
      : p(as_one_image(problem)),
        c(p),
        all_h(c.all_phases_h()),
        all_w(c.all_phases_w()),
        wide_dilation(much_padding(c.padding_mode, all_h, all_w)),
        pixels(c.g == 1 && phases_read_alike() ? c.phases_w : 1),
        m(pixels * c.m) {
    each_phase([this](const Phase& phase) { taps += phase.taps(); });
  }
  PixelProduct(const PixelProduct&) = delete;

  int64_t phases_w() const { return c.phases_w / pixels; }
  int64_t phases() const { return c.phases_h * phases_w(); }
  int64_t out_w() const { return c.out_w / pixels; }
  bool in_place() const { return !all_h.reads_outside() && !all_w.reads_outside(); }

  template <typename F>
  void each_phase(const F& f) const {
    int64_t before = 0;
    for (int64_t i = 0; i < phases(); ++i) {
      Phase phase{c.axis_h(i / phases_w()), c.axis_w(i % phases_w()), i, before};
      if (pixels > 1) phase.w.out_step = 1;
      f(phase);
      before += phase.taps();
    }
  }

  // Steps [first, last) of [tap, k] of columns [m0, m1), `pitch` apart.
  template <typename T>
  void pack(const T* weight, int64_t g, const Phase& phase, const Channels& k, int64_t first, int64_t last, int64_t m0,
            int64_t m1, T* dst, int64_t pitch, TransposeFn<T> transpose, const RowKernels<T>& rows) const {
    const int64_t icg = p.ic_per_group(), row = p.taps() * icg;
    for (int64_t step = first; step < last;) {
      const int64_t tap = step / k.channels, channel = k.k0 + step % k.channels,
                    count = std::min(last, (tap + 1) * k.channels) - step;
      const int64_t kh = phase.h.tap0 + tap / phase.w.taps * phase.h.tap_step, tw = tap % phase.w.taps;
      for (int64_t j = m0; j < m1;) {  // by the pixels that are one
        const Axis w = pixels > 1 ? c.axis_w(j / c.m) : phase.w;
        const int64_t columns = std::min(m1, (j / c.m + 1) * c.m) - j;
        const T* from = weight + (kh * p.kw + w.tap0 + tw * w.tap_step) * icg;
        if (c.output_pass)
          transpose(from + (g * c.m + j) * row + channel, row, columns, count, dst + j - m0, pitch);
        else
          rows.copy(
              {dst + j - m0, pitch, from + (g * c.k + channel) * row + j % c.m, row, count, 0, 1, columns, columns});
        j += columns;
      }
      dst += count * pitch, step += count;
    }
  }

 private:
  // Whether neighbouring pixels, one of each phase, read the same source pixels: where a kernel is as wide as its
  // stride.
  bool phases_read_alike() const {
    if (c.phases_w == 1 || c.out_w % c.phases_w != 0) return false;
    for (int64_t phase = 0; phase < c.phases_w; ++phase)
      if (c.axis_w(phase).taps != all_w.taps || c.axis_w(phase).offset0 != all_w.offset0) return false;
    return true;
  }
};

}  // namespace convext
