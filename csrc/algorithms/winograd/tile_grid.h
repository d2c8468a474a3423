// The tiles of a stride-1 convolution: two axes of them, cut into blocks of whole images, of whole rows of tiles, or
// of parts of a row.
#pragma once

#include "algorithms/algorithm.h"
#include "algorithms/channel_panel.h"
#include "algorithms/tiling.h"
#include "algorithms/winograd/tile_axis.h"

namespace convext {

// Tiles of some images: the output positions [r0, r1) x [c0, c1).
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

class TileGrid {
 public:
  TileGrid(int64_t lanes, int64_t n, const Axis& h, const Axis& w) : h_(h), w_(w), lanes_(lanes), n_(n) {}

  const TileAxis& h() const { return h_; }
  const TileAxis& w() const { return w_; }
  bool square() const { return h_.transformed() && w_.transformed(); }
  int64_t points() const { return h_.points() * w_.points(); }
  int64_t groups() const { return h_.groups() * w_.groups(); }

  // From the matrix (tiles or filters) x channels of one frequency to the next: never a multiple of a page, or all
  // would meet in one set of the L1 cache.
  int64_t frequency_pitch(int64_t rows, int64_t channels) const { return rows * channels + lanes_; }

  // Sets images, rows and cols to those of blocks of at most about `tiles` tiles.
  void cut(Blocks& b, int64_t tiles) const {
    const auto at_most = [](int64_t size, int64_t most) {
      return EvenSplit::of_at_most(size, std::max<int64_t>(1, most)).largest();
    };
    const int64_t row = w_.tiles(0, w_.out()), image = h_.tiles(0, h_.out()) * row;
    const int64_t band = h_.tiles(0, std::min(h_.out(), h_.period())) * row;
    const int64_t bands = image <= tiles ? h_.periods() : at_most(h_.periods(), tiles / band);
    const int64_t parts = band <= tiles ? w_.periods() : at_most(w_.periods(), tiles * w_.periods() / band);
    b.images = at_most(n_, tiles / image);
    b.rows = std::min(h_.out(), h_.period() * bands), b.cols = std::min(w_.out(), w_.period() * parts);
  }

  int64_t image_tiles(const Blocks& b) const { return h_.tiles(0, b.rows) * w_.tiles(0, b.cols); }
  int64_t block_tiles(const Blocks& b) const { return b.images * image_tiles(b); }
  int64_t blocks(const Blocks& b) const { return images(b).parts * bands(b).parts * parts(b).parts; }

  TileBlock block(const Blocks& b, int64_t i) const {
    const EvenSplit n = images(b), r = bands(b), c = parts(b);
    const int64_t ci = i % c.parts, ri = i / c.parts % r.parts, ni = i / c.parts / r.parts;
    return {n.begin(ni),
            n.length(ni),
            r.begin(ri) * h_.period(),
            std::min(h_.out(), r.begin(ri + 1) * h_.period()),
            c.begin(ci) * w_.period(),
            std::min(w_.out(), c.begin(ci + 1) * w_.period())};
  }

  // Lists the tiles of one image of a block, for pixels in rows of `pitch` numbers, and returns how many there are.
  // Destinations lie in rows as long as the block.
  int64_t list(const TileBlock& b, int64_t pitch, WinogradTile* tiles) const {
    WinogradTile* tile = tiles;
    h_.each_tile(b.r0, b.r1, [&](int64_t r, int64_t rows) {
      w_.each_tile(b.c0, b.c1, [&](int64_t c, int64_t cols) {
        *tile = {(r - b.r0) * pitch + (c - b.c0) * lanes_, ((r - b.r0) * (b.c1 - b.c0) + c - b.c0) * lanes_,
                 static_cast<int32_t>(rows), static_cast<int32_t>(cols)};
        if (!w_.transformed()) std::swap(tile->rows, tile->cols);
        ++tile;
      });
    });
    return tile - tiles;
  }

  // For the kernels a line along h is one along w.
  TileStrides strides(int64_t pitch) const {
    const int64_t h = h_.step() * pitch;
    return {h, w_.transformed() ? w_.step() * lanes_ : h};
  }

 private:
  EvenSplit images(const Blocks& b) const { return EvenSplit::of_at_most(n_, b.images); }
  EvenSplit bands(const Blocks& b) const { return EvenSplit::of_at_most(h_.periods(), ceil_div(b.rows, h_.period())); }
  EvenSplit parts(const Blocks& b) const { return EvenSplit::of_at_most(w_.periods(), ceil_div(b.cols, w_.period())); }

  TileAxis h_, w_;
  int64_t lanes_, n_;
};

}  // namespace convext
