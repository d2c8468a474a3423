// Which stencil-gradient tiles exist without AVX2.
#include "simd/scalar.h"

#include "kernels/stencil_grad/kernel-inl.h"

namespace {
template <typename Vec>
constexpr StencilGradTiles<typename Vec::T> tiles() {
  StencilGradTiles<typename Vec::T> t{};
  add_tiles<Vec, 1, 8>(t);
  return t;
}
}  // namespace

extern const convext::StencilGradTable convext::kStencilGradScalar = {tiles<F32>(), tiles<F64>()};
