// The CPU kernels of the three operators: from tensors to a ConvProblem, to memory, to an algorithm.
#include "torch/compute.h"

#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/GradMode.h>
#include <sys/mman.h>
#include <torch/library.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>

#include "algorithms/checks.h"
#include "algorithms/choose.h"
#include "algorithms/convert_layout.h"
#include "algorithms/tiling.h"
#include "torch/fold.h"
#include "torch/layout.h"
#include "torch/problem.h"

namespace convext {
namespace {

using at::Tensor;
using c10::IntArrayRef;

void run_verbosely(const ConvProblem& problem, const Plan& plan, const Operands& operands, const Context& context) {
  const auto start = std::chrono::steady_clock::now();
  run(plan, operands, context);
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  std::fprintf(stderr, "convext: %s | %.*s %s | %d threads | %.3f ms\n", to_string(problem).c_str(),
               static_cast<int>(plan.algorithm->name.size()), plan.algorithm->name.data(),
               to_string(plan.kernel).c_str(), context.threads, time.count());
}

int threads() { return at::in_parallel_region() ? 1 : at::get_num_threads(); }

// Memory that comes fresh from the system costs a page fault for every 4 KiB, as much as computing what it holds.
// Blocks of more than 32 MiB are always fresh, smaller ones until malloc has learnt to keep them; they ask for pages of
// 2 MiB.
void advise_huge_pages(const void* data, size_t bytes) {
  constexpr size_t kLarge = 4 << 20, kHugePage = 2 << 20;
  if (bytes < kLarge) return;
  const uintptr_t address = reinterpret_cast<uintptr_t>(data);
  const uintptr_t begin = (address + kHugePage - 1) / kHugePage * kHugePage;
  madvise(reinterpret_cast<void*>(begin), (address + bytes - begin) / kHugePage * kHugePage, MADV_HUGEPAGE);
}

void compute_dense(const ConvProblem& problem, const Plan& plan, const Operands& operands) {
  Context context{.threads = threads_for(plan, threads())};
  const size_t bytes = plan.workspace.total(context.threads);
  c10::DataPtr workspace;  // torch aligns to 64 bytes
  if (bytes != 0) workspace = c10::GetCPUAllocator()->allocate(bytes);
  advise_huge_pages(workspace.get(), bytes);
  context.workspace = static_cast<std::byte*>(workspace.get());
  if (verbose())
    run_verbosely(problem, plan, operands, context);
  else
    run(plan, operands, context);
}

// The tensors of a problem. A bias is optional; what the pass computes is written.
struct Tensors {
  Tensor input, weight, bias, output;

  Tensor& result(Pass pass) { return pass == Pass::kOutput ? output : pass == Pass::kInputGrad ? input : weight; }

  Operands operands() const {
    const auto data = [](const Tensor& t) { return t.defined() ? t.const_data_ptr() : nullptr; };
    return {data(input), data(weight), data(bias), data(output)};
  }
};

// A result that is recorded for a backward pass lives so long that the next step's takes pages that lay idle. Those of
// 2 MiB are the ones that a host takes back from a virtual machine: 4 ms each to get again, against 0.3 ms if they were
// just freed, and 0.9 ms for 512 small pages.
Tensor new_tensor(IntArrayRef sizes, const Tensor& like, bool channels_last = false) {
  return empty_result(sizes, channels_last, [&](IntArrayRef size, at::MemoryFormat format) -> Tensor {
    const Tensor made = at::detail::empty_cpu(size, like.scalar_type(), /*pin_memory=*/false, format);
    if (!c10::GradMode::is_enabled()) advise_huge_pages(made.const_data_ptr(), made.nbytes());
    return made;
  });
}

// The gradient of an input that padding repeats.
void compute_folded(const ConvProblem& problem, const Tensors& t, const Policy& policy) {
  const ConvProblem padded = padded_problem(problem);
  const Tensor gradient = new_tensor({padded.input_count()}, t.weight);
  Operands operands = t.operands();
  operands.input = gradient.const_data_ptr();
  operands.bias = nullptr;
  compute_dense(padded, choose(padded, policy), operands);
  const Operands whole = t.operands();
  fold_border(problem, gradient.const_data_ptr(), whole.bias, t.input.mutable_data_ptr(), threads());
}

// Nothing to sum: the result is its bias, or zero.
void fill(Pass pass, Tensors& t) {
  Tensor& result = t.result(pass);
  result.zero_();
  if (!t.bias.defined()) return;
  if (pass == Pass::kWeightGrad)
    t.bias.copy_(t.output.flatten(2).sum({0, 2}));
  else
    result.add_(t.bias.view(result.dim() == 3 ? IntArrayRef{-1, 1} : IntArrayRef{-1, 1, 1}));
}

// From one layout to the other by transposes, 2 to 6 times as fast as at::copy_.
void copy(const Tensor& from, const Tensor& to, DType dtype, Isa isa) {
  constexpr auto kFirst = at::MemoryFormat::Contiguous, kLast = at::MemoryFormat::ChannelsLast;
  const auto converts = [&](at::MemoryFormat a, at::MemoryFormat b) {
    return from.dim() == 4 && from.is_contiguous(a) && to.is_contiguous(b);
  };
  const bool to_last = converts(kFirst, kLast);
  if (!to_last && !converts(kLast, kFirst)) {
    to.copy_(from);
    return;
  }
  convert_layout(dtype, {from.size(0), from.size(1), from.size(2) * from.size(3)}, from.const_data_ptr(),
                 to.mutable_data_ptr(), to_last ? Layout::kChannelsLast : Layout::kChannelsFirst, isa, threads());
}

void compute(const ConvProblem& problem, Tensors t, const Policy& policy);

// Images that are not contiguous by copies that are: of so few at a time that they stay in the cache, and need no
// memory fresh from the system. Weight gradients of parts are added up, if they are much smaller than what they are
// summed from.
void compute_by_copies(ConvProblem problem, const Tensors& given, const Policy& policy) {
  constexpr int64_t kCopyBytes = 4 << 20;
  const Isa isa = policy.isa;
  const bool sums = problem.pass == Pass::kWeightGrad;
  const int64_t image = static_cast<int64_t>(given.input.nbytes() + given.output.nbytes()) / problem.n;
  const bool at_once = sums && static_cast<int64_t>(given.weight.nbytes()) > image / 16;
  const EvenSplit parts =
      at_once ? EvenSplit{problem.n, 1} : EvenSplit::of_at_most(problem.n, std::max<int64_t>(1, kCopyBytes / image));
  const auto contiguous = [](const Tensor& like, int64_t first_size) {
    auto sizes = like.sizes().vec();
    sizes[0] = first_size;
    return new_tensor(sizes, like);
  };
  const Tensor input = contiguous(given.input, parts.largest()), output = contiguous(given.output, parts.largest()),
               weight = contiguous(given.weight, given.weight.size(0));
  if (!sums) copy(given.weight, weight, problem.dtype, isa);
  for (int64_t i = 0; i < parts.parts; ++i) {
    const auto of_all = [&](const Tensor& all) { return all.narrow(0, parts.begin(i), parts.length(i)); };
    const auto of_buffer = [&](const Tensor& buffer) { return buffer.narrow(0, 0, parts.length(i)); };
    Tensors part{of_buffer(input), weight, given.bias, of_buffer(output)};
    if (problem.pass != Pass::kInputGrad) copy(of_all(given.input), part.input, problem.dtype, isa);
    if (problem.pass != Pass::kOutput) copy(of_all(given.output), part.output, problem.dtype, isa);
    if (sums && i > 0) {
      part.weight = at::empty_like(weight);
      if (given.bias.defined()) part.bias = at::empty_like(given.bias);
    }
    problem.n = parts.length(i);
    compute(problem, part, policy);
    if (problem.pass == Pass::kOutput) copy(part.output, of_all(given.output), problem.dtype, isa);
    if (problem.pass == Pass::kInputGrad) copy(part.input, of_all(given.input), problem.dtype, isa);
    if (sums && i > 0) {
      weight.add_(part.weight);
      if (given.bias.defined()) given.bias.add_(part.bias);
    }
  }
  if (sums) copy(weight, given.weight, problem.dtype, isa);
}

// In the layout that choose_layout() says: operands of another are copied, and so is a result in the end.
void compute(const ConvProblem& given, Tensors t, const Policy& policy) {
  if (t.input.numel() == 0 || t.weight.numel() == 0 || t.output.numel() == 0) return fill(given.pass, t);
  const int64_t numbers = channels_last_numbers(t.input) + channels_last_numbers(t.output);
  const auto [problem, plan, last] = choose_layout(given, numbers, policy);
  if (!last && numbers > 0) return compute_by_copies(problem, t, policy);
  const auto format = last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  Tensor& buffer = t.result(problem.pass);
  const Tensor result = buffer;
  for (Tensor* tensor : {&t.input, &t.weight, &t.output}) {
    if (tensor->is_contiguous(format)) continue;
    const Tensor as_given = *tensor;
    *tensor = new_tensor(as_given.sizes(), as_given, last);
    if (!as_given.is_same(result)) copy(as_given, *tensor, problem.dtype, policy.isa);
  }
  if (t.bias.defined()) t.bias = t.bias.contiguous();
  if (!last && folds_border(problem))
    compute_folded(problem, t, policy);
  else
    compute_dense(problem, plan, t.operands());
  if (!buffer.is_same(result)) copy(buffer, result, problem.dtype, policy.isa);
}

void check_tensors(const Tensor& a, const Tensor& b) {
  TORCH_CHECK(a.scalar_type() == b.scalar_type(), "convext: expected tensors of one dtype, got ", a.scalar_type(),
              " and ", b.scalar_type());
}

void check_bias(const Tensor& bias, const Tensor& like, int64_t channels) {
  check_tensors(bias, like);
  TORCH_CHECK(bias.dim() == 1 && bias.size(0) == channels, "convext: expected a bias of ", channels,
              " elements, got one of size ", bias.sizes());
}

Tensor conv_output(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                   IntArrayRef output_size, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation,
                   int64_t groups, std::string_view padding_mode, bool channels_last) {
  check_tensors(input, weight);
  const bool biased = bias.has_value() && bias->defined();
  const auto sizes = sizes_of(input.size(0), weight.size(0), output_size);
  const ConvProblem problem = make_problem({Pass::kOutput, input.scalar_type(), biased, input.sizes(), weight.sizes(),
                                            sizes, stride, padding, dilation, groups, padding_mode});
  if (biased) check_bias(*bias, input, sizes[1]);
  const Tensor output = new_tensor(sizes, input, channels_last);
  compute(problem, {input, weight, biased ? *bias : Tensor(), output}, current_policy());
  return output;
}

Tensor conv_input_grad(const Tensor& output, const Tensor& weight, const std::optional<Tensor>& bias,
                       IntArrayRef input_size, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation,
                       int64_t groups, std::string_view padding_mode, bool channels_last) {
  check_tensors(output, weight);
  const bool biased = bias.has_value() && bias->defined();
  const auto sizes = sizes_of(output.size(0), weight.size(1) * groups, input_size);
  const ConvProblem problem = make_problem({Pass::kInputGrad, output.scalar_type(), biased, sizes, weight.sizes(),
                                            output.sizes(), stride, padding, dilation, groups, padding_mode});
  if (biased) check_bias(*bias, output, sizes[1]);
  const Tensor input = new_tensor(sizes, output, channels_last);
  compute(problem, {input, weight, biased ? *bias : Tensor(), output}, current_policy());
  return input;
}

std::tuple<Tensor, Tensor> conv_weight_grad(const Tensor& output, const Tensor& input, IntArrayRef kernel_size,
                                            IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation,
                                            int64_t groups, std::string_view padding_mode, bool bias,
                                            bool channels_last) {
  check_tensors(output, input);
  TORCH_CHECK(groups > 0, "convext: groups must be positive");
  const auto sizes = sizes_of(output.size(1), input.size(1) / groups, kernel_size);
  const ConvProblem problem = make_problem({Pass::kWeightGrad, output.scalar_type(), bias, input.sizes(), sizes,
                                            output.sizes(), stride, padding, dilation, groups, padding_mode});
  const Tensor weight_grad = new_tensor(sizes, output, channels_last);
  const Tensor bias_grad = new_tensor({bias ? sizes[0] : 0}, output);
  compute(problem, {input, weight_grad, bias ? bias_grad : Tensor(), output}, current_policy());
  return {weight_grad, bias_grad};
}

TORCH_LIBRARY_IMPL(convext, CPU, m) {
  m.impl("conv_output", &conv_output);
  m.impl("conv_input_grad", &conv_input_grad);
  m.impl("conv_weight_grad", &conv_weight_grad);
}

}  // namespace

bool verbose() {
  static const bool value = [] {
    const char* text = std::getenv("CONVEXT_VERBOSE");
    const std::string_view word = text == nullptr ? "" : text;
    if (!word.empty() && word != "0" && word != "1")
      throw std::invalid_argument("convext: CONVEXT_VERBOSE must be 0 or 1, not '" + std::string(word) + "'");
    return word == "1";
  }();
  return value;
}

Policy current_policy() { return {.isa = isa_cap(), .precision = float_precision()}; }

int64_t channels_last_numbers(const Tensor& image) {
  const bool first = image.is_contiguous(),
             last = image.dim() == 4 && image.is_contiguous(at::MemoryFormat::ChannelsLast);
  return first == last ? 0 : last ? image.numel() : -image.numel();
}

LayoutChoice choose_layout(const ConvProblem& problem, int64_t numbers, const Policy& policy) {
  const LayoutChoice contiguous{problem, choose(problem, policy), false};
  if (numbers <= 0) return contiguous;
  ConvProblem last = problem;
  // Pixels that nothing moves are images of one pixel, in either layout. Inner products of their channels serve few
  // output channels.
  const ConvProblem row = canonical(problem);
  constexpr int64_t kFewOutputs = 4;
  if (moves_nothing(row) && row.pass == Pass::kOutput && row.g == 1 && row.oc <= kFewOutputs) {
    last = row;
    last.n *= row.iw, last.iw = last.ow = 1;
    return {last, choose(last, policy), true};
  }
  last.input_layout = last.weight_layout = last.output_layout = Layout::kChannelsLast;
  const Plan plan = choose(last, policy);
  // A transform that cannot read channels last saves more than converting the images costs.
  const Algorithm& other = *contiguous.plan.algorithm;
  const bool transforms = other.error_factor > 1 && other.supports(last) != nullptr;
  if (plan.algorithm->last_resort || transforms) return contiguous;
  return {last, plan, true};
}

}  // namespace convext
