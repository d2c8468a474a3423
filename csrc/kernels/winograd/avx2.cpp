// The Winograd transforms of AVX2.
#include "simd/avx2.h"

#include "kernels/winograd/kernel-inl.h"

extern const convext::WinogradTable convext::kWinogradAvx2 = {winograd_kernels<F32>(), winograd_kernels<F64>()};
