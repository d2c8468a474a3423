// Which inner-product tiles exist on AVX-512. The wide ones leave general registers for NR + MR pointers.
#include "simd/avx512.h"

#include "kernels/inner_product/kernel-inl.h"

namespace {
template <typename Vec>
constexpr InnerProductTiles<typename Vec::T> tiles() {
  InnerProductTiles<typename Vec::T> t{};
  add_tiles<Vec, 1, 14>(t);
  add_tiles<Vec, 2, 12>(t);
  add_tiles<Vec, 3, 9>(t);
  add_tiles<Vec, 4, 6>(t);
  return t;
}
}  // namespace

extern const convext::InnerProductTable convext::kInnerProductAvx512 = {tiles<F32>(), tiles<F64>()};
