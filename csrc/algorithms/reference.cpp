// The definition, written out: one loop a dimension, any layout, any padding mode. It computes
// whatever nothing else does, and every other algorithm is tested against it.
#include "algorithms/algorithm.h"
#include "core/parallel.h"

namespace convext {
namespace {

// Element offsets of a tensor of four dimensions (n or oc, c, h, w), in either layout.
struct Strides {
  int64_t n, c, h, w;
  Strides(Layout layout, int64_t channels, int64_t height, int64_t width)
      : n(channels * height * width),
        c(layout == Layout::kChannelsFirst ? height * width : 1),
        h(layout == Layout::kChannelsFirst ? width : width * channels),
        w(layout == Layout::kChannelsFirst ? 1 : channels) {}
  int64_t at(int64_t in, int64_t ic, int64_t ih, int64_t iw) const { return in * n + ic * c + ih * h + iw * w; }
};

template <typename T>
class Reference {
 public:
  Reference(const ConvProblem& p, const Operands& o)
      : p_(p),
        input_(o.written<T>(o.input)),
        weight_(o.written<T>(o.weight)),
        bias_(o.written<T>(o.bias)),
        output_(o.written<T>(o.output)),
        is_(p.input_layout, p.ic, p.ih, p.iw),
        ws_(p.weight_layout, p.ic_per_group(), p.kh, p.kw),
        os_(p.output_layout, p.oc, p.oh, p.ow) {}

  void run(const Context& context) const {
    switch (p_.pass) {
      case Pass::kOutput:
        return parallel_for(context.threads, p_.n * p_.oc, [&](int64_t i, int) { output_plane(i / p_.oc, i % p_.oc); });
      case Pass::kInputGrad:
        return parallel_for(context.threads, p_.n * p_.ic, [&](int64_t i, int) { input_plane(i / p_.ic, i % p_.ic); });
      case Pass::kWeightGrad:
        return parallel_for(context.threads, p_.oc, [&](int64_t oc, int) { weight_filter(oc); });
    }
  }

 private:
  // Calls f(oh, ow, kh, kw, ih, iw) for every output pixel and tap that reads a real input pixel.
  template <typename F>
  void each_tap(const F& f) const {
    for (int64_t oh = 0; oh < p_.oh; ++oh)
      for (int64_t kh = 0; kh < p_.kh; ++kh) {
        const int64_t ih = source_index(p_.padding_mode, oh * p_.stride_h + kh * p_.dilation_h - p_.pad_top, p_.ih);
        if (ih < 0 || ih >= p_.ih) continue;
        for (int64_t kw = 0; kw < p_.kw; ++kw)
          for (int64_t ow = 0; ow < p_.ow; ++ow) {
            const int64_t iw =
                source_index(p_.padding_mode, ow * p_.stride_w + kw * p_.dilation_w - p_.pad_left, p_.iw);
            if (iw >= 0 && iw < p_.iw) f(oh, ow, kh, kw, ih, iw);
          }
      }
  }

  void output_plane(int64_t n, int64_t oc) const {
    const int64_t icg = p_.ic_per_group(), first = oc / p_.oc_per_group() * icg;
    for (int64_t oh = 0; oh < p_.oh; ++oh)
      for (int64_t ow = 0; ow < p_.ow; ++ow) output_[os_.at(n, oc, oh, ow)] = bias_ ? bias_[oc] : T(0);
    for (int64_t c = 0; c < icg; ++c)
      each_tap([&](int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t ih, int64_t iw) {
        output_[os_.at(n, oc, oh, ow)] += input_[is_.at(n, first + c, ih, iw)] * weight_[ws_.at(oc, c, kh, kw)];
      });
  }

  void input_plane(int64_t n, int64_t ic) const {
    const int64_t icg = p_.ic_per_group(), ocg = p_.oc_per_group(), first = ic / icg * ocg;
    for (int64_t ih = 0; ih < p_.ih; ++ih)
      for (int64_t iw = 0; iw < p_.iw; ++iw) input_[is_.at(n, ic, ih, iw)] = bias_ ? bias_[ic] : T(0);
    for (int64_t c = 0; c < ocg; ++c)
      each_tap([&](int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t ih, int64_t iw) {
        input_[is_.at(n, ic, ih, iw)] +=
            output_[os_.at(n, first + c, oh, ow)] * weight_[ws_.at(first + c, ic % icg, kh, kw)];
      });
  }

  void weight_filter(int64_t oc) const {
    const int64_t icg = p_.ic_per_group(), first = oc / p_.oc_per_group() * icg;
    for (int64_t i = 0; i < ws_.n; ++i) weight_[oc * ws_.n + i] = T(0);
    if (bias_) bias_[oc] = T(0);
    for (int64_t n = 0; n < p_.n; ++n) {
      for (int64_t c = 0; c < icg; ++c)
        each_tap([&](int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t ih, int64_t iw) {
          weight_[ws_.at(oc, c, kh, kw)] += output_[os_.at(n, oc, oh, ow)] * input_[is_.at(n, first + c, ih, iw)];
        });
      if (bias_)
        for (int64_t oh = 0; oh < p_.oh; ++oh)
          for (int64_t ow = 0; ow < p_.ow; ++ow) bias_[oc] += output_[os_.at(n, oc, oh, ow)];
    }
  }

  const ConvProblem& p_;
  T *input_, *weight_, *bias_, *output_;
  Strides is_, ws_, os_;
};

const char* supports(const ConvProblem&) { return nullptr; }
const char* profitable(const ConvProblem&, const Policy&) { return nullptr; }

Plan plan(const ConvProblem&, const Policy&) {
  Plan plan;
  plan.kernel.shape = "reference";
  return plan;
}

void run(const ConvProblem& p, const Plan&, const Operands& operands, const Context& context) {
  if (p.dtype == DType::kFloat32)
    Reference<float>(p, operands).run(context);
  else
    Reference<double>(p, operands).run(context);
}

}  // namespace

extern const Algorithm kReference = {
    .name = "reference", .supports = supports, .profitable = profitable, .plan = plan, .run = run, .last_resort = true};

}  // namespace convext
