// The outer-product tiles of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/outer_product/kernel-inl.h"

namespace {
template <typename Vec>
constexpr OuterProductTiles<typename Vec::T> tiles() {
  OuterProductTiles<typename Vec::T> t{};
  add_tiles<Vec, 1, 6, 6>(t);
  add_tiles<Vec, 2, 4, 4>(t);
  return t;
}
}  // namespace

extern const convext::OuterProductTable convext::kOuterProductScalar = {tiles<F32>(), tiles<F64>()};
