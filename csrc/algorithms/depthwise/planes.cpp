// Depthwise convolution plane by plane (kernels/stencil): every destination plane is a sum of shifted source planes. A
// task owns some rows of a plane. Their source rows are read where they lie, with masks at the edges; those of steps
// above 2, or whose edges are not zeros, are copied once into a panel that is small enough for L1.
#include "algorithms/correlation.h"
#include "algorithms/depthwise/depthwise.h"
#include "algorithms/panel.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class PlaneCorrelation {
 public:
  PlaneCorrelation(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : c_(p), blocks_(blocks), kernel_(stencil<T>(isa)), rows_(rows<T>(isa)) {
    zipped_ = c_.phases_w == 2 && c_.k == 1 && in_place(c_.axis_w(0)) && in_place(c_.axis_w(1));
  }

  void plan(Blocks& b) const {
    const Axis h = c_.axis_h(0), w = c_.axis_w(0);
    const int64_t l1 = kL1Bytes / static_cast<int64_t>(sizeof(T));
    b.mr = kernel_.rows, b.nv = kernel_.vectors;
    b.cols = EvenSplit::of_at_most(w.out, l1 / 4).largest();
    b.rows = 1;
    while (b.rows < h.out && PanelShape<T>(h, w, b.rows + 1, b.cols, Arrangement::kShifts).channel_pitch() <= l1)
      ++b.rows;
    b.rows = EvenSplit::of_at_most(h.out, b.rows).largest();
  }

  KernelName kernel() const { return {.shape = "stencil", .mr = blocks_.mr, .nr = blocks_.nv * kernel_.lanes}; }
  Workspace workspace() const { return {0, Scratch(*this, nullptr).bytes}; }

  void run(const Workspace& workspace, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(c_.problem(), operands);
    const Axis h = c_.axis_h(0), w = c_.axis_w(0);
    const EvenSplit rows = EvenSplit::of_at_most(h.out, blocks_.rows),
                    cols = EvenSplit::of_at_most(w.out, blocks_.cols);
    // Small planes go several to a task, which finds out once what they have in common.
    const EvenSplit planes =
        EvenSplit::of_at_most(c_.n * c_.g, std::max<int64_t>(1, kPixelsPerTask / (blocks_.rows * blocks_.cols)));
    const int64_t tasks = planes.parts * rows.parts * cols.parts;
    parallel_for(context.threads, tasks, TaskOrder::kApart, [&](int64_t task, int thread) {
      const Scratch s(*this, context.of_thread(workspace, thread));
      const int64_t ci = take_index(task, cols.parts), ri = take_index(task, rows.parts), pi = task;
      int64_t* taps = s.taps;
      RowRun* runs = s.runs;
      for (int64_t ph = 0; ph < c_.phases_h; ++ph)
        for (int64_t pw = 0; pw < c_.phases_w; ++pw) {
          const Phase phase(*this, ph, pw, {rows.begin(ri), rows.length(ri), cols.begin(ci), cols.length(ci)}, taps,
                            runs);
          s.phases[ph * c_.phases_w + pw] = phase;
          taps += 2 * phase.h.taps * phase.w.taps;
          runs += phase.runs;
        }
      for (int64_t plane = planes.begin(pi); plane < planes.begin(pi + 1); ++plane)
        for (int64_t m = 0; m < c_.m; ++m)
          for (int64_t ph = 0; ph < c_.phases_h; ++ph) compute(plane, m, s.phases + ph * c_.phases_w, o, s);
    });
  }

 private:
  static constexpr int64_t kPixelsPerTask = 8192;

  // Rows that are read where they lie, without a panel.
  bool in_place(const Axis& w) const {
    return c_.padding_mode == PaddingMode::kZeros && w.stride <= 2 &&
           std::max({w.in, w.out, std::abs(w.offset0), std::abs(w.offset(w.taps))}) < kMaskColumns;
  }

  struct Block {
    int64_t r0, rows, c0, cols;
  };

  // Rows [row, row + rows) of a block: taps [first, last) along h read rows of the image.
  struct RowRun {
    int64_t row, rows, first, last;
  };

  // What the planes of a task have in common, for one phase of the destination.
  struct Phase {
    Axis h, w;
    Block block;
    PanelShape<T> shape;
    bool in_place;
    int64_t* offset;  // of the taps, in the panel or in the plane
    int64_t* column;  // in place: of the taps, in the plane
    RowRun* run;
    int64_t runs;

    Phase(const PlaneCorrelation& s, int64_t phase_h, int64_t phase_w, const Block& b, int64_t* taps, RowRun* row_runs)
        : h(s.c_.axis_h(phase_h)),
          w(s.c_.axis_w(phase_w)),
          block{b.r0, std::min(b.rows, h.out - b.r0), b.c0, std::min(b.cols, w.out - b.c0)},
          shape(h, w, block.rows, block.cols, Arrangement::kShifts),
          in_place(s.in_place(w)),
          offset(taps),
          column(taps + h.taps * w.taps),
          run(row_runs),
          runs(0) {
      for (int64_t th = 0, t = 0; th < h.taps; ++th)
        for (int64_t tw = 0; tw < w.taps; ++tw, ++t) {
          offset[t] = in_place ? h.offset(th) * s.c_.in_w + w.offset(tw) : shape.tap_offset(th, tw);
          column[t] = block.c0 * w.stride + w.offset(tw);
        }
      if (!in_place && !empty()) run[runs++] = {0, block.rows, 0, h.taps};
      if (!in_place) return;
      for (int64_t r = 0; r < block.rows; ++r) {
        const int64_t row = (block.r0 + r) * h.stride;
        int64_t first = 0, last = h.taps;
        while (first < last && row + h.offset(first) < 0) ++first;
        while (first < last && row + h.offset(last - 1) >= h.in) --last;
        if (runs > 0 && run[runs - 1].first == first && run[runs - 1].last == last)
          ++run[runs - 1].rows;
        else
          run[runs++] = {r, 1, first, last};
      }
    }
    bool empty() const { return block.rows <= 0 || block.cols <= 0; }
  };

  struct Scratch {
    Phase* phases;
    int64_t* taps;
    RowRun* runs;
    T *weight, *panel, *result;
    size_t bytes;
    Scratch(const PlaneCorrelation& s, std::byte* memory) {
      const Correlation& c = s.c_;
      int64_t plane = 0;
      for (int64_t ph = 0; ph < c.phases_h; ++ph)
        for (int64_t pw = 0; pw < c.phases_w; ++pw) {
          const PanelShape<T> shape(c.axis_h(ph), c.axis_w(pw), s.blocks_.rows, s.blocks_.cols, Arrangement::kShifts);
          plane = std::max(plane, shape.channel_pitch());
        }
      ScratchAllocator take(memory);
      phases = take.array<Phase>(c.phases_h * c.phases_w);
      taps = take.array<int64_t>(2 * c.taps());
      runs = take.array<RowRun>(c.phases_h * c.phases_w * s.blocks_.rows);
      weight = take.array<T>(c.taps());
      result = take.array<T>(c.phases_w > 1 && !s.zipped_ ? c.phases_w * s.blocks_.rows * s.blocks_.cols : 0);
      panel = take.array<T>(plane);
      bytes = take.bytes();
    }
  };

  // Destination channel m of a plane's group, in the rows of one phase and the columns of all.
  void compute(int64_t plane, int64_t m, const Phase* phases, const CorrelationOperands<T>& o, const Scratch& s) const {
    const Phase& first = phases[0];
    if (first.empty()) return;
    const int64_t columns = std::min(first.block.cols * c_.phases_w, c_.out_w - first.block.c0 * c_.phases_w);
    const int64_t row_step = first.h.out_step * c_.out_w;
    T* destination = o.destination + (plane * c_.m + m) * c_.out_pixels() +
                     (first.h.out0 + first.block.r0 * first.h.out_step) * c_.out_w + first.block.c0 * c_.phases_w;
    if (c_.phases_w == 1 || zipped_) {
      sum_taps(plane, m, phases, c_.phases_w, {destination, row_step, columns}, o, s);
      return;
    }
    for (int64_t pw = 0; pw < c_.phases_w; ++pw)
      if (const Phase& p = phases[pw]; !p.empty())
        sum_taps(plane, m, &p, 1, {s.result + pw * blocks_.rows * blocks_.cols, blocks_.cols, p.block.cols}, o, s);
    rows_.interleave({destination, row_step, s.result, blocks_.cols, blocks_.rows * blocks_.cols, first.block.rows,
                      c_.phases_w, columns});
  }

  struct Rows {
    T* begin;
    int64_t pitch, columns;
  };

  // `count` phases whose columns alternate in y.
  void sum_taps(int64_t plane, int64_t m, const Phase* phases, int64_t count, const Rows& y,
                const CorrelationOperands<T>& o, const Scratch& s) const {
    const Phase& p = phases[0];
    const int64_t g = plane % c_.g;
    StencilArgs<T> args{};
    args.x_pitch = p.in_place ? c_.in_w * p.h.stride : p.shape.row_pitch();
    args.x_step = p.in_place ? p.w.stride : 1;
    args.width = c_.in_w, args.y_pitch = y.pitch, args.y_step = count, args.columns = y.columns;
    args.bias = o.bias == nullptr ? T(0) : o.bias[g * c_.m + m];
    for (int64_t k = 0; k < c_.k; ++k) {
      const T* source = o.source + (plane * c_.k + k) * c_.in_pixels();
      const bool packed =
          m > 0 && c_.k == 1 && c_.phases_h * c_.phases_w == 1;  // the last channel's panel still serves
      if (!p.in_place && !packed)
        p.shape.pack(s.panel, source, c_.in_h, c_.in_w, 1, p.block.r0, p.block.c0, c_.padding_mode, rows_);
      const T* x = p.in_place ? source + p.block.r0 * p.h.stride * c_.in_w + p.block.c0 * p.w.stride : s.panel;
      const T* weight = o.weight + g * c_.weights_per_group() + m * c_.weight_m + k * c_.weight_k;
      T* to = s.weight;
      for (const Phase* q = phases; q < phases + count; ++q)
        for (int64_t th = 0; th < q->h.taps; ++th)
          for (int64_t tw = 0; tw < q->w.taps; ++tw)
            *to++ = weight[(q->h.tap0 + th * q->h.tap_step) * c_.kernel_w + q->w.tap0 + tw * q->w.tap_step];
      args.accumulate = k > 0;
      for (const RowRun* run = p.run; run < p.run + p.runs; ++run) {
        const T* phase_weight = s.weight;
        for (int64_t i = 0; i < count; ++i) {
          const Phase& q = phases[i];
          const int64_t tap = run->first * q.w.taps;
          args.taps[i] = {q.offset + tap, q.in_place ? q.column + tap : nullptr, phase_weight + tap,
                          (run->last - run->first) * q.w.taps};
          phase_weight += q.h.taps * q.w.taps;
        }
        args.x = x + run->row * args.x_pitch, args.y = y.begin + run->row * y.pitch, args.rows = run->rows;
        kernel_.fn(args);
      }
    }
  }

  Correlation c_;
  Blocks blocks_;
  const StencilKernel<T>& kernel_;
  const RowKernels<T>& rows_;
  bool zipped_;  // the kernel writes both column phases of a destination row
};

}  // namespace

extern constexpr Method kPlaneCorrelation = method<PlaneCorrelation>();

}  // namespace convext
