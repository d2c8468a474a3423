// The Winograd transforms of AVX-512.
#include "simd/avx512.h"

#include "kernels/winograd/kernel-inl.h"

extern const convext::WinogradTable convext::kWinogradAvx512 = {winograd_kernels<F32>(), winograd_kernels<F64>()};
