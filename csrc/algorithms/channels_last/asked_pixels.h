// While the tiles of outer_product_strided multiply a block of pixels they ask for the next block's: each for as many
// pixels as it takes to have asked for all in the end, a cache line a step. (All lines of some pixels at once wait for
// one another: a core has a dozen buffers for lines on their way.)
#pragma once

#include "algorithms/channels_last/pixel_panel.h"
#include "core/scratch.h"
#include "kernels/outer_product/outer_product.h"

namespace convext {

template <typename T>
class AskedPixels {
 public:
  // Takes memory for blocks of up to `pixels` and tiles of up to `steps`.
  AskedPixels(int64_t pixels, int64_t steps, ScratchAllocator& take)
      : pixel_(take.array<int64_t>(pixels)), line_(take.array<int64_t>(steps)) {}

  // Some channels of each pixel, by `tiles` tiles of up to `steps`, whose pixels are taken to lie in one row. Where
  // these have too few steps they ask for some lines only.
  void list(const PixelPanel& image, const PixelBlock& block, int64_t channels, int64_t tiles, int64_t steps) {
    constexpr int64_t kLine = 64 / sizeof(T);
    image.list_pixels(block, pixel_);
    last_ = block.pixels() - 1, pixels_ = ceil_div(block.pixels(), tiles);
    const int64_t lines = std::max<int64_t>(1, pixels_ * ceil_div(channels, kLine)),
                  repeated = std::max<int64_t>(1, steps / lines), apart = ceil_div(lines, steps) * kLine;
    int64_t k = 0;
    for (int64_t px = 0; px < pixels_; ++px)
      for (int64_t c = 0; c < channels; c += apart)
        for (int64_t i = 0; i < repeated && k < steps; ++i) line_[k++] = image.pixel_offset(0, 0, px) + c;
    std::fill(line_ + k, line_ + steps, 0);
  }

  // The next block begins at `first`.
  void start(const T* first) { first_ = first, next_ = 0; }

  // Has the next tile ask.
  void ask(OuterProductArgs<T>& args) {
    args.next = first_ + pixel_[next_], args.next_offset = line_;
    next_ = std::min(next_ + pixels_, last_);
  }

 private:
  int64_t last_ = 0, pixels_ = 0, next_ = 0;
  int64_t *pixel_, *line_;  // where they lie, from the block's and from a tile's first pixel
  const T* first_ = nullptr;
};

}  // namespace convext
