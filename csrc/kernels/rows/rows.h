// Moving rows of numbers: out of an image into a panel, and out of the phases of a result into an image.
//
//   copy         dst[k * dst_plane + p * dst_phase + r * dst_pitch + i]
//                = src[k * src_plane + r * src_pitch + start + p + i * step]
//                i < count, r < rows, p < phases, k < planes; where start + p + i * step lies in [0, width), 0
//                elsewhere
//   interleave   dst[r * dst_pitch + i * phases + p] = src[p * src_phase + r * src_pitch + i]
//                where i * phases + p < count
//   cut          dst[first * steps + k * length + r] = src[offset[k] + first + r]    k < steps, r < length
//                for each of the `parts` parts [first, first + length) of [0, count); sizes differ by 1 at most
//   sum          sum over r < rows, i < count   src[r * src_pitch + i]
//                added in double: a bias gradient is as long a sum as there is
//
// Only the rows of the formulas are read, exactly their numbers are written; nothing needs alignment; no overlap.
// Steps and phases of 1, 2, 4, 8 go by vectors: copies of several phases read a row once and unzip it. Wider steps with
// as many phases as lanes are transposes.
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
  int64_t phases = 1, dst_phase = 0;  // phases <= step
  int64_t planes = 1, dst_plane = 0, src_plane = 0;
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
  double (*sum)(const T* src, int64_t count, int64_t rows, int64_t src_pitch);
};

struct RowTable {
  RowKernels<float> f32;
  RowKernels<double> f64;
};

extern const RowTable kRowsScalar, kRowsAvx2, kRowsAvx512;

}  // namespace convext
