// Depthwise convolution, one channel to one, with channels in the lanes: for planes so small that a row does not fill a
// vector, and for tensors whose channels lie side by side already.
#include "algorithms/depthwise/channels.h"

#include <algorithm>

#include "algorithms/axis.h"
#include "algorithms/checks.h"
#include "algorithms/depthwise/depthwise.h"
#include "kernels/tables.h"

namespace convext {
namespace {

const char* supports(const ConvProblem& p) {
  if (p.ic_per_group() != 1 || p.oc_per_group() != 1) return "a group has several channels";
  if (p.input_layout != p.output_layout) return "input and output have different layouts";
  return needs_border_fold(p);
}

// `depthwise` need not copy an image to sum it.
bool sums_in_place(const ConvProblem& p) {
  return p.pass == Pass::kOutput && p.stride_w == 1 &&
         !output_axis(p.padding_mode, p.oh, p.ih, p.kh, p.stride_h, p.dilation_h, p.pad_top).reads_outside() &&
         !output_axis(p.padding_mode, p.ow, p.iw, p.kw, p.stride_w, p.dilation_w, p.pad_left).reads_outside();
}

// Transposing costs the same whatever the taps, and a row that fills its vectors needs none. Measured against
// `depthwise` on planes of 8 to 64 and rows of 20 to 400 pixels, both dtypes, AVX-512 and AVX2, one thread: the two
// meet at widths of some 20, 35 and 60 for 3 x 3, 5 x 5 and 7 x 7 taps, at two thirds of that where `depthwise` sums in
// place, and at up to twice that for strides (input gradients of stride 2 at 27 for 3 x 3, below 59 for 5 x 5; with
// AVX-512 `depthwise_rows` is asked before). Weight gradients of single rows, AVX2, below 100 for 3 taps, above 1000
// for 31. (`depthwise_lines`, which is asked first, takes such rows of stride 1.)
int64_t widest(const ConvProblem& p, Isa isa) {
  const int64_t taps = p.taps(), stride = p.stride_w;
  if (p.ih == 1) {
    const int64_t rows = 64 + 4 * p.kw;
    const int64_t weights = isa == Isa::kAvx512 ? 8 * p.kw : 4 * p.kw * p.kw;
    return stride * (p.pass == Pass::kWeightGrad ? std::max(rows, weights) : rows);
  }
  switch (p.pass) {
    case Pass::kWeightGrad:
      return isa == Isa::kAvx512 ? taps * stride * 3 / 2 : taps * stride * 5 / 3;
    case Pass::kInputGrad:
      return stride == 2 ? 7 + taps * stride : (9 + taps) * stride;
    default:
      return sums_in_place(p) ? (9 + taps) * 2 / 3 : 9 + taps * stride;
  }
}

// Weight gradients of stride 1: cycles of a channel in `depthwise`, whose sums of the lanes cost as much whatever the
// images, and here, where each pixel is transposed. (Zen 4, one and two threads, 3 x 3 to 7 x 7 taps, 1 to 16 images;
// of 4 images the two meet at rows of 9, 10 and 21, and 12 and 35, AVX2 at 5 to 10 for 3 x 3 and nowhere for more.)
bool planes_pay(const ConvProblem& p, Isa isa) {
  const bool avx512 = isa == Isa::kAvx512;
  const int64_t vectors = ceil_div(p.ow, vector_lanes(p.dtype, isa));
  const double taps = static_cast<double>(p.taps()), rows = static_cast<double>(p.n * p.oh),
               a_tap = avx512 ? (vectors > 1 ? 1.2 : 1) : (taps > 9 ? 1.3 : 0.8),
               a_pixel = (avx512 ? 0.9 + taps / 12.5 : 1.1 + taps / 11) * (p.dtype == DType::kFloat32 ? 1 : 2);
  return rows * static_cast<double>(vectors) * taps * a_tap + 90 + 6 * taps <
         rows * static_cast<double>(p.ow) * a_pixel;
}

// Of stride 2 in both directions, which planes read by shuffles. (Of channels in the lanes, Zen 4, two threads,
// float32. AVX-512: 3 x 3 with 7 to 14 outputs a row x0.4 to x0.9, 16 x1.4, 17 to 24 x0.6 to x0.85, 28 and more x1.0 to
// x1.6; AVX2: 7 to 20 x0.5 to x0.95, 24 to 64 x1.05 to x1.5. 5 x 5 and 7 x 7 with 7 to 56: x0.15 to x0.6, both.)
bool strided_planes_pay(const ConvProblem& p, Isa isa) {
  const int64_t lanes = vector_lanes(p.dtype, isa), vectors = ceil_div(p.ow, lanes);
  if (p.taps() > 9) return p.ow > 64;
  return isa == Isa::kAvx512 ? p.ow == lanes * vectors || 4 * p.ow >= 7 * lanes : 4 * p.ow > 11 * lanes;
}

// Do rows of pixels take less time than channels in the lanes?
bool rows_pay(const ConvProblem& p, Isa isa) {
  if (p.pass == Pass::kWeightGrad && isa != Isa::kScalar) {
    if (shares_rows(p)) return planes_pay(p, isa);
    if (strides_by_two(p) && p.ih > 1 && reads_planes_in_place(p)) return strided_planes_pay(p, isa);
  }
  return p.iw > widest(p, isa);
}

const char* profitable(const ConvProblem& p, const Policy& policy) {
  if (p.input_layout == Layout::kChannelsLast) return nullptr;
  if (p.g < 16) return "too few channels to fill the lanes";
  return rows_pay(p, policy.isa) ? "rows are wide enough to fill the lanes" : nullptr;
}

using Channels = Methods<kChannelCorrelation, kChannelWeightGrad>;

}  // namespace

extern const Algorithm kDepthwiseChannels = {"depthwise_channels", supports, profitable, Channels::plan, Channels::run};

}  // namespace convext
