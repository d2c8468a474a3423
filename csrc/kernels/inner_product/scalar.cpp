// Which inner-product tiles exist on machines without AVX2.
#include "simd/scalar.h"

#include "kernels/inner_product/kernel-inl.h"

namespace {
template <typename Vec>
constexpr InnerProductTiles<typename Vec::T> tiles() {
  InnerProductTiles<typename Vec::T> t{};
  add_tiles<Vec, 1, 6>(t);
  add_tiles<Vec, 2, 4>(t);
  add_tiles<Vec, 3, 2>(t);
  add_tiles<Vec, 4, 2>(t);
  return t;
}
}  // namespace

extern const convext::InnerProductTable convext::kInnerProductScalar = {tiles<F32>(), tiles<F64>()};
