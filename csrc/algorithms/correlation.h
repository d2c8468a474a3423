// The output pass and the input gradient, seen as one thing: every destination channel is a sum over source
// channels and taps of shifted source planes. Weights, biases and planes are addressed by strides, so the
// code that computes a correlation does not know which pass it serves.
#pragma once

#include "algorithms/algorithm.h"
#include "algorithms/axis.h"

namespace convext {

struct Correlation {
  int64_t n, g;
  int64_t m, k;          // destination and source channels of one group
  int64_t out_h, out_w;  // the destination plane
  int64_t in_h, in_w;    // the source plane
  int64_t kernel_h, kernel_w;
  int64_t weight_m, weight_k;  // strides of the weight; its taps are kernel_h x kernel_w, dense
  int64_t phases_h, phases_w;  // destination positions that are computed apart
  // Above 1 if the m channels are those of the destination times shuffle_h x shuffle_w pixels: channel
  // (c * shuffle_h + y) * shuffle_w + x at (row, column) is c at (row * shuffle_h + y, column * shuffle_w + x).
  int64_t shuffle_h = 1, shuffle_w = 1;
  PaddingMode padding_mode;
  bool output_pass;

  int64_t channels() const { return m / (shuffle_h * shuffle_w); }  // of the destination, in one group
  int64_t taps() const { return kernel_h * kernel_w; }
  int64_t weights_per_group() const { return m * k * taps(); }
  int64_t out_pixels() const { return out_h * out_w; }
  int64_t in_pixels() const { return in_h * in_w; }

  explicit Correlation(const ConvProblem& p)
      : n(p.n),
        g(p.g),
        kernel_h(p.kh),
        kernel_w(p.kw),
        padding_mode(p.padding_mode),
        output_pass(p.pass == Pass::kOutput),
        problem_(p) {
    const int64_t icg = p.ic_per_group(), ocg = p.oc_per_group();
    if (output_pass) {
      m = ocg, k = icg, out_h = p.oh, out_w = p.ow, in_h = p.ih, in_w = p.iw;
      weight_m = icg * p.taps(), weight_k = p.taps();
      phases_h = phases_w = 1;
    } else {
      m = icg, k = ocg, out_h = p.ih, out_w = p.iw, in_h = p.oh, in_w = p.ow;
      weight_m = p.taps(), weight_k = icg * p.taps();
      phases_h = std::min(p.stride_h, p.ih), phases_w = std::min(p.stride_w, p.iw);
    }
  }

  // An input gradient of patches that do not overlap, whose every pixel meets one tap, as one product of
  // matrices: the taps become channels, and the result is shuffled. Other problems as they are.
  static Correlation of_patches(const ConvProblem& p) {
    Correlation c(p);
    const bool patches = !c.output_pass && p.kh == p.stride_h && p.kw == p.stride_w && p.pad_top == 0 &&
                         p.pad_left == 0 && (p.kh == 1 || p.dilation_h == 1) && (p.kw == 1 || p.dilation_w == 1);
    if (!patches) return c;
    c.m *= p.taps(), c.weight_m = 1;
    c.shuffle_h = p.kh, c.shuffle_w = p.kw;
    c.kernel_h = c.kernel_w = c.phases_h = c.phases_w = 1;
    return c;
  }

  Axis axis_h(int64_t phase) const {
    const ConvProblem& p = problem_;
    return output_pass ? output_axis(p.padding_mode, p.oh, p.ih, p.kh, p.stride_h, p.dilation_h, p.pad_top)
                       : input_grad_axis(p.ih, p.oh, p.kh, p.stride_h, p.dilation_h, p.pad_top, phase);
  }
  Axis axis_w(int64_t phase) const {
    const ConvProblem& p = problem_;
    return output_pass ? output_axis(p.padding_mode, p.ow, p.iw, p.kw, p.stride_w, p.dilation_w, p.pad_left)
                       : input_grad_axis(p.iw, p.ow, p.kw, p.stride_w, p.dilation_w, p.pad_left, phase);
  }

  // An axis whose taps are the offsets of all its phases: one panel then serves them all. (The phases of an
  // input gradient have source stride 1.)
  Axis all_phases_h() const {
    return all_phases(phases_h, [this](int64_t phase) { return axis_h(phase); });
  }
  Axis all_phases_w() const {
    return all_phases(phases_w, [this](int64_t phase) { return axis_w(phase); });
  }

  const ConvProblem& problem() const { return problem_; }

 private:
  template <typename AxisOf>
  static Axis all_phases(int64_t phases, const AxisOf& axis_of) {
    Axis all = axis_of(0);
    if (phases == 1) return all;
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (int64_t phase = 0; phase < phases; ++phase)
      if (const Axis axis = axis_of(phase); axis.taps > 0) {
        first = std::min(first, axis.offset0);
        last = std::max(last, axis.offset(axis.taps - 1));
      }
    all.taps = first <= last ? last - first + 1 : 0;
    all.offset0 = all.taps > 0 ? first : 0, all.offset_step = 1;
    return all;
  }

  const ConvProblem& problem_;
};

// The tensors of a correlation.
template <typename T>
struct CorrelationOperands {
  const T* source;
  const T* weight;
  const T* bias;
  T* destination;

  CorrelationOperands(const ConvProblem& p, const Operands& o)
      : source(static_cast<const T*>(p.pass == Pass::kOutput ? o.input : o.output)),
        weight(static_cast<const T*>(o.weight)),
        bias(static_cast<const T*>(o.bias)),
        destination(o.written<T>(p.pass == Pass::kOutput ? o.output : o.input)) {}
};

}  // namespace convext
