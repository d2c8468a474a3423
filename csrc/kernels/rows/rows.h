// Moving rows of numbers: out of an image into a panel, and out of the phases of a result into an image.
//
//   copy         dst[r * dst_pitch + i] = src[r * src_pitch + start + i * step]      i < count, r < rows
//                where start + i * step lies in [0, width); 0 elsewhere
//   interleave   dst[r * dst_pitch + i * phases + p] = src[p * src_phase + r * src_pitch + i]
//                where i * phases + p < count
//   cut          dst[first * steps + k * length + r] = src[offset[k] + first + r]    k < steps, r < length
//                for each of the `parts` parts [first, first + length) of [0, count); sizes differ by 1 at most
//   sum          src[0] + ... + src[count - 1], added in double: a bias gradient is as long a sum as there is
//
// Exactly the numbers of the formulas are read and written; nothing needs alignment; no overlap. Steps and
// phases of 1, 2, 4 (and 8 phases) go by vectors; eight steps were slower so: eight loads and seven shuffles.
#pragma once

#include <stdint.h>

namespace convext {

template <typename T>
struct CopyRowsArgs {
  T* dst;
  int64_t dst_pitch;
  const T* src;
  int64_t src_pitch;
  int64_t rows, start, step, count, width;
};

template <typename T>
struct InterleaveRowsArgs {
  T* dst;
  int64_t dst_pitch;
  const T* src;
  int64_t src_pitch, src_phase;
  int64_t rows, phases, count;
};

template <typename T>
struct CutRowsArgs {
  T* dst;
  const T* src;
  const int64_t* offset;
  int64_t steps, count, parts;
};

template <typename T>
struct RowKernels {
  void (*copy)(const CopyRowsArgs<T>&);
  void (*interleave)(const InterleaveRowsArgs<T>&);
  void (*cut)(const CutRowsArgs<T>&);
  double (*sum)(const T* src, int64_t count);
};

struct RowTable {
  RowKernels<float> f32;
  RowKernels<double> f64;
};

extern const RowTable kRowsScalar, kRowsAvx2, kRowsAvx512;

}  // namespace convext
