// Convolution with long rows of taps by transforms; fft.cpp puts the halves together.
#pragma once

#include "algorithms/half.h"

namespace convext {

// correlate.cpp and weight_grad.cpp. Costs are nanoseconds.
extern const Half kFftCorrelate, kFftWeightGrad;

}  // namespace convext
