// Cutting a product into register tiles and cache blocks.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/integers.h"
#include "core/isa.h"
#include "kernels/tables.h"

namespace convext {

// Caches of the smallest machines in use (since Haswell and Zen): blocks are derived from these and not
// from the machine at hand, so that a problem is computed alike everywhere.
inline constexpr int64_t kL1Bytes = 32 << 10;
inline constexpr int64_t kL2Bytes = 256 << 10;

// Servers with AVX-512 have 1 MiB and more (Skylake, Zen 4).
inline constexpr int64_t l2_bytes(Isa isa) { return isa == Isa::kAvx512 ? 1 << 20 : kL2Bytes; }

// No thread's part of a workspace is larger.
inline constexpr size_t kMaxThreadBytes = 2 << 20;

// [0, size) in `parts` parts whose sizes differ by one at most: part i is [begin(i), begin(i + 1)). (A division costs
// what a kernel needs for some steps: there is one, when the split is made.)
struct EvenSplit {
  EvenSplit(int64_t size, int64_t parts)
      : size(size), parts(parts), shorter_(size / parts), longer_parts_(size % parts) {}
  static EvenSplit of_at_most(int64_t size, int64_t largest) {
    return {size, std::max<int64_t>(1, ceil_div(size, largest))};
  }
  int64_t begin(int64_t i) const { return i * shorter_ + std::min(i, longer_parts_); }
  int64_t length(int64_t i) const { return shorter_ + (i < longer_parts_ ? 1 : 0); }
  // Calls f(begin, length) for each part.
  template <typename F>
  void each(const F& f) const {
    for (int64_t i = 0; i < parts; ++i) f(begin(i), length(i));
  }
  int64_t largest() const { return length(0); }
  int64_t smallest() const { return shorter_; }
  int64_t longer_parts() const { return longer_parts_; }  // those of one more

  int64_t size, parts;

 private:
  int64_t shorter_, longer_parts_;
};

// Of a sum of `steps` those to be added in one go, before they are added to those before: few, and less than half of
// them, else their rounding errors would pile up. (Those of up to 48 do not: torch's are as large.)
template <typename T>
int64_t steps_at_once(int64_t steps) {
  return std::clamp<int64_t>(steps / 2, 48, sizeof(T) == 4 ? 144 : 72);
}

struct Tile {
  int mr = 1, nv = 1;
};

// Cycles of one step of an mr x nv tile: two FMA and two loads a cycle, four cycles from an accumulator to
// its next use (Skylake to Sapphire Rapids; Zen 4 is alike), a little for the loop, and for loads that miss L1: of
// tiles alike in FMA those with fewer loads are faster by 5 % (AVX-512: 9x3 and 6x4 against 14x2; AVX2: 4x3 against
// 6x2).
inline double tile_cycles(int64_t mr, int64_t nv) {
  constexpr double kLoop = 0.75, kLoad = 0.05;
  return std::max({static_cast<double>(mr * nv) / 2, static_cast<double>(mr + nv) / 2 + 1, 4.0}) + kLoop +
         kLoad * static_cast<double>(mr + nv);
}

// Cycles of one step of a product of `rows` rows and `vectors` vectors, each cut evenly into tiles.
inline double product_cycles(const EvenSplit& rows, const EvenSplit& vectors) {
  const auto sum = [](const EvenSplit& split, const auto& cycles) {
    const int64_t longer = split.longer_parts(), shorter = split.smallest();
    return static_cast<double>(longer) * cycles(shorter + 1) +
           static_cast<double>(split.parts - longer) * cycles(shorter);
  };
  return sum(rows, [&](int64_t mr) { return sum(vectors, [&](int64_t nv) { return tile_cycles(mr, nv); }); });
}

// The tile with the least work for such a product.
template <typename T>
Tile best_tile(const OuterProductTiles<T>& tiles, bool packed, int64_t rows, int64_t vectors) {
  Tile best;
  double best_cycles = 0;
  for (int nv = 1; nv <= kOuterProductMaxNv; ++nv) {
    const int mr = packed ? tiles.max_packed_mr[nv - 1] : tiles.max_rows_mr[nv - 1];
    if (mr == 0) continue;
    const EvenSplit r = EvenSplit::of_at_most(rows, mr), v = EvenSplit::of_at_most(vectors, nv);
    const double cycles = product_cycles(r, v);
    if (best_cycles == 0 || cycles < best_cycles) {
      best = {static_cast<int>(r.largest()), static_cast<int>(v.largest())};
      best_cycles = cycles;
    }
  }
  return best;
}

}  // namespace convext
