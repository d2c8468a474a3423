// The outer-product micro-kernel: a tile of MR rows x NR columns of C stays in registers while the sum
// runs; each step multiplies MR broadcast numbers of A by NR adjacent numbers of B.
//
//                    B: NR adjacent numbers a step               One loop serves all that is a matrix
//                       [ b0 ....... b15 | ... ]                 product in disguise: the steps are
//     A: a number a  a0 [ acc  acc  acc  acc   ]  C row 0        channels x taps, or pixels. Where a
//        row, at     a1 [ acc  acc  acc  acc   ]  C row 1        step reads is given by an offset, so
//        any place   .. [ ...                  ]  ...            nothing is gathered that already lies
//                                                                side by side.
//
//   C[r][j]  =  start[r][j]  +  sum_{k < steps}  A(r, k) * B[b_offset[k] + j]
//
//   packed:   A(r, k) = a[k * MR + r]           weights, rearranged once a call
//   keeping:  the same; and kept[k * kept_pitch + j] = B[b_offset[k] + j], j < NR, with zeros past `columns`
//   rows:     A(r, k) = rows[r][a_offset[k]]    numbers read where they lie
//   strided:  A(r, k) = a[r * a_row + k * a_step]   likewise, of a matrix or its transpose; reads ahead
//
// Memory: nothing needs alignment; exactly the numbers of the formula are read and written, columns past
// `columns` are not touched. C must not overlap A or B.
// Every tile of an instruction set makes the same sum in the same order, so a result does not depend on
// how its image was cut into tiles. Ideas: Goto & van de Geijn 2008 (the tile); Dukhan 2019 (pointers in
// place of im2col); Georganas et al. 2018 (one kernel for many layers).
#pragma once

#include <stdint.h>

namespace convext {

// What the sum is added to. kAdd: what C holds. It is added last, so that a long sum is one of blocks, whose
// rounding errors do not pile up.
enum class Start { kZero, kRowBias, kColumnBias, kAdd };

template <typename T>
struct OuterProductArgs {
  const T* a;               // packed, keeping, strided
  const T* const* rows;     // rows only
  const int64_t* a_offset;  // rows only
  int64_t a_row, a_step;    // strided only
  const T* b;
  const int64_t* b_offset;
  int64_t steps;
  T* c;
  int64_t c_stride;  // between rows of C
  int64_t columns;   // 1 .. NR, and more than NR - kLanes: the last vector may be partial
  Start start;
  const T* bias;  // kRowBias: MR numbers, kColumnBias: `columns`
  // packed, of vectors as long as a cache line: each step asks for that of B[b_offset[k] + ahead], which may lie
  // anywhere.
  int64_t ahead = 0;
  T* kept;             // keeping only: a copy of B, whose rows lie near one another
  int64_t kept_pitch;  // NR or more
  // strided: each step asks for next[next_offset[k]], which may lie anywhere.
  const T* next;
  const int64_t* next_offset;
};

template <typename T>
using OuterProductFn = void (*)(const OuterProductArgs<T>&);

inline constexpr int kOuterProductMaxMr = 14;
inline constexpr int kOuterProductMaxNv = 4;

// The tiles of one instruction set and one number type: fn[nv - 1][mr - 1] has NR = nv * lanes; null where
// the registers do not suffice. Every mr below the largest exists, so rows never need padding.
template <typename T>
struct OuterProductTiles {
  int lanes;
  int max_packed_mr[kOuterProductMaxNv];  // by nv - 1
  int max_rows_mr[kOuterProductMaxNv];
  OuterProductFn<T> packed[kOuterProductMaxNv][kOuterProductMaxMr];
  OuterProductFn<T> keeping[kOuterProductMaxNv][kOuterProductMaxMr];  // as packed; none where those ask
  OuterProductFn<T> rows[kOuterProductMaxNv][kOuterProductMaxMr];
  OuterProductFn<T> strided[kOuterProductMaxNv][kOuterProductMaxMr];  // as many as of rows
};

struct OuterProductTable {
  OuterProductTiles<float> f32;
  OuterProductTiles<double> f64;
};

extern const OuterProductTable kOuterProductScalar, kOuterProductAvx2, kOuterProductAvx512;

}  // namespace convext
