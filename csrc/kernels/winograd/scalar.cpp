// The Winograd transforms of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/winograd/kernel-inl.h"

extern const convext::WinogradTable convext::kWinogradScalar = {winograd_kernels<F32>(), winograd_kernels<F64>()};
