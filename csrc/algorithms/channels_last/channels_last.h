// The two methods of the channels_last algorithm; channels_last.cpp puts them together.
#pragma once

#include "algorithms/checks.h"
#include "algorithms/method.h"

namespace convext {

// correlate.cpp and weight_grad.cpp.
extern const Method kPixelCorrelation, kPixelWeightGrad;

// Pixels that nothing moves are one row, whichever image they are of.
inline ConvProblem as_one_image(const ConvProblem& problem) {
  ConvProblem p = problem;
  if (moves_nothing(p)) p.iw = p.ow = p.n * p.iw, p.n = 1;
  return p;
}

}  // namespace convext
