// The product of a block: all register tiles over all lines of its panel.
#pragma once

#include "algorithms/algorithm.h"
#include "algorithms/read_ahead.h"
#include "algorithms/tiling.h"

namespace convext {

template <typename T>
struct Product {
  Product(const OuterProductTiles<T>& kernels, const Blocks& blocks, int64_t m)
      : kernels(kernels), blocks(blocks), tiles(EvenSplit::of_at_most(m, blocks.mr)) {}

  const OuterProductTiles<T>& kernels;
  const Blocks& blocks;  // mr, nv and packed_weights
  const T *weight = nullptr, *packed = nullptr, *bias = nullptr, *b = nullptr;
  const int64_t *a_offset = nullptr, *b_offset = nullptr;
  T* c;
  EvenSplit tiles;  // of the destination channels
  int64_t steps, weight_m, c_stride, lines, length, b_line, c_line;
  Start start;
  ReadAhead<T> next_source, next_weights;  // a turn before each tile
  bool asks_ahead = false;                 // does each tile ask for a cache line of the next columns of B?
  // Where the first tile of some columns of B leaves a copy of them for the others; null: they read B itself.
  T* kept = nullptr;
  int64_t* kept_offset = nullptr;

  // Do copies pay for m rows, of a B whose rows are planes? These meet in few sets of L1, and the narrow tiles of AVX2
  // read them again from L2 more often than it gives: of 32x32 pixels x1.3 to x1.5. (AVX2 with 6 to 12 tiles: x0.8 to
  // x0.95. AVX-512 with copies, in place of asking: x0.6 to x1.02.)
  static bool keeps(const OuterProductTiles<T>& kernels, const Blocks& blocks, int64_t m) {
    constexpr int64_t kTiles = 16;
    return blocks.packed_weights && kernels.keeping[blocks.nv - 1][blocks.mr - 1] != nullptr &&
           m > (kTiles - 1) * blocks.mr;
  }

  EvenSplit vectors() const { return EvenSplit::of_at_most(ceil_div(length, kernels.lanes), blocks.nv); }
  int64_t turns() const { return lines * vectors().parts * tiles.parts; }

  void multiply() {
    constexpr int64_t kLine = 64 / sizeof(T);
    const T* rows[kOuterProductMaxMr];
    OuterProductArgs<T> args{};
    args.rows = rows, args.a_offset = a_offset;
    args.steps = steps, args.c_stride = c_stride, args.start = start;
    args.kept = kept, args.kept_pitch = blocks.nv * kernels.lanes;
    for (int64_t k = 0; kept != nullptr && k < steps; ++k) kept_offset[k] = k * args.kept_pitch;
    const EvenSplit vectors = this->vectors();
    for (int64_t line = 0; line < lines; ++line)
      vectors.each([&](int64_t v0, int64_t nv) {
        const int64_t j0 = v0 * kernels.lanes, nr = nv * kernels.lanes;
        args.b = b + line * b_line + j0, args.b_offset = b_offset;
        args.columns = std::min(length - j0, nr);
        // The next columns, to the line of their last number: rows need not begin at one.
        int64_t next = nr;
        const int64_t last = asks_ahead ? 2 * nr : 0;
        tiles.each([&](int64_t first, int64_t mr) {
          next_source.turn(), next_weights.turn();
          args.ahead = next <= last ? next : 0, next += kLine;
          args.c = c + line * c_line + j0 + first * c_stride;
          args.bias = bias == nullptr ? nullptr : bias + first;
          if (blocks.packed_weights) {
            args.a = packed + first * steps;
            const bool keeps = kept != nullptr && first == 0;
            (keeps ? kernels.keeping : kernels.packed)[nv - 1][mr - 1](args);
            if (keeps) args.b = kept, args.b_offset = kept_offset;
          } else {
            for (int64_t r = 0; r < mr; ++r) rows[r] = weight + (first + r) * weight_m;
            kernels.rows[nv - 1][mr - 1](args);
          }
        });
      });
  }
};

}  // namespace convext
