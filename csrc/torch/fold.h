// The border of the input gradient for the padding modes in which padding repeats the input.
#pragma once

#include "core/problem.h"

namespace convext {

// Whether a problem (contiguous, as algorithms see it) is computed so. Not if the padded input is beyond 64 bits: the
// definition needs none.
inline bool folds_border(const ConvProblem& p) {
  return p.pass == Pass::kInputGrad && p.padding_mode != PaddingMode::kZeros && !is_vast(p);
}

// The zeros-mode problem that computes the gradient of the padded input: of all that the taps read.
ConvProblem padded_problem(const ConvProblem& problem);

// Adds up the gradients of each input element's copies in the padded input, and its channel's bias if there
// is one. `padded` and `input` are dense and channels-first.
void fold_border(const ConvProblem& problem, const void* padded, const void* bias, void* input, int threads);

}  // namespace convext
