// Convolution with long rows of taps by transforms; fft.cpp puts the methods together.
#pragma once

#include "algorithms/method.h"

namespace convext {

// correlate.cpp and weight_grad.cpp. Costs are nanoseconds.
extern const Method kFftCorrelate, kFftWeightGrad;

}  // namespace convext
