// The kernel tables of an instruction set, for the algorithms.
#pragma once

#include <type_traits>

#include "core/isa.h"
#include "core/problem.h"
#include "kernels/channel_stencil/channel_stencil.h"
#include "kernels/fft/fft.h"
#include "kernels/fma_chains/fma_chains.h"
#include "kernels/fold/fold.h"
#include "kernels/inner_product/inner_product.h"
#include "kernels/line_stencil/line_stencil.h"
#include "kernels/line_stencil_grad/line_stencil_grad.h"
#include "kernels/outer_product/outer_product.h"
#include "kernels/pixel_stencil/pixel_stencil.h"
#include "kernels/rows/rows.h"
#include "kernels/stencil/stencil.h"
#include "kernels/stencil_grad/stencil_grad.h"
#include "kernels/stencil_rows/stencil_rows.h"
#include "kernels/transpose/transpose.h"
#include "kernels/winograd/winograd.h"

namespace convext {

// kernels<T>(table): the part of a table for one number type.
template <typename T, typename Table>
const auto& kernels_of(const Table& table) {
  if constexpr (std::is_same_v<T, float>)
    return table.f32;
  else
    return table.f64;
}

template <typename T>
const OuterProductTiles<T>& outer_product(Isa isa) {
  constexpr const OuterProductTable* kTables[] = {&kOuterProductScalar, &kOuterProductAvx2, &kOuterProductAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const InnerProductTiles<T>& inner_product(Isa isa) {
  constexpr const InnerProductTable* kTables[] = {&kInnerProductScalar, &kInnerProductAvx2, &kInnerProductAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const RowKernels<T>& rows(Isa isa) {
  constexpr const RowTable* kTables[] = {&kRowsScalar, &kRowsAvx2, &kRowsAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const FoldKernel<T>& fold(Isa isa) {
  constexpr const FoldTable* kTables[] = {&kFoldScalar, &kFoldAvx2, &kFoldAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const StencilKernel<T>& stencil(Isa isa) {
  constexpr const StencilTable* kTables[] = {&kStencilScalar, &kStencilAvx2, &kStencilAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const StencilRowsKernel<T>& stencil_rows(Isa isa) {
  constexpr const StencilRowsTable* kTables[] = {&kStencilRowsScalar, &kStencilRowsAvx2, &kStencilRowsAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const LineStencilKernel<T>& line_stencil(Isa isa) {
  constexpr const LineStencilTable* kTables[] = {&kLineStencilScalar, &kLineStencilAvx2, &kLineStencilAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const LineStencilGradKernel<T>& line_stencil_grad(Isa isa) {
  constexpr const LineStencilGradTable* kTables[] = {&kLineStencilGradScalar, &kLineStencilGradAvx2,
                                                     &kLineStencilGradAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const StencilGradTiles<T>& stencil_grad(Isa isa) {
  constexpr const StencilGradTable* kTables[] = {&kStencilGradScalar, &kStencilGradAvx2, &kStencilGradAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const ChannelStencilKernels<T>& channel_stencil(Isa isa) {
  constexpr const ChannelStencilTable* kTables[] = {&kChannelStencilScalar, &kChannelStencilAvx2,
                                                    &kChannelStencilAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const PixelStencilKernels<T>& pixel_stencil(Isa isa) {
  constexpr const PixelStencilTable* kTables[] = {&kPixelStencilScalar, &kPixelStencilAvx2, &kPixelStencilAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const FftKernels<T>& fft(Isa isa) {
  constexpr const FftTable* kTables[] = {&kFftScalar, &kFftAvx2, &kFftAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const TransposeKernels<T>& transposes(Isa isa) {
  constexpr const TransposeTable* kTables[] = {&kTransposeScalar, &kTransposeAvx2, &kTransposeAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const FmaChainsKernel<T>& fma_chains(Isa isa) {
  constexpr const FmaChainsTable* kTables[] = {&kFmaChainsScalar, &kFmaChainsAvx2, &kFmaChainsAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
const WinogradKernels<T>& winograd(Isa isa) {
  constexpr const WinogradTable* kTables[] = {&kWinogradScalar, &kWinogradAvx2, &kWinogradAvx512};
  return kernels_of<T>(*kTables[static_cast<int>(isa)]);
}

template <typename T>
TransposeFn<T> transpose(Isa isa) {
  return transposes<T>(isa).block;
}

// Numbers in a vector, of every kernel.
inline int64_t vector_lanes(DType dtype, Isa isa) {
  return dtype == DType::kFloat32 ? outer_product<float>(isa).lanes : outer_product<double>(isa).lanes;
}

}  // namespace convext
