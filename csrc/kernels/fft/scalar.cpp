// The transforms of machines without AVX2.
#include "simd/scalar.h"

#include "kernels/fft/kernel-inl.h"

extern const convext::FftTable convext::kFftScalar = {Fft<F32>::kernels(), Fft<F64>::kernels()};
