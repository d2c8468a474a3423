// The tiles of a convolution: two axes of them, each of one or several parts, cut into blocks of whole images, of whole
// rows of tiles, or of parts of a row. A pair of parts, one along h and one along w, is a term: a convolution of stride
// 1 with transforms of its own.
#pragma once

#include "algorithms/algorithm.h"
#include "algorithms/channel_panel.h"
#include "algorithms/correlation.h"
#include "algorithms/tiling.h"
#include "algorithms/winograd/tile_axis.h"
#include "core/parallel.h"
#include "kernels/tables.h"

namespace convext {

// Tiles of some images: positions [r0, r1) x [c0, c1) of each part.
struct TileBlock {
  int64_t n0, images, r0, r1, c0, c1;
};

// Strides of a tile's inputs or outputs along h and w.
struct TileStrides {
  int64_t h, w;
};

// Blocks of lane groups of at most so many channels, or of one group.
inline EvenSplit lane_blocks(const LaneGroups& all, int64_t channels) {
  return EvenSplit::of_at_most(all.count(), std::max<int64_t>(1, channels / all.lanes));
}

// From the matrix (tiles or filters) x channels of one frequency to the next: never a multiple of a page, or all
// would meet in one set of the L1 cache.
inline int64_t frequency_pitch(int64_t rows, int64_t channels, int64_t lanes) { return rows * channels + lanes; }

// Of the tiles of an image, how many have four outputs along h and along w, and how many three (tile_axis.h), in an
// order in which those with a value at infinity follow one another, along h as along w.
struct TileKinds {
  static constexpr int kCount = 4;
  struct Kind {
    bool three_h, three_w;
  };
  static constexpr std::array<Kind, kCount> kOrder{{{false, true}, {false, false}, {true, false}, {true, true}}};

  std::array<int64_t, kCount> of{};

  int64_t all() const { return of[0] + of[1] + of[2] + of[3]; }
  // The tiles that have a frequency: [begin, end).
  struct Range {
    int64_t begin, end;
  };
  Range with(bool infinite_h, bool infinite_w) const {
    return {infinite_w ? of[0] : 0, infinite_h ? of[0] + of[1] : infinite_w ? all() - of[3] : all()};
  }
  // Calls f(tile, row, count) for each kind: an image's tiles from `tile` on are the rows from `row` on of the matrices
  // of `images` images.
  template <typename F>
  void each(int64_t images, int64_t image, const F& f) const {
    int64_t tile = 0;
    for (const int64_t count : of) {
      if (count > 0) f(tile, tile * images + image * count, count);
      tile += count;
    }
  }
};

// The tiles of one term.
struct TileTerm {
  TileAxis h, w;

  int64_t points() const { return h.points() * w.points(); }
  int64_t groups() const { return h.groups() * w.groups(); }
  int64_t outputs() const { return h.outputs() * w.outputs(); }
  int64_t image_tiles(const TileBlock& b) const { return h.tiles(b.r0, b.r1) * w.tiles(b.c0, b.c1); }
  TileKinds kinds(const TileBlock& b) const {
    const int64_t threes_h = h.threes(b.r0, b.r1), threes_w = w.threes(b.c0, b.c1);
    const int64_t fours_h = h.tiles(b.r0, b.r1) - threes_h, fours_w = w.tiles(b.c0, b.c1) - threes_w;
    return {{fours_h * threes_w, fours_h * fours_w, threes_h * fours_w, threes_h * threes_w}};
  }

  // Calls f(frequency, the tiles of an image that have it) for each frequency.
  template <typename F>
  void each_frequency(const TileKinds& kinds, const F& f) const {
    for (int64_t i = 0, frequency = 0; i < h.points(); ++i)
      for (int64_t j = 0; j < w.points(); ++j) f(frequency++, kinds.with(h.infinite(i), w.infinite(j)));
  }
  // Sum of f(tiles of an image) over all frequencies.
  template <typename F>
  double sum_of_frequencies(const TileKinds& kinds, const F& f) const {
    double sum = 0;
    for (const bool infinite_h : {false, true})
      for (const bool infinite_w : {false, true}) {
        const int64_t points = h.points(infinite_h) * w.points(infinite_w);
        const TileKinds::Range range = kinds.with(infinite_h, infinite_w);
        if (points > 0 && range.end > range.begin) sum += static_cast<double>(points) * f(range.end - range.begin);
      }
    return sum;
  }

  // Calls f(group, its number along h, along w) for each group of taps.
  template <typename F>
  void each_group(const F& f) const {
    for (int64_t gh = 0, group = 0; gh < h.groups(); ++gh)
      for (int64_t gw = 0; gw < w.groups(); ++gw) f(group++, gh, gw);
  }

  template <typename T>
  const WinogradTransforms<T>& transforms(const WinogradKernels<T>& kernels) const {
    return kernels.of[h.group_taps() - 1][w.group_taps() - 1];
  }

  // Lists the tiles of one image of a block, for sources and destinations in rows of so many numbers.
  void list(const TileBlock& b, int64_t source_pitch, int64_t destination_pitch, int64_t lanes,
            WinogradTile* tile) const {
    const Axis &ah = h.axis(), &aw = w.axis();
    for (const TileKinds::Kind& kind : TileKinds::kOrder)
      h.each_tile(b.r0, b.r1, kind.three_h, [&](int64_t r, int64_t rows) {
        w.each_tile(b.c0, b.c1, kind.three_w, [&](int64_t c, int64_t cols) {
          *tile++ = {
              (r - b.r0) * source_pitch + (c - b.c0) * lanes,
              (ah.out0 + (r - b.r0) * ah.out_step) * destination_pitch + (aw.out0 + (c - b.c0) * aw.out_step) * lanes,
              static_cast<int32_t>(rows), static_cast<int32_t>(cols)};
        });
      });
  }

  TileStrides source_strides(int64_t pitch, int64_t lanes) const { return {h.step() * pitch, w.step() * lanes}; }
  TileStrides destination_strides(int64_t pitch, int64_t lanes) const {
    return {h.step() * h.axis().out_step * pitch, w.step() * w.axis().out_step * lanes};
  }
};

class TileGrid {
 public:
  TileGrid(int64_t n, const TileAxes& h, const TileAxes& w) : h_(h), w_(w), n_(n) {}

  // Of an output pass or an input gradient.
  static TileGrid of(const Correlation& c) {
    const int taps = max_group_taps(c.kernel_h, c.kernel_w);
    const auto axes = [&](int64_t phases, const auto& axis_of) {
      return c.output_pass ? TileAxes::of_taps(axis_of(0), taps) : TileAxes::of_phases(phases, axis_of, taps);
    };
    return {c.n, axes(c.phases_h, [&](int64_t phase) { return c.axis_h(phase); }),
            axes(c.phases_w, [&](int64_t phase) { return c.axis_w(phase); })};
  }

  static TileGrid of_weight_grad(const ConvProblem& p) {
    const int taps = max_group_taps(p.kh, p.kw);
    const Axis h = output_axis(p.padding_mode, p.oh, p.ih, p.kh, p.stride_h, p.dilation_h, p.pad_top);
    const Axis w = output_axis(p.padding_mode, p.ow, p.iw, p.kw, p.stride_w, p.dilation_w, p.pad_left);
    return {p.n, TileAxes::of_taps(h, taps), TileAxes::of_taps(w, taps)};
  }

  const TileAxes& h() const { return h_; }
  const TileAxes& w() const { return w_; }
  int64_t terms() const { return h_.count() * w_.count(); }
  TileTerm term(int64_t i) const { return {h_[i / w_.count()], w_[i % w_.count()]}; }

  int64_t most_groups() const { return h_.most_groups() * w_.most_groups(); }
  // The one with the most taps, and the fewest tiles.
  TileTerm largest() const { return {h_.longest(), w_.longest()}; }

  // Sum of f(term) over all terms.
  template <typename F>
  auto sum(const F& f) const {
    decltype(f(term(0))) result = 0;
    for (int64_t i = 0; i < terms(); ++i) result += f(term(i));
    return result;
  }
  // Of all terms, of one source and destination channel.
  int64_t filter_numbers() const {
    return sum([](const TileTerm& t) { return t.points() * t.groups(); });
  }

  // Sets images, rows and cols to those of blocks of at most about `outputs` positions.
  void cut(Blocks& b, int64_t outputs) const {
    const auto at_most = [](int64_t size, int64_t most) {
      return EvenSplit::of_at_most(size, std::max<int64_t>(1, most)).largest();
    };
    const auto whole = [](const TileAxes& axis, int64_t length) {
      return ceil_div(length, axis.period()) * axis.period();
    };
    const int64_t row = whole(w_, w_.out()), image = whole(h_, h_.out()) * row, band = h_.period() * row;
    const int64_t bands = image <= outputs ? h_.periods() : at_most(h_.periods(), outputs / band);
    const int64_t parts = band <= outputs ? w_.periods() : at_most(w_.periods(), outputs * w_.periods() / band);
    b.images = at_most(n_, outputs / image);
    b.rows = std::min(h_.out(), h_.period() * bands), b.cols = std::min(w_.out(), w_.period() * parts);
  }

  int64_t blocks(const Blocks& b) const { return images(b).parts * bands(b).parts * parts(b).parts; }
  // As large as blocks are.
  TileBlock first_block(const Blocks& b) const { return {0, b.images, 0, b.rows, 0, b.cols}; }
  TileBlock block(const Blocks& b, int64_t i) const {
    const EvenSplit n = images(b), r = bands(b), c = parts(b);
    const int64_t ci = take_index(i, c.parts), ri = take_index(i, r.parts), ni = i;
    return {n.begin(ni),
            n.length(ni),
            r.begin(ri) * h_.period(),
            std::min(h_.out(), r.begin(ri + 1) * h_.period()),
            c.begin(ci) * w_.period(),
            std::min(w_.out(), c.begin(ci + 1) * w_.period())};
  }

 private:
  static int max_group_taps(int64_t kernel_h, int64_t kernel_w) {
    return std::min(kernel_h, kernel_w) > 1 ? kWinogradMaxNestedTaps : kWinogradMaxTaps;
  }
  EvenSplit images(const Blocks& b) const { return EvenSplit::of_at_most(n_, b.images); }
  EvenSplit bands(const Blocks& b) const { return EvenSplit::of_at_most(h_.periods(), ceil_div(b.rows, h_.period())); }
  EvenSplit parts(const Blocks& b) const { return EvenSplit::of_at_most(w_.periods(), ceil_div(b.cols, w_.period())); }

  TileAxes h_, w_;
  int64_t n_;
};

}  // namespace convext
