// What an algorithm is. Each lives in a file (or a folder) of its name and exports one Algorithm; the
// ordered list of them is in choose.cpp.
//
// supports()   correctness: nullptr, or the reason why this problem cannot be computed
// profitable() policy, measured: nullptr, or the reason why another algorithm should be taken
// plan()       the kernel, the block sizes and the memory; a pure function
// worthwhile() likewise policy, but a judgement of the plan: it is asked last
// run()        computes; allocates nothing and does not throw
//
// Reasons are string literals: asking costs nothing on the way of a call.
#pragma once

#include <string>
#include <string_view>

#include "core/context.h"
#include "core/isa.h"
#include "core/precision.h"
#include "core/problem.h"

namespace convext {

struct Algorithm;
enum class Arrangement : uint8_t;

// How to choose: read once a call from the process-wide settings, or set by a test.
struct Policy {
  Isa isa = Isa::kScalar;
  Precision precision = Precision::kHigh;
  std::string_view algorithm = {};  // if not empty: this one, profitable or not
};

// Which slice of the problem one step computes. An algorithm uses the fields that it needs and leaves
// the others 0.
struct Blocks {
  int mr = 0, nv = 0;                      // register tile: rows, vectors
  int64_t m = 0;                           // rows of the product in one step (output channels, say)
  int64_t k = 0;                           // channels summed in one step
  int64_t images = 0, rows = 0, cols = 0;  // pixels in one step
  int64_t tiles = 0;                       // of pixels, wherever they lie, in one step
  int64_t groups = 0, channels = 0;        // of a depthwise convolution, in one task
  int64_t slices = 0;                      // of lanes, in one task
  int64_t tap_rows = 0;                    // rows of taps in one step
  int64_t chunks = 0;                      // parts of a reduction that are summed apart
  bool packed_weights = false;             // rearranged before the run, or read where they lie
  Arrangement arrangement = {};            // of the panel (algorithms/panel.h)
};

// <shape>_<dtype>_<MR>x<NR>_<isa>: the same in a plan, in the list of kernels, in a test id and in a report.
struct KernelName {
  const char* shape = "";
  DType dtype = DType::kFloat32;
  int mr = 0, nr = 0;
  Isa isa = Isa::kScalar;
};
std::string to_string(const KernelName& name);

// plan() fills in the kernel, the blocks and the workspace; choose() the rest.
struct Plan {
  ConvProblem problem;  // as the algorithm sees it: canonical
  const Algorithm* algorithm = nullptr;
  Isa isa = Isa::kScalar;
  KernelName kernel;
  Blocks blocks;
  Workspace workspace;
};

// The tensors of a problem, dense in the problem's layouts. The pass tells which one is written; a
// weight-gradient pass with a bias writes the bias too. bias is null when the problem has none.
struct Operands {
  const void* input = nullptr;
  const void* weight = nullptr;
  const void* bias = nullptr;
  const void* output = nullptr;

  template <typename T>
  T* written(const void* operand) const {
    return const_cast<T*>(static_cast<const T*>(operand));
  }
};

struct Algorithm {
  std::string_view name;
  const char* (*supports)(const ConvProblem&);
  const char* (*profitable)(const ConvProblem&, const Policy&);
  Plan (*plan)(const ConvProblem&, const Policy&);
  void (*run)(const ConvProblem&, const Plan&, const Operands&, const Context&);
  double error_factor = 1;                           // how many times the error bound of a direct sum it needs
  const char* (*worthwhile)(const Plan&) = nullptr;  // null: every plan is
  // What run() may call: its memory is in the plan too.
  const Algorithm& (*fallback)(const ConvProblem&) = nullptr;
  bool last_resort = false;  // computes whatever nothing else does, slowly
};

}  // namespace convext
