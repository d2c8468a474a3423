// Which outer-product tiles exist on AVX-512. Packed: 14x32, 9x48, 6x64 fill the 32 registers and reach 99 % of
// the FMA peak from L1. Rows: each row needs a pointer. Eight leave general registers for the rest: 8x48 reaches
// 187 GF/s of 190; with nine, one spills: 9x48 159 GF/s, 9x32 147 against 183 for 8x32 (one thread, Sapphire Rapids).
#include "simd/avx512.h"

#include "kernels/outer_product/kernel-inl.h"

namespace {
template <typename Vec>
constexpr OuterProductTiles<typename Vec::T> tiles() {
  OuterProductTiles<typename Vec::T> t{};
  add_tiles<Vec, 1, 14, 8>(t);
  add_tiles<Vec, 2, 14, 8>(t);
  add_tiles<Vec, 3, 9, 8>(t);
  add_tiles<Vec, 4, 6, 6>(t);
  return t;
}
}  // namespace

extern const convext::OuterProductTable convext::kOuterProductAvx512 = {tiles<F32>(), tiles<F64>()};
