// Which outer-product tiles exist on AVX-512. Packed: 14x32, 9x48, 6x64 fill the 32 registers. Rows: each
// row needs a pointer, and 9 of them leave general registers for the rest.
#include "simd/avx512.h"

#include "kernels/outer_product/kernel-inl.h"

namespace {
template <typename Vec>
constexpr OuterProductTiles<typename Vec::T> tiles() {
  OuterProductTiles<typename Vec::T> t{};
  add_tiles<Vec, 1, 14, 9>(t);
  add_tiles<Vec, 2, 14, 9>(t);
  add_tiles<Vec, 3, 9, 9>(t);
  add_tiles<Vec, 4, 6, 6>(t);
  return t;
}
}  // namespace

extern const convext::OuterProductTable convext::kOuterProductAvx512 = {tiles<F32>(), tiles<F64>()};
