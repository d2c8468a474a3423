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

  EvenSplit vectors() const { return EvenSplit::of_at_most(ceil_div(length, kernels.lanes), blocks.nv); }
  int64_t turns() const { return lines * vectors().parts * tiles.parts; }

  void multiply() {
    constexpr int64_t kLine = 64 / sizeof(T);
    const T* rows[kOuterProductMaxMr];
    OuterProductArgs<T> args{};
    args.rows = rows, args.a_offset = a_offset, args.b_offset = b_offset;
    args.steps = steps, args.c_stride = c_stride, args.start = start;
    const EvenSplit vectors = this->vectors();
    for (int64_t line = 0; line < lines; ++line)
      vectors.each([&](int64_t v0, int64_t nv) {
        const int64_t j0 = v0 * kernels.lanes, nr = nv * kernels.lanes;
        args.b = b + line * b_line + j0;
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
            kernels.packed[nv - 1][mr - 1](args);
          } else {
            for (int64_t r = 0; r < mr; ++r) rows[r] = weight + (first + r) * weight_m;
            kernels.rows[nv - 1][mr - 1](args);
          }
        });
      });
  }
};

}  // namespace convext
