// convext in the place of torch's own convolution on the CPU, for all that is not told of convext.
#pragma once

namespace convext {

// Every CPU call of aten::convolution and aten::convolution_backward that begins while enable() was called more
// often than disable() is convext's, if it serves it. Calls from any thread; disable() without enable() does
// nothing.
void enable();
void disable();
bool is_enabled();

}  // namespace convext
