// Which stencil-gradient tiles exist on AVX-512.
#include "simd/avx512.h"

#include "kernels/stencil_grad/kernel-inl.h"

namespace {
template <typename Vec>
constexpr StencilGradTiles<typename Vec::T> tiles() {
  StencilGradTiles<typename Vec::T> t{};
  add_tiles<Vec, 1, 16>(t);
  add_tiles<Vec, 2, 7>(t);
  add_tiles<Vec, 3, 7>(t);
  return t;
}
}  // namespace

extern const convext::StencilGradTable convext::kStencilGradAvx512 = {tiles<F32>(), tiles<F64>()};
