// Copies of tensors in the other layout, for algorithms that compute in one.
#pragma once

#include "core/isa.h"
#include "core/problem.h"

namespace convext {

// A dense tensor of `images` x `channels` x `pixels` numbers.
struct TensorShape {
  int64_t images, channels, pixels;
};

// Copies `from`, whose layout is not `layout`, to `to`, whose layout is.
void convert_layout(DType dtype, const TensorShape& shape, const void* from, void* to, Layout layout, Isa isa,
                    int threads);

}  // namespace convext
