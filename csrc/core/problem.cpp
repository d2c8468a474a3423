#include "core/problem.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace convext {
namespace {

// The one table of fields: the printer and the parser both walk it. An enumerated field lists its words
// in the order of its values; a number has none.
struct Field {
  std::string_view name;
  std::array<std::string_view, 4> words;
  int64_t (*get)(const ConvProblem&);
  void (*set)(ConvProblem&, int64_t);
};

template <auto kMember>
constexpr Field field(std::string_view name, std::array<std::string_view, 4> words = {}) {
  return {name, words, [](const ConvProblem& p) { return static_cast<int64_t>(p.*kMember); },
          [](ConvProblem& p, int64_t value) {
            p.*kMember = static_cast<std::remove_reference_t<decltype(p.*kMember)>>(value);
          }};
}

using P = ConvProblem;
constexpr Field kFields[] = {
    field<&P::pass>("pass", {"output", "input_grad", "weight_grad"}),
    field<&P::dtype>("dtype", {"f32", "f64"}),
    field<&P::input_layout>("input", {"nchw", "nhwc"}),
    field<&P::weight_layout>("weight", {"nchw", "nhwc"}),
    field<&P::output_layout>("output", {"nchw", "nhwc"}),
    field<&P::padding_mode>("mode", {"zeros", "reflect", "replicate", "circular"}),
    field<&P::bias>("bias"),
    field<&P::n>("n"),
    field<&P::g>("g"),
    field<&P::ic>("ic"),
    field<&P::oc>("oc"),
    field<&P::ih>("ih"),
    field<&P::iw>("iw"),
    field<&P::oh>("oh"),
    field<&P::ow>("ow"),
    field<&P::kh>("kh"),
    field<&P::kw>("kw"),
    field<&P::stride_h>("stride_h"),
    field<&P::stride_w>("stride_w"),
    field<&P::dilation_h>("dilation_h"),
    field<&P::dilation_w>("dilation_w"),
    field<&P::pad_top>("pad_top"),
    field<&P::pad_left>("pad_left"),
};

int64_t parse_value(const Field& f, std::string_view text) {
  if (!f.words[0].empty()) {
    for (size_t i = 0; i < f.words.size(); ++i)
      if (!f.words[i].empty() && f.words[i] == text) return static_cast<int64_t>(i);
  } else {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  throw std::invalid_argument("convext: problem: bad value '" + std::string(text) + "' for '" + std::string(f.name) +
                              "'");
}

// Is the kernel as large as the image, which it then meets once, each number with its own? (Not if a bias is added to
// all numbers of a channel. Nor if sums are short: those of a depthwise 4x4 on 64 images take twice as long so.)
bool covers_the_input(const ConvProblem& p) {
  constexpr int64_t kShortest = 48;
  const auto covers = [](int64_t in, int64_t out, int64_t taps, int64_t dilation, int64_t pad) {
    return out == 1 && in == taps && pad == 0 && (dilation == 1 || taps == 1);
  };
  const bool channel_bias = p.bias && p.pass == Pass::kInputGrad;
  return !channel_bias && covers(p.ih, p.oh, p.kh, p.dilation_h, p.pad_top) &&
         covers(p.iw, p.ow, p.kw, p.dilation_w, p.pad_left) && p.ic_per_group() * p.taps() >= kShortest &&
         p.input_layout == p.weight_layout && (p.input_layout == Layout::kChannelsFirst || p.g == 1);
}

}  // namespace

ConvProblem canonical(const ConvProblem& problem) {
  ConvProblem p = problem;
  if (p.iw == 1 && p.ow == 1 && p.kw == 1 && p.pad_left == 0) {
    std::swap(p.ih, p.iw);
    std::swap(p.oh, p.ow);
    std::swap(p.kh, p.kw);
    std::swap(p.stride_h, p.stride_w);
    std::swap(p.dilation_h, p.dilation_w);
    std::swap(p.pad_top, p.pad_left);
  }
  if (covers_the_input(p)) {
    p.ic *= p.taps();
    p.ih = p.iw = p.kh = p.kw = 1;
    p.input_layout = p.weight_layout = p.output_layout = Layout::kChannelsFirst;
  }
  const bool moves_nothing = p.taps() == 1 && p.pad_top == 0 && p.pad_left == 0 && p.ih == p.oh && p.iw == p.ow &&
                             (p.stride_h == 1 || p.oh == 1) && (p.stride_w == 1 || p.ow == 1);
  if (moves_nothing) {
    p.iw = p.ow = p.ih * p.iw;
    p.ih = p.oh = 1;
    p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = 1;
  }
  return p;
}

bool is_vast(const ConvProblem& p) {
  const auto reach = [](int64_t in, int64_t out, int64_t taps, int64_t stride, int64_t dilation, int64_t pad) {
    return static_cast<double>(in) + std::abs(static_cast<double>(pad)) +
           static_cast<double>(out) * static_cast<double>(stride) +
           static_cast<double>(taps) * static_cast<double>(dilation);
  };
  return reach(p.ih, p.oh, p.kh, p.stride_h, p.dilation_h, p.pad_top) *
             reach(p.iw, p.ow, p.kw, p.stride_w, p.dilation_w, p.pad_left) * static_cast<double>(p.n) *
             static_cast<double>(std::max(p.ic, p.oc)) >
         0x1p58;
}

std::string to_string(const ConvProblem& problem) {
  const ConvProblem defaults;
  std::string text;
  for (const Field& f : kFields) {
    const int64_t value = f.get(problem);
    if (value == f.get(defaults) && f.name != "pass") continue;
    if (!text.empty()) text += ' ';
    text += f.name;
    text += '=';
    if (f.words[0].empty())
      text += std::to_string(value);
    else
      text += f.words[static_cast<size_t>(value)];
  }
  return text;
}

ConvProblem parse_problem(std::string_view text) {
  ConvProblem problem;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    text = space == std::string_view::npos ? "" : text.substr(space + 1);
    if (word.empty()) continue;
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const Field* match = nullptr;
    for (const Field& f : kFields)
      if (f.name == name) match = &f;
    if (match == nullptr || equals == std::string_view::npos)
      throw std::invalid_argument("convext: problem: unknown word '" + std::string(word) + "'");
    match->set(problem, parse_value(*match, word.substr(equals + 1)));
  }
  const ConvProblem& p = problem;
  if (std::min({p.n, p.g, p.ic, p.oc, p.ih, p.iw, p.oh, p.ow, p.kh, p.kw, p.stride_h, p.stride_w, p.dilation_h,
                p.dilation_w}) < 1 ||
      p.ic % p.g != 0 || p.oc % p.g != 0)
    throw std::invalid_argument(
        "convext: problem: sizes, strides and dilations must be at least 1, and g divide ic and oc");
  return problem;
}

}  // namespace convext
