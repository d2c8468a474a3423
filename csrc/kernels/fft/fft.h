// Discrete Fourier transforms of `lanes` independent signals side by side, and products of their spectra.
//
//   point p of a block:  `lanes` real parts, then `lanes` imaginary parts, from block + p * 2 * lanes on
//
// Signals lie in the lanes, so a butterfly is plain vector arithmetic, without shuffles. forward() leaves the
// frequencies in the order in which its decimation comes upon them and backward() takes them so: nothing is
// reordered, and a product of spectra does not care.
//
//   forward   Z[k] = sum_p z[p] root^(k p),  root = exp(-2 pi i / points)
//   backward  z[p] = sum_k Z[k] root^(-k p)  (not divided by points)
//   multiply  y[m][k] (+)= sum_{s < steps} z[s][k] * w[m][s][k]            one number w for all lanes
//   correlate c[k] (+)= a[k] * conj(b[k])                                  lane by lane
//
// Two real signals make one complex signal: x + i y, convolved with a real kernel, is x's result + i y's.
// Memory: blocks are aligned to a vector. Sources: Cooley & Tukey 1965; Gentleman & Sande 1966 (decimation in
// frequency forward, in time backward); Frigo & Johnson 2005 (depth first: a part that fits L1 is done there).
#pragma once

#include <stdint.h>

namespace convext {

// points: a power of 2, at least 4. roots: root^0 .. root^(points - 1), each a real and an imaginary part.
template <typename T>
using FftFn = void (*)(T* block, int64_t points, const T* roots);

template <typename T>
struct SpectrumProductArgs {
  T* y;
  int64_t y_pitch;  // between outputs m
  const T* z;
  int64_t z_pitch;  // between steps s
  const T* w;       // `points` real parts, then `points` imaginary parts
  int64_t w_output, w_step;
  int64_t outputs, steps, points;
  bool accumulate;
};

template <typename T>
using SpectrumProductFn = void (*)(const SpectrumProductArgs<T>&);

template <typename T>
using LaneProductFn = void (*)(const T* a, const T* b, T* c, int64_t points, bool accumulate);

template <typename T>
struct FftKernels {
  int lanes;
  FftFn<T> forward, backward;
  SpectrumProductFn<T> multiply;
  LaneProductFn<T> correlate;
};

struct FftTable {
  FftKernels<float> f32;
  FftKernels<double> f64;
};

extern const FftTable kFftScalar, kFftAvx2, kFftAvx512;

}  // namespace convext
