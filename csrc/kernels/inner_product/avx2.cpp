// Which inner-product tiles exist on AVX2.
#include "simd/avx2.h"

#include "kernels/inner_product/kernel-inl.h"

namespace {
template <typename Vec>
constexpr InnerProductTiles<typename Vec::T> tiles() {
  InnerProductTiles<typename Vec::T> t{};
  add_tiles<Vec, 1, 12>(t);
  add_tiles<Vec, 2, 6>(t);
  add_tiles<Vec, 3, 4>(t);
  add_tiles<Vec, 4, 3>(t);
  return t;
}
}  // namespace

extern const convext::InnerProductTable convext::kInnerProductAvx2 = {tiles<F32>(), tiles<F64>()};
