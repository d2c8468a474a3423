// Dense convolution as an implicit matrix product, channels last, any kernel, stride, dilation and group: pixels
// are the rows of the product and channels its columns, in the lanes.
#include "algorithms/channels_last/channels_last.h"

#include <algorithm>

#include "algorithms/checks.h"
#include "kernels/tables.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) { return first_reason(needs_channels_last(p), needs_border_fold(p)); }

// Where many lanes would idle contiguous copies are faster: of groups already where half of them do.
const char* profitable(const ConvProblem& p, const Policy& policy) {
  const int64_t in_lanes = p.pass == Pass::kOutput      ? p.oc_per_group()
                           : p.pass == Pass::kInputGrad ? p.ic_per_group()
                                                        : std::max(p.oc_per_group(), p.ic_per_group());
  const int64_t lanes = vector_lanes(p.dtype, policy.isa);
  return in_lanes < (p.g > 1 ? lanes / 2 + 1 : 5) ? "few channels a group leave lanes idle" : nullptr;
}

using Pixels = Methods<kPixelCorrelation, kPixelWeightGrad>;

}  // namespace

extern const Algorithm kChannelsLast = {"channels_last", supports, profitable, Pixels::plan, Pixels::run};

}  // namespace convext
