// Depthwise convolution plane by plane (kernels/stencil): every destination plane is a sum of shifted source
// planes. A task owns some rows of a plane; their source rows are copied once into a panel without edges and
// strides, small enough for L1, or read where they lie if no tap reads the padding.
#include "algorithms/correlation.h"
#include "algorithms/depthwise/depthwise.h"
#include "algorithms/panel.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class Planes {
 public:
  Planes(const ConvProblem& p, Isa isa, const Blocks& blocks) : c_(p), blocks_(blocks), kernel_(stencil<T>(isa)) {}

  void plan(Blocks& b) const {
    const Axis h = c_.axis_h(0), w = c_.axis_w(0);
    const int64_t l1 = kL1Bytes / static_cast<int64_t>(sizeof(T));
    b.mr = kernel_.rows, b.nv = kernel_.vectors;
    b.cols = EvenSplit::of_at_most(w.out, l1 / 4).largest();
    b.rows = 1;
    while (b.rows < h.out && PanelShape(h, w, b.rows + 1, b.cols, false).channel_pitch() <= l1) ++b.rows;
    b.rows = EvenSplit::of_at_most(h.out, b.rows).largest();
  }

  Workspace workspace() const { return {0, Scratch(*this, nullptr).bytes}; }

  void run(const Workspace& workspace, const CorrelationOperands<T>& o, const Context& context) const {
    const Axis h = c_.axis_h(0), w = c_.axis_w(0);
    const EvenSplit rows = EvenSplit::of_at_most(h.out, blocks_.rows), cols = EvenSplit::of_at_most(w.out, blocks_.cols);
    // Small planes go several to a task.
    const int64_t blocks = c_.n * c_.g * rows.parts * cols.parts;
    const EvenSplit tasks = EvenSplit::of_at_most(blocks, std::max<int64_t>(1, kPixelsPerTask / (blocks_.rows * blocks_.cols)));
    parallel_for(context.threads, tasks.parts, [&](int64_t task, int thread) {
      const Scratch scratch(*this, context.of_thread(workspace, thread));
      for (int64_t i = tasks.begin(task); i < tasks.begin(task + 1); ++i) {
        const int64_t ci = i % cols.parts, ri = i / cols.parts % rows.parts, plane = i / cols.parts / rows.parts;
        for (int64_t ph = 0; ph < c_.phases_h; ++ph)
          for (int64_t pw = 0; pw < c_.phases_w; ++pw)
            compute(plane, c_.axis_h(ph), c_.axis_w(pw), {rows.begin(ri), rows.length(ri), cols.begin(ci), cols.length(ci)}, o, scratch);
      }
    });
  }

 private:
  static constexpr int64_t kPixelsPerTask = 4096;

  struct Block {
    int64_t r0, rows, c0, cols;
  };

  struct Scratch {
    int64_t* offset;
    T *weight, *panel, *result;
    size_t bytes;
    Scratch(const Planes& s, std::byte* memory) {
      const Correlation& c = s.c_;
      int64_t rows = 0, cols = 0;
      for (int64_t ph = 0; ph < c.phases_h; ++ph) rows = std::max(rows, Strip(c.axis_h(ph), s.blocks_.rows, true).size());
      for (int64_t pw = 0; pw < c.phases_w; ++pw) cols = std::max(cols, Strip(c.axis_w(pw), s.blocks_.cols, true).size());
      ScratchAllocator take(memory);
      offset = take.array<int64_t>(c.taps());
      weight = take.array<T>(c.taps());
      result = take.array<T>(c.phases_w > 1 ? s.blocks_.rows * s.blocks_.cols : 0);
      panel = take.array<T>(rows * cols);
      bytes = take.bytes();
    }
  };

  // The destination channels of one group, for one phase of a block.
  void compute(int64_t plane, const Axis& h, const Axis& w, Block b, const CorrelationOperands<T>& o, const Scratch& s) const {
    b.rows = std::min(b.rows, h.out - b.r0), b.cols = std::min(b.cols, w.out - b.c0);
    if (b.rows <= 0 || b.cols <= 0) return;
    const int64_t g = plane % c_.g;
    const bool in_place = w.stride == 1 && !h.reads_outside() && !w.reads_outside();
    const PanelShape shape(h, w, b.rows, b.cols, false);
    StencilArgs<T> args{};
    args.x_pitch = in_place ? c_.in_w * h.stride : shape.row_pitch();
    args.offset = s.offset, args.weight = s.weight, args.taps = h.taps * w.taps;
    args.rows = b.rows, args.columns = b.cols;
    int64_t* offset = s.offset;
    for (int64_t th = 0; th < h.taps; ++th)
      for (int64_t tw = 0; tw < w.taps; ++tw) *offset++ = in_place ? h.offset(th) * c_.in_w + w.offset(tw) : shape.tap_offset(th, tw);

    for (int64_t m = 0; m < c_.m; ++m) {
      T* destination = o.destination + (plane * c_.m + m) * c_.out_pixels() + (h.out0 + b.r0 * h.out_step) * c_.out_w + w.out0 + b.c0 * w.out_step;
      args.y = w.out_step > 1 ? s.result : destination;
      args.y_pitch = w.out_step > 1 ? b.cols : c_.out_w * h.out_step;
      args.bias = o.bias == nullptr ? T(0) : o.bias[g * c_.m + m];
      for (int64_t k = 0; k < c_.k; ++k) {
        const T* source = o.source + (plane * c_.k + k) * c_.in_pixels();
        if (!in_place && (m == 0 || c_.k > 1)) shape.pack(s.panel, source, c_.in_h, c_.in_w, 1, b.r0, b.c0, c_.padding_mode);
        args.x = in_place ? source + b.r0 * h.stride * c_.in_w + b.c0 : s.panel;
        const T* weight = o.weight + g * c_.weights_per_group() + m * c_.weight_m + k * c_.weight_k;
        T* to = s.weight;
        for (int64_t th = 0; th < h.taps; ++th)
          for (int64_t tw = 0; tw < w.taps; ++tw) *to++ = weight[(h.tap0 + th * h.tap_step) * c_.kernel_w + w.tap0 + tw * w.tap_step];
        args.accumulate = k > 0;
        kernel_.fn(args);
      }
      if (w.out_step > 1)
        for (int64_t r = 0; r < b.rows; ++r) {
          T* row = destination + r * h.out_step * c_.out_w;
          for (int64_t j = 0; j < b.cols; ++j) row[j * w.out_step] = s.result[r * b.cols + j];
        }
    }
  }

  Correlation c_;
  Blocks blocks_;
  const StencilKernel<T>& kernel_;
};

}  // namespace

template <typename T>
Plan plan_planes(const ConvProblem& p, Isa isa) {
  Plan plan;
  Planes<T>(p, isa, {}).plan(plan.blocks);
  plan.workspace = Planes<T>(p, isa, plan.blocks).workspace();
  plan.kernel = {"stencil", p.dtype, plan.blocks.mr, plan.blocks.nv * stencil<T>(isa).lanes, isa};
  return plan;
}

template <typename T>
void run_planes(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  Planes<T>(p, plan.isa, plan.blocks).run(plan.workspace, CorrelationOperands<T>(p, operands), context);
}

template Plan plan_planes<float>(const ConvProblem&, Isa);
template Plan plan_planes<double>(const ConvProblem&, Isa);
template void run_planes<float>(const ConvProblem&, const Plan&, const Operands&, const Context&);
template void run_planes<double>(const ConvProblem&, const Plan&, const Operands&, const Context&);

}  // namespace convext
