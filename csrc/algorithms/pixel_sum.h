// Weight gradient with pixels in the lanes (kernels/inner_product): for few output channels a group, where
// output channels would not fill the lanes. Depthwise and grouped convolution share it.
#pragma once

#include "algorithms/method.h"

namespace convext {

extern const Method kPixelSum;

}  // namespace convext
