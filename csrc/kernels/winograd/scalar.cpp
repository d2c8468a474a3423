// The Winograd transforms of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/winograd/kernel-inl.h"

extern const convext::WinogradTable convext::kWinogradScalar = {Winograd<F32>::kernels(), Winograd<F64>::kernels()};
