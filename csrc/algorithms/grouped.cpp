// Weight gradients of convolutions with few output channels a group: pixels in the lanes. (Their output pass
// and input gradient are the dense algorithm's: pixels are in the lanes there anyway.)
#include "algorithms/layouts.h"
#include "algorithms/pixel_sum.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  return p.pass != Pass::kWeightGrad ? "it computes weight gradients only" : needs_channels_first(p);
}

const char* profitable(const ConvProblem& p, const Policy& policy) {
  // AVX2: 8 as well, unless few input channels share their transpose (3x3, 3 to 8: x0.8).
  const int64_t few = policy.isa == Isa::kAvx2 && p.ic_per_group() >= 8 ? 7 : 8;
  return p.oc_per_group() > few ? "output channels fill the lanes" : nullptr;
}

using Grouped = Halves<kPixelSum, kPixelSum>;  // there is no other half

}  // namespace

extern const Algorithm kGrouped = {"grouped", supports, profitable, Grouped::plan, Grouped::run};

}  // namespace convext
