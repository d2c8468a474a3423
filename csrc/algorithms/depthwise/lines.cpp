// Depthwise convolution along one axis with stride 1: channels are rows with weights of their own, as many to a call as
// a task has. Output pass and input gradient (kernels/line_stencil) are here, the weight gradient is in
// lines_weight_grad.cpp.
#include "algorithms/correlation.h"
#include "algorithms/depthwise/depthwise.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"

namespace convext {
namespace {

template <typename T>
class LineCorrelation {
 public:
  LineCorrelation(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : c_(p), w_(c_.axis_w(0)), blocks_(blocks), kernel_(line_stencil<T>(isa)) {}

  void plan(Blocks& b) const {
    b.mr = kernel_.rows, b.nv = kernel_.vectors;
    b.cols = EvenSplit::of_at_most(w_.out, kPixelsPerTask).largest();
    b.groups = EvenSplit::of_at_most(c_.g, std::max<int64_t>(1, kPixelsPerTask / b.cols)).largest();
  }

  KernelName kernel() const { return {.shape = "line_stencil", .mr = blocks_.mr, .nr = blocks_.nv * kernel_.lanes}; }
  Workspace workspace() const { return {}; }

  void run(const Workspace&, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(c_.problem(), operands);
    const EvenSplit groups = EvenSplit::of_at_most(c_.g, blocks_.groups),
                    cols = EvenSplit::of_at_most(w_.out, blocks_.cols);
    parallel_for(context.threads, c_.n * groups.parts * cols.parts, TaskOrder::kApart, [&](int64_t task, int) {
      const int64_t ci = take_index(task, cols.parts), gi = take_index(task, groups.parts), n = task,
                    g = groups.begin(gi), first = cols.begin(ci);
      LineStencilArgs<T> args{};
      args.x = o.source + (n * c_.g + g) * c_.in_w;
      args.x_pitch = args.width = c_.in_w;
      args.column = w_.offset0 + first, args.dilation = w_.offset_step, args.taps = w_.taps;
      args.weight_pitch = c_.weights_per_group(), args.weight_step = w_.tap_step;
      args.bias_pitch = c_.m, args.y_pitch = c_.m * c_.out_w;
      args.lines = groups.length(gi), args.columns = cols.length(ci);
      for (int64_t m = 0; m < c_.m; ++m) {
        args.weight = o.weight + g * c_.weights_per_group() + m * c_.weight_m + w_.tap0;
        args.bias = o.bias == nullptr ? nullptr : o.bias + g * c_.m + m;
        args.y = o.destination + (n * c_.g * c_.m + g * c_.m + m) * c_.out_w + first;
        kernel_.fn(args);
      }
    });
  }

 private:
  static constexpr int64_t kPixelsPerTask = 8192;

  Correlation c_;
  Axis w_;
  Blocks blocks_;
  const LineStencilKernel<T>& kernel_;
};

constexpr Method kLineCorrelation = method<LineCorrelation>();

const char* supports(const ConvProblem& p) {
  if (const char* reason = needs_masked_rows(p)) return reason;
  if (p.ih != 1 || p.oh != 1 || p.kh != 1) return "it has two axes";
  if (p.pad_top != 0) return "its row reads padding";
  return p.stride_w != 1 ? "it has a stride" : nullptr;
}

// Channels in the lanes win where lanes would be empty, or most taps would read padding: they meet at half a vector for
// 3 and 7 taps, and at 8 to 40 columns for 31 (AVX-512 and AVX2); in weight gradients, where each line's edges and sums
// count, at 16, 60 to 80, 150 and 300 columns for 3, 7, 15 and 31 taps, AVX2 at 16, 70, 75 and 160 (two threads).
int64_t narrowest(const ConvProblem& p, Isa isa) {
  if (p.pass == Pass::kWeightGrad) return (isa == Isa::kAvx512 ? 8 : 5) * p.kw;
  return std::max(vector_lanes(p.dtype, isa) / 2, p.kw);
}

const char* profitable(const ConvProblem& p, const Policy& policy) {
  if (p.oc_per_group() > 4) return "many output channels a group fill a dense tile";
  const int64_t width = p.pass == Pass::kInputGrad ? p.iw : p.ow;
  return p.g >= 16 && width < narrowest(p, policy.isa) ? "channels fill the lanes better" : nullptr;
}

using Lines = Methods<kLineCorrelation, kLineWeightGrad>;

}  // namespace

extern const Algorithm kDepthwiseLines = {"depthwise_lines", supports, profitable, Lines::plan, Lines::run};

}  // namespace convext
