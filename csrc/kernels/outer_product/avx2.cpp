// Which outer-product tiles exist on AVX2. 6x16 and 4x24 (in floats) fill the 16 registers.
#include "simd/avx2.h"

#include "kernels/outer_product/kernel-inl.h"

namespace {
template <typename Vec>
constexpr OuterProductTiles<typename Vec::T> tiles() {
  OuterProductTiles<typename Vec::T> t{};
  add_tiles<Vec, 1, 12, 8>(t);
  add_tiles<Vec, 2, 6, 6>(t);
  add_tiles<Vec, 3, 4, 4>(t);
  return t;
}
}  // namespace

extern const convext::OuterProductTable convext::kOuterProductAvx2 = {tiles<F32>(), tiles<F64>()};
