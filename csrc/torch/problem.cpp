#include "torch/problem.h"

#include <algorithm>
#include <limits>

namespace convext {
namespace {

// One spatial dimension of a problem.
struct AxisArguments {
  int64_t input, kernel, output, stride, dilation, padding;

  // What the taps of all outputs read before and after the input; negative: what they do not read.
  int64_t before() const { return padding; }
  int64_t after() const { return (output - 1) * stride + (kernel - 1) * dilation + 1 - padding - input; }
};

void check_axis(const AxisArguments& a, PaddingMode mode) {
  TORCH_CHECK(a.stride > 0 && a.dilation > 0, "convext: stride and dilation must be positive");
  if (a.output <= 0 || a.kernel <= 0 || a.input <= 0) return;
  // Far from the limits of 64 bits, so that kernels need not think of them.
  constexpr int64_t kLimit = int64_t{1} << 60;
  const auto fits = [](int64_t factor, int64_t count) { return count == 0 || factor <= kLimit / count; };
  TORCH_CHECK(
      fits(a.stride, a.output - 1) && fits(a.dilation, a.kernel - 1) && a.padding <= kLimit && a.padding >= -kLimit,
      "convext: the coordinates of this convolution overflow 64 bits");
  const int64_t most = mode == PaddingMode::kReflect    ? a.input - 1
                       : mode == PaddingMode::kCircular ? a.input
                                                        : std::numeric_limits<int64_t>::max();
  TORCH_CHECK(a.before() <= most && a.after() <= most, "convext: padding (", a.before(), ", ", a.after(),
              ") is too much for size ", a.input);
}

// The axis with the numbers that do not matter set to their defaults.
AxisArguments without_idle_numbers(AxisArguments a) {
  if (a.output == 1) a.stride = 1;
  if (a.kernel == 1) a.dilation = 1;
  return a;
}

AxisArguments make_axis(const ProblemArguments& a, size_t i, PaddingMode mode) {
  const AxisArguments axis{a.input[i + 2], a.weight[i + 2], a.output[i + 2], a.stride[i], a.dilation[i], a.padding[i]};
  check_axis(axis, mode);
  return without_idle_numbers(axis);
}

void check_channels(const ProblemArguments& a) {
  const size_t dims = a.input.size();
  TORCH_CHECK(dims == 3 || dims == 4, "convext: expected tensors of 3 or 4 dimensions, got ", dims);
  TORCH_CHECK(a.weight.size() == dims && a.output.size() == dims && a.stride.size() == dims - 2 &&
                  a.padding.size() == dims - 2 && a.dilation.size() == dims - 2,
              "convext: the tensors and lists differ in the number of their dimensions");
  TORCH_CHECK(a.groups > 0 && a.input[0] == a.output[0] && a.weight[0] == a.output[1] && a.weight[0] % a.groups == 0 &&
                  a.input[1] % a.groups == 0 && a.weight[1] == a.input[1] / a.groups,
              "convext: input ", a.input, ", weight ", a.weight, " and output ", a.output, " do not fit together with ",
              a.groups, " groups");
}

}  // namespace

PaddingMode parse_padding_mode(std::string_view name) {
  if (name == "zeros") return PaddingMode::kZeros;
  if (name == "reflect") return PaddingMode::kReflect;
  if (name == "replicate") return PaddingMode::kReplicate;
  if (name == "circular") return PaddingMode::kCircular;
  TORCH_CHECK_VALUE(false,
                    "padding_mode must be one of {'zeros', 'reflect', 'replicate', 'circular'}, but got padding_mode='",
                    name, "'");
}

ConvProblem make_problem(const ProblemArguments& a) {
  check_channels(a);
  TORCH_CHECK(a.dtype == at::kFloat || a.dtype == at::kDouble, "convext: expected float32 or float64, got ", a.dtype);
  ConvProblem p;
  p.pass = a.pass;
  p.dtype = a.dtype == at::kFloat ? DType::kFloat32 : DType::kFloat64;
  p.padding_mode = parse_padding_mode(a.padding_mode);
  p.bias = a.bias;
  p.n = a.input[0];
  p.g = a.groups;
  p.ic = a.input[1];
  p.oc = a.output[1];
  AxisArguments h{1, 1, 1, 1, 1, 0}, w = make_axis(a, a.stride.size() - 1, p.padding_mode);
  if (a.stride.size() == 2) h = make_axis(a, 0, p.padding_mode);
  p.ih = h.input, p.iw = w.input;
  p.kh = h.kernel, p.kw = w.kernel;
  p.oh = h.output, p.ow = w.output;
  p.stride_h = h.stride, p.stride_w = w.stride;
  p.dilation_h = h.dilation, p.dilation_w = w.dilation;
  p.pad_top = h.padding, p.pad_left = w.padding;
  if (std::max({h.before(), h.after(), w.before(), w.after()}) <= 0) p.padding_mode = PaddingMode::kZeros;
  return p;
}

}  // namespace convext
