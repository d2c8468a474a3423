#include "core/problem.h"

#include <array>
#include <charconv>
#include <stdexcept>

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
  throw std::invalid_argument("convext: problem: bad value '" + std::string(text) + "' for '" + std::string(f.name) + "'");
}

}  // namespace

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
  return problem;
}

}  // namespace convext
