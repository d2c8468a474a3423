// One convolution, as plain data. Every layer of the house passes this struct instead of a list of
// integers; its text form is the verbose line, the test id, the benchmark row and the bug report.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace convext {

// The three passes of a convolution. Each is bilinear in the two tensors that it reads, and they are
// each other's derivatives. A transposed convolution is kInputGrad by another name.
enum class Pass : uint8_t {
  kOutput,      // (input, weight, bias) -> output
  kInputGrad,   // (output, weight, bias) -> input; the bias is the transposed convolution's
  kWeightGrad,  // (output, input) -> weight; with bias also the sum of output over n, oh, ow
};

enum class DType : uint8_t { kFloat32, kFloat64 };

// Of an operand: (n, c, h, w) or (n, h, w, c) in memory, dense; of the weight (oc, ic/g, kh, kw) or
// (oc, kh, kw, ic/g).
enum class Layout : uint8_t { kChannelsFirst, kChannelsLast };

// What a tap reads outside the image.
enum class PaddingMode : uint8_t { kZeros, kReflect, kReplicate, kCircular };

struct ConvProblem {
  Pass pass = Pass::kOutput;
  DType dtype = DType::kFloat32;
  Layout input_layout = Layout::kChannelsFirst;
  Layout weight_layout = Layout::kChannelsFirst;
  Layout output_layout = Layout::kChannelsFirst;
  PaddingMode padding_mode = PaddingMode::kZeros;
  bool bias = false;

  // ic and oc count the channels of all g groups. One-dimensional convolution has ih = oh = kh = 1.
  int64_t n = 1, g = 1, ic = 1, oc = 1;
  int64_t ih = 1, iw = 1, oh = 1, ow = 1, kh = 1, kw = 1;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  // Output row `oh` and tap `kh` read input row  oh * stride_h + kh * dilation_h - pad_top. Padding
  // below and to the right needs no number: it follows from oh and ow. Negative padding crops.
  int64_t pad_top = 0, pad_left = 0;

  int64_t ic_per_group() const { return ic / g; }
  int64_t oc_per_group() const { return oc / g; }
  int64_t taps() const { return kh * kw; }
  int64_t input_pixels() const { return ih * iw; }
  int64_t output_pixels() const { return oh * ow; }
  int64_t input_count() const { return n * ic * ih * iw; }
  int64_t weight_count() const { return oc * ic_per_group() * kh * kw; }
  int64_t output_count() const { return n * oc * oh * ow; }
  // Multiplications and additions of the direct sum, taps in the padding included.
  double flops() const {
    return 2.0 * static_cast<double>(output_count()) * static_cast<double>(ic_per_group() * taps());
  }

  bool operator==(const ConvProblem&) const = default;
};

// The same computation in the form that the algorithms expect: a kernel (k, 1) on images of width 1 becomes a
// one-dimensional one, a kernel as large as the image a 1x1 one whose channels are all its numbers, and a 1x1
// kernel that moves nothing sees the image as one row.
ConvProblem canonical(const ConvProblem& problem);

// Whether numbers of both axes and all channels, of the images with what taps reach beside them, are beyond 64 bits:
// coordinates are not (torch/problem.cpp), but panels hold products of them.
bool is_vast(const ConvProblem& problem);

// The problem as one line of name=value words; fields that have their default value are left out, the
// pass never is: "pass=output n=4 ic=64 oc=64 ih=56 ...".
std::string to_string(const ConvProblem& problem);

// The inverse of to_string. Throws std::invalid_argument that names the word it cannot read.
ConvProblem parse_problem(std::string_view text);

// The input coordinate that a tap reads at `i` (which may lie outside [0, size)), or -1 for a zero.
inline int64_t source_index(PaddingMode mode, int64_t i, int64_t size) {
  if (i >= 0 && i < size) return i;
  switch (mode) {
    case PaddingMode::kZeros:
      return -1;
    case PaddingMode::kReflect:  // the edge is not repeated; the callers check |padding| < size
      return i < 0 ? -i : 2 * (size - 1) - i;
    case PaddingMode::kReplicate:
      return i < 0 ? 0 : size - 1;
    case PaddingMode::kCircular:  // wraps once
      return i < 0 ? i + size : i - size;
  }
  return -1;
}

}  // namespace convext
