// Depthwise convolution: one input channel a group, any number of output channels (the multiplier), and convolution of
// one channel to one.
#include "algorithms/depthwise/depthwise.h"

#include "algorithms/checks.h"
#include "algorithms/pixel_sum.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  if (p.ic_per_group() != 1) return "a group has several input channels";
  return first_reason(needs_channels_first(p), needs_border_fold(p));
}

const char* profitable(const ConvProblem& p, const Policy&) {
  return p.oc_per_group() > 4 ? "many output channels a group fill a dense tile" : nullptr;
}

const Method& method_of(const ConvProblem& p) {
  if (p.pass != Pass::kWeightGrad) return kPlaneCorrelation;
  return reads_planes_in_place(p) ? kPlaneWeightGrad : kPixelSum;
}

using Depthwise = MethodsBy<method_of>;

}  // namespace

extern const Algorithm kDepthwise = {"depthwise", supports, profitable, Depthwise::plan, Depthwise::run};

}  // namespace convext
