// Output pass and input gradient with channels in the lanes. A task owns a block of pixels of some images
// and lane groups. For each image the source pixels of a lane group go to a panel, all phases of the
// destination are summed from it, and the result is transposed back (or was written in place, if the
// channels lie side by side).
#include <utility>

#include "algorithms/channel_panel.h"
#include "algorithms/correlation.h"
#include "algorithms/depthwise/channels.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"

namespace convext {
namespace {

template <typename T>
class ChannelCorrelation {
 public:
  ChannelCorrelation(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : c_(p),
        isa_(isa),
        layout_(p.output_layout),
        blocks_(blocks),
        kernels_(channel_stencil<T>(isa)),
        transposes_(transposes<T>(isa)),
        groups_{p.g, kernels_.lanes},
        h_(c_.all_phases_h()),
        w_(c_.all_phases_w()) {}

  void plan(Blocks& b) const {
    const int64_t phases = c_.phases_h * c_.phases_w, in_turn = groups_in_turn();
    const auto fits = [&](int64_t rows, int64_t cols) {
      const int64_t panel =
          ChannelPanel<T>::vectors(h_, w_, rows, cols) * kernels_.lanes * static_cast<int64_t>(sizeof(T));
      return panel <= kL2Bytes / 2 && panel * in_turn <= 2 * kL2Bytes;
    };
    b.cols = w_.out;
    while (b.cols > kernels_.max_run && !fits(1, b.cols)) b.cols = ceil_div(b.cols, 2);
    b.rows = h_.out;
    while (b.rows > 1 && !fits(b.rows, b.cols)) b.rows = ceil_div(b.rows, 2);
    b.mr = static_cast<int>(EvenSplit::of_at_most(b.cols, kernels_.max_run).largest()), b.nv = 1;
    const int64_t pixels = b.rows * b.cols * phases;
    const int64_t images = in_turn > 1 ? 1 : kVectorsPerTask / pixels;
    b.images = EvenSplit::of_at_most(c_.n, std::max<int64_t>(1, images)).largest();
    b.channels =
        EvenSplit::of_at_most(groups_.count(), std::max(in_turn, kVectorsPerTask / (pixels * b.images))).largest() *
        kernels_.lanes;
  }

  KernelName kernel() const { return {.shape = "channel_stencil", .mr = blocks_.mr, .nr = kernels_.lanes}; }

  Workspace workspace() const { return {0, Scratch(*this, nullptr).bytes}; }

  void run(const Workspace& workspace, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(c_.problem(), operands);
    const EvenSplit rows = EvenSplit::of_at_most(h_.out, blocks_.rows),
                    cols = EvenSplit::of_at_most(w_.out, blocks_.cols),
                    images = EvenSplit::of_at_most(c_.n, blocks_.images),
                    groups = EvenSplit::of_at_most(groups_.count(), blocks_.channels / groups_.lanes);
    const int64_t tasks = rows.parts * cols.parts * images.parts * groups.parts;
    parallel_for(context.threads, tasks, TaskOrder::kApart, [&](int64_t task, int thread) {
      const int64_t ni = take_index(task, images.parts), gi = take_index(task, groups.parts),
                    ci = take_index(task, cols.parts), ri = task;
      Scratch s(*this, context.of_thread(workspace, thread));
      const Block block{rows.begin(ri), rows.length(ri), cols.begin(ci), cols.length(ci)};
      prepare(block, s);
      for (int64_t group = groups.begin(gi); group < groups.begin(gi + 1); ++group) {
        load_weights(group, o, s);
        for (int64_t n = images.begin(ni); n < images.begin(ni + 1); ++n) compute(block, n, group, o, s);
      }
    });
  }

 private:
  static constexpr int64_t kResultVectors = 128;

  // Lane groups that take turns on a block of pixels. Channels last, each is a cache line of a pixel, and its
  // neighbours should be read while their lines and pages are near: a block of all of them stays in L2. (3x3, 144
  // channels at 56x56: 0.69 to 0.54 ms; 5x5, 1344 at 17x17: 0.79 to 0.62 ms.)
  int64_t groups_in_turn() const {
    return layout_ == Layout::kChannelsLast ? std::min<int64_t>(groups_.count(), 8) : 1;
  }

  // Rows and columns of a phase of the destination.
  struct Block {
    int64_t r0, rows, c0, cols;
  };

  struct Phase {
    Axis h, w;
    int64_t rows, cols;
    RunRange* row_runs;
    const TapRun* runs;
    const T* weight;
  };

  struct Scratch {
    ScratchAllocator take;
    ChannelPanel<T> panel;
    Phase* phases;
    RunRange* row_runs;
    TapRun* runs;
    int64_t* weight_place;
    T *weight, *bias, *result;
    size_t bytes;
    Scratch(const ChannelCorrelation& s, std::byte* memory)
        : take(memory),
          panel(s.h_, s.w_, s.c_.in_h, s.c_.in_w, s.c_.padding_mode, s.isa_, s.blocks_.rows, s.blocks_.cols, take) {
      const int64_t count = s.c_.phases_h * s.c_.phases_w, taps = s.c_.taps(), lanes = s.kernels_.lanes;
      phases = take.array<Phase>(count);
      row_runs = take.array<RunRange>(count * s.blocks_.rows);
      runs = take.array<TapRun>(taps);
      weight_place = take.array<int64_t>(taps);
      weight = take.array<T>((taps + 1) * lanes);
      bias = take.array<T>(lanes);
      result = take.array<T>(s.result_rows() * s.blocks_.cols * count * lanes);
      bytes = take.bytes();
    }
  };

  // What the lane groups and images of a task have in common.
  void prepare(const Block& block, Scratch& s) const {
    const int64_t lanes = kernels_.lanes, taps = c_.taps();
    s.panel.prepare(block.r0, block.rows, block.c0, block.cols);
    std::fill_n(s.weight, (taps + 1) * lanes, T(0));
    std::fill_n(s.weight_place, taps, taps * lanes);  // of the taps that read only padding
    int64_t taps_before = 0;
    TapRun* runs = s.runs;
    for (int64_t ph = 0; ph < c_.phases_h; ++ph)
      for (int64_t pw = 0; pw < c_.phases_w; ++pw) {
        const int64_t i = ph * c_.phases_w + pw;
        Phase& p = s.phases[i];
        p = {c_.axis_h(ph), c_.axis_w(pw), 0, 0, s.row_runs + i * blocks_.rows, runs, s.weight + taps_before * lanes};
        p.rows = std::min(block.rows, p.h.out - block.r0), p.cols = std::min(block.cols, p.w.out - block.c0);
        const int64_t runs_of_row = prepare_runs(p, runs, taps_before * lanes, s);
        for (int64_t r = 0; r < p.rows; ++r) {
          const auto [first, last] = tap_rows(p, block.r0 + r);
          p.row_runs[r] = {first * runs_of_row, last * runs_of_row, first * p.w.taps};
        }
        runs += p.h.taps * runs_of_row;
        taps_before += p.h.taps * p.w.taps;
      }
  }

  // Orders the taps of a phase into runs, and their weights alike, from `place` on; returns the runs of a row.
  int64_t prepare_runs(const Phase& p, TapRun* run, int64_t place, const Scratch& s) const {
    const auto offset = [&](int64_t th, int64_t tw) {
      return s.panel.tap_offset((p.h.offset(th) - h_.offset0) / h_.offset_step,
                                (p.w.offset(tw) - w_.offset0) / w_.offset_step);
    };
    if (p.h.taps * p.w.taps == 0) return 0;
    int64_t apart = 1;  // taps so far apart are neighbours in the panel, if any are
    while (apart < p.w.taps && offset(0, apart) != offset(0, 0) + kernels_.lanes) ++apart;
    const TapRun* begin = run;
    for (int64_t th = 0; th < p.h.taps; ++th)
      for (int64_t first = 0; first < std::min(apart, p.w.taps); ++first) {
        const EvenSplit split = EvenSplit::of_at_most(ceil_div(p.w.taps - first, apart), kTapRunMax);
        int64_t tw = first;
        for (int64_t i = 0; i < split.parts; ++i) {
          *run++ = {offset(th, tw), split.length(i)};
          for (int64_t t = 0; t < split.length(i); ++t, tw += apart, place += kernels_.lanes)
            s.weight_place[(p.h.tap0 + th * p.h.tap_step) * c_.kernel_w + p.w.tap0 + tw * p.w.tap_step] = place;
        }
      }
    return (run - begin) / p.h.taps;
  }

  // Without those that read a row of zeros.
  std::pair<int64_t, int64_t> tap_rows(const Phase& p, int64_t r) const {
    int64_t first = 0, last = p.h.taps;
    if (c_.padding_mode == PaddingMode::kZeros) {
      while (first < last && r * p.h.stride + p.h.offset(first) < 0) ++first;
      while (first < last && r * p.h.stride + p.h.offset(last - 1) >= c_.in_h) --last;
    }
    return {first, last};
  }

  void load_weights(int64_t group, const CorrelationOperands<T>& o, const Scratch& s) const {
    const int64_t c = groups_.begin(group), channels = groups_.length(group);
    transposes_.scatter(o.weight + c * c_.taps(), c_.taps(), channels, c_.taps(), s.weight, s.weight_place);
    std::fill_n(s.bias, kernels_.lanes, T(0));
    if (o.bias != nullptr) std::copy_n(o.bias + c, channels, s.bias);
  }

  void compute(const Block& block, int64_t n, int64_t group, const CorrelationOperands<T>& o, const Scratch& s) const {
    const int64_t c = groups_.begin(group), channels = groups_.length(group), lanes = kernels_.lanes;
    s.panel.fill(ChannelView<const T>(o.source, layout_, c_.g, c_.in_pixels()), n, c, channels);
    const ChannelView<T> destination(o.destination, layout_, c_.g, c_.out_pixels());
    const int64_t step_h = s.phases[0].h.out_step, step_w = s.phases[0].w.out_step;
    const int64_t c0 = block.c0 * step_w, cols = std::min(block.cols * step_w, c_.out_w - c0);
    const bool in_place = destination.channel == 1;
    const EvenSplit steps = EvenSplit::of_at_most(block.rows, in_place ? block.rows : result_rows());
    for (int64_t i = 0; i < steps.parts; ++i) {
      const int64_t r0 = (block.r0 + steps.begin(i)) * step_h, rows = std::min(steps.length(i) * step_h, c_.out_h - r0);
      T* place = destination.at(n, c, r0 * c_.out_w + c0);
      for (int64_t phase = 0; phase < c_.phases_h * c_.phases_w; ++phase)
        if (in_place)
          sum_taps(s.phases[phase], steps.begin(i), steps.length(i), place, c_.out_w * destination.pixel,
                   destination.pixel, channels, s);
        else
          sum_taps(s.phases[phase], steps.begin(i), steps.length(i), s.result, cols * lanes, lanes, lanes, s);
      if (in_place) continue;
      if (cols == c_.out_w)
        transposes_.block(s.result, lanes, rows * cols, channels, place, destination.channel);
      else
        for (int64_t r = 0; r < rows; ++r)
          transposes_.block(s.result + r * cols * lanes, lanes, cols, channels, place + r * c_.out_w,
                            destination.channel);
    }
  }

  // Rows of each phase that are transposed at once: few, so that their stores overlap with the next sums.
  int64_t result_rows() const {
    const int64_t row = blocks_.cols * c_.phases_h * c_.phases_w;
    return std::min(blocks_.rows, std::max<int64_t>(kResultVectors / row, 4));
  }

  // The rows [r0, r0 + rows) of a phase's block; pitch and step are those of the destination's pixels, from y on.
  void sum_taps(const Phase& p, int64_t r0, int64_t rows, T* y, int64_t pitch, int64_t step, int64_t channels,
                const Scratch& s) const {
    ChannelStencilArgs<T> args{};
    args.rows = std::min(rows, p.rows - r0);
    if (args.rows <= 0 || p.cols <= 0) return;
    args.x_pitch = s.panel.pitch();
    args.runs = p.runs, args.row_runs = p.row_runs + r0, args.weight = p.weight, args.bias = s.bias;
    args.y_pitch = p.h.out_step * pitch, args.y_step = p.w.out_step * step;
    args.channels = channels;
    const EvenSplit runs = EvenSplit::of_at_most(p.cols, blocks_.mr);
    for (int64_t i = 0; i < runs.parts; ++i) {
      args.x = s.panel.data() + r0 * args.x_pitch + runs.begin(i) * kernels_.lanes;
      args.y = y + p.h.out0 * pitch + (p.w.out0 + runs.begin(i) * p.w.out_step) * step;
      kernels_.correlate[runs.length(i) - 1](args);
    }
  }

  Correlation c_;
  Isa isa_;
  Layout layout_;
  Blocks blocks_;
  const ChannelStencilKernels<T>& kernels_;
  const TransposeKernels<T>& transposes_;
  LaneGroups groups_;
  Axis h_, w_;
};

}  // namespace

extern constexpr Method kChannelCorrelation = method<ChannelCorrelation>();

}  // namespace convext
