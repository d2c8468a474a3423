// The transforms of AVX-512.
#include "simd/avx512.h"

#include "kernels/fft/kernel-inl.h"

extern const convext::FftTable convext::kFftAvx512 = {Fft<F32>::kernels(), Fft<F64>::kernels()};
