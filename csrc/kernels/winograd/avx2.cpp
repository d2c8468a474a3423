// The Winograd transforms of AVX2.
#include "simd/avx2.h"

#include "kernels/winograd/kernel-inl.h"

extern const convext::WinogradTable convext::kWinogradAvx2 = {Winograd<F32>::kernels(), Winograd<F64>::kernels()};
