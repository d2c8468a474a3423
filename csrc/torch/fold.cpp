#include "torch/fold.h"

#include <algorithm>
#include <vector>

#include "core/parallel.h"

namespace convext {
namespace {

// The input coordinate that each padded one is a copy of. Padding may be negative on either side: then
// coordinates of the input are left out.
std::vector<int64_t> sources(PaddingMode mode, int64_t padded_size, int64_t padding, int64_t size) {
  std::vector<int64_t> source(static_cast<size_t>(padded_size));
  for (int64_t i = 0; i < padded_size; ++i) source[static_cast<size_t>(i)] = source_index(mode, i - padding, size);
  return source;
}

template <typename T>
void fold(const ConvProblem& p, const T* padded, const T* bias, T* input, int threads) {
  const ConvProblem q = padded_problem(p);
  const std::vector<int64_t> row = sources(p.padding_mode, q.ih, p.pad_top, p.ih);
  const std::vector<int64_t> col = sources(p.padding_mode, q.iw, p.pad_left, p.iw);
  parallel_for(threads, p.n * p.ic, [&](int64_t plane, int) {
    T* const to = input + plane * p.input_pixels();
    const T* const from = padded + plane * q.input_pixels();
    std::fill_n(to, p.input_pixels(), bias != nullptr ? bias[plane % p.ic] : T(0));
    for (int64_t h = 0; h < q.ih; ++h)
      for (int64_t w = 0; w < q.iw; ++w)
        to[row[static_cast<size_t>(h)] * p.iw + col[static_cast<size_t>(w)]] += from[h * q.iw + w];
  });
}

}  // namespace

ConvProblem padded_problem(const ConvProblem& problem) {
  ConvProblem padded = problem;
  padded.padding_mode = PaddingMode::kZeros;
  padded.bias = false;
  padded.pad_top = padded.pad_left = 0;
  padded.ih = (problem.oh - 1) * problem.stride_h + (problem.kh - 1) * problem.dilation_h + 1;
  padded.iw = (problem.ow - 1) * problem.stride_w + (problem.kw - 1) * problem.dilation_w + 1;
  return padded;
}

void fold_border(const ConvProblem& p, const void* padded, const void* bias, void* input, int threads) {
  if (p.dtype == DType::kFloat32)
    fold(p, static_cast<const float*>(padded), static_cast<const float*>(bias), static_cast<float*>(input), threads);
  else
    fold(p, static_cast<const double*>(padded), static_cast<const double*>(bias), static_cast<double*>(input), threads);
}

}  // namespace convext
