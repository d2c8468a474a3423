// The transforms of AVX2.
#include "simd/avx2.h"

#include "kernels/fft/kernel-inl.h"

extern const convext::FftTable convext::kFftAvx2 = {Fft<F32>::kernels(), Fft<F64>::kernels()};
