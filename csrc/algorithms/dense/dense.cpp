// Dense convolution as an implicit matrix product, channels first, any kernel, stride, dilation and group.
#include "algorithms/dense/dense.h"

#include "algorithms/checks.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) { return first_reason(needs_channels_first(p), needs_border_fold(p)); }

const char* profitable(const ConvProblem&, const Policy&) { return nullptr; }

}  // namespace

extern const Algorithm kDense = {"dense", supports, profitable, Dense::plan, Dense::run};

}  // namespace convext
