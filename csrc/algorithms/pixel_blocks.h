// Pixels in blocks of images, rows and columns.
#pragma once

#include "algorithms/algorithm.h"
#include "algorithms/tiling.h"

namespace convext {

// Pixels [r0, r0 + rows) x [c0, c0 + cols) of images [n0, n0 + images).
struct PixelBlock {
  int64_t n0, images, r0, rows, c0, cols;
  int64_t pixels() const { return images * rows * cols; }
};

// The output pixels of a problem in blocks: of a row first, of an image last.
class PixelBlocks {
 public:
  PixelBlocks(const ConvProblem& p, const Blocks& b)
      : images_(EvenSplit::of_at_most(p.n, b.images)),
        rows_(EvenSplit::of_at_most(p.oh, b.rows)),
        cols_(EvenSplit::of_at_most(p.ow, b.cols)) {}

  int64_t count() const { return images_.parts * rows_.parts * cols_.parts; }

  PixelBlock operator[](int64_t i) const {
    const int64_t c = i % cols_.parts, r = i / cols_.parts % rows_.parts, n = i / cols_.parts / rows_.parts;
    return {images_.begin(n), images_.length(n), rows_.begin(r), rows_.length(r), cols_.begin(c), cols_.length(c)};
  }

 private:
  EvenSplit images_, rows_, cols_;
};

}  // namespace convext
