// The two halves of the dense algorithm; dense.cpp puts them together.
#pragma once

#include "algorithms/half.h"

namespace convext {

// correlate.cpp and weight_grad.cpp.
extern const Half kDenseCorrelation, kDenseWeightGrad;
using Dense = Halves<kDenseCorrelation, kDenseWeightGrad>;

}  // namespace convext
