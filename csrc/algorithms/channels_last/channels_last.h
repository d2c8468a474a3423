// The two halves of the channels_last algorithm; channels_last.cpp puts them together.
#pragma once

#include "algorithms/half.h"

namespace convext {

// correlate.cpp and weight_grad.cpp.
extern const Half kPixelCorrelation, kPixelWeightGrad;

// Pixels that nothing moves are one row, whichever image they are of.
inline ConvProblem as_one_image(const ConvProblem& problem) {
  ConvProblem p = problem;
  const bool moves_nothing =
      p.taps() == 1 && p.pad_top == 0 && p.pad_left == 0 && p.ih == 1 && p.oh == 1 && p.iw == p.ow && p.stride_w == 1;
  if (moves_nothing) p.iw = p.ow = p.n * p.iw, p.n = 1;
  return p;
}

}  // namespace convext
