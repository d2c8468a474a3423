// The two methods of the dense algorithm; dense.cpp puts them together.
#pragma once

#include "algorithms/method.h"

namespace convext {

// correlate.cpp and weight_grad.cpp.
extern const Method kDenseCorrelation, kDenseWeightGrad;
using Dense = Methods<kDenseCorrelation, kDenseWeightGrad>;

}  // namespace convext
