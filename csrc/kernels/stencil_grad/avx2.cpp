// Which stencil-gradient tiles exist on AVX2.
#include "simd/avx2.h"

#include "kernels/stencil_grad/kernel-inl.h"

namespace {
template <typename Vec>
constexpr StencilGradTiles<typename Vec::T> tiles() {
  StencilGradTiles<typename Vec::T> t{};
  add_tiles<Vec, 1, 12>(t);
  add_tiles<Vec, 2, 5>(t);
  add_tiles<Vec, 3, 3>(t);
  return t;
}
}  // namespace

extern const convext::StencilGradTable convext::kStencilGradAvx2 = {tiles<F32>(), tiles<F64>()};
