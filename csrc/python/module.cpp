// convext._C: the functions (torch/python_functions.cpp); planning and running without tensors, for explain() and
// for tests. The operators that the same shared object holds register themselves (torch/operators.cpp).
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "algorithms/choose.h"
#include "python/kernels.h"
#include "torch/compute.h"
#include "torch/python_functions.h"
#include "torch/takeover.h"

namespace py = pybind11;

namespace convext {
namespace {

Policy policy_of(const std::string& isa, const std::string& algorithm) {
  return {isa.empty() ? isa_cap() : parse_isa(isa), float_precision(), algorithm};
}

py::dict plan_of(const std::string& text, const std::string& isa, const std::string& algorithm) {
  const Plan plan = choose(parse_problem(text), policy_of(isa, algorithm));
  const Blocks& b = plan.blocks;
  const std::pair<const char*, int64_t> sizes[] = {{"mr", b.mr},
                                                   {"nv", b.nv},
                                                   {"m", b.m},
                                                   {"k", b.k},
                                                   {"images", b.images},
                                                   {"rows", b.rows},
                                                   {"cols", b.cols},
                                                   {"tiles", b.tiles},
                                                   {"groups", b.groups},
                                                   {"channels", b.channels},
                                                   {"slices", b.slices},
                                                   {"tap_rows", b.tap_rows},
                                                   {"chunks", b.chunks},
                                                   {"packed_weights", b.packed_weights},
                                                   {"arrangement", static_cast<int64_t>(b.arrangement)}};
  py::dict blocks;
  for (const auto& [name, size] : sizes)
    if (size != 0) blocks[name] = size;
  using py::literals::operator""_a;
  return py::dict("algorithm"_a = plan.algorithm->name, "kernel"_a = to_string(plan.kernel),
                  "isa"_a = to_string(plan.isa), "blocks"_a = blocks, "shared_bytes"_a = plan.workspace.shared_bytes,
                  "thread_bytes"_a = plan.workspace.thread_bytes);
}

std::vector<std::pair<std::string, std::optional<std::string>>> reasons_of(const std::string& text,
                                                                           const std::string& isa) {
  std::vector<std::pair<std::string, std::optional<std::string>>> reasons;
  for (const Candidate& c : explain(parse_problem(text), policy_of(isa, "")))
    reasons.emplace_back(c.algorithm->name, c.reason ? std::optional<std::string>(c.reason) : std::nullopt);
  return reasons;
}

// Memory whose last byte lies right before a page that must not be touched, filled with NaNs: what reads
// beyond it crashes, and what reads it before writing shows.
class GuardedMemory {
 public:
  explicit GuardedMemory(size_t bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t usable = (bytes + page - 1) / page * page;
    size_ = usable + page;
    base_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    std::byte* guard = static_cast<std::byte*>(base_) + usable;
    mprotect(guard, page, PROT_NONE);
    std::memset(base_, 0xFF, usable);
    begin_ = guard - bytes;
  }
  ~GuardedMemory() { munmap(base_, size_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;
  std::byte* begin() const { return begin_; }

 private:
  void* base_;
  size_t size_;
  std::byte* begin_;
};

void run_at(const std::string& text, uintptr_t input, uintptr_t weight, uintptr_t bias, uintptr_t output, int threads,
            const std::string& isa, const std::string& algorithm) {
  const py::gil_scoped_release release;
  const ConvProblem problem = parse_problem(text);
  const Plan plan = choose(problem, policy_of(isa, algorithm));
  if (plan.isa > detected_isa())
    throw std::invalid_argument("convext: this machine has no " + std::string(to_string(plan.isa)));
  const GuardedMemory workspace(plan.workspace.total(threads));
  const auto pointer = [](uintptr_t address) { return reinterpret_cast<const void*>(address); };
  run(plan, {pointer(input), pointer(weight), pointer(bias), pointer(output)}, {threads, workspace.begin()});
}

}  // namespace
}  // namespace convext

PYBIND11_MODULE(_C, m) {
  using namespace convext;
  using py::literals::operator""_a;
  add_functions(m.ptr());
  m.def("detected_isa", [] { return to_string(detected_isa()); });
  m.def("isa", [] { return to_string(isa_cap()); });
  m.def("set_isa", [](const std::string& name) { set_isa_cap(parse_isa(name)); }, "name"_a);
  m.def("verbose", &verbose);
  m.def("algorithms", [] {
    std::vector<std::string> names;
    for (const Algorithm* a : all_algorithms()) names.emplace_back(a->name);
    return names;
  });
  m.def("error_factors", [] {
    std::map<std::string, double> factors;
    for (const Algorithm* a : all_algorithms()) factors.emplace(a->name, a->error_factor);
    return factors;
  });
  m.def("float32_precision", [] { return to_string(float_precision()); });
  m.def(
      "set_float32_precision", [](const std::string& name) { set_float_precision(parse_precision(name)); },
      "precision"_a);
  m.def("enable", &enable);
  m.def("disable", &disable);
  m.def("is_enabled", &is_enabled);
  add_kernels(m);
  m.def("plan", &plan_of, "problem"_a, "isa"_a = "", "algorithm"_a = "");
  m.def("explain", &reasons_of, "problem"_a, "isa"_a = "");
  m.def("run", &run_at, "problem"_a, "input"_a, "weight"_a, "bias"_a, "output"_a, "threads"_a = 1, "isa"_a = "",
        "algorithm"_a = "");
}
