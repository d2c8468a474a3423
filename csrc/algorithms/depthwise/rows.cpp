// Depthwise convolution with stride 1 or 2, and its input gradient, by kernels/stencil_rows: several rows of a plane
// stay in registers and share what is read of the source, where it lies.
#include "algorithms/correlation.h"
#include "algorithms/depthwise/depthwise.h"
#include "algorithms/read_ahead.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class SharedRows {
 public:
  SharedRows(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : c_(p),
        stride_(p.pass == Pass::kOutput ? p.stride_w : 1),
        spread_(p.pass == Pass::kOutput ? 1 : p.stride_w),
        h_(spread_ == 1 ? c_.axis_h(0) : spread_axis(p.ih, p.kh, p.pad_top)),
        w_(spread_ == 1 ? c_.axis_w(0) : spread_axis(p.iw, p.kw, p.pad_left)),
        blocks_(blocks),
        kernel_(stencil_rows<T>(isa)),
        rows_apart_(h_.taps > 1 ? h_.offset_step : 1),
        ahead_(c_.taps() <= kFewTaps && from_memory<T>(p) ? kReadAhead : 0) {}

  void plan(Blocks& b) const {
    b.mr = kernel_.rows, b.nv = kernel_.vectors;
    b.cols = w_.out;
    b.rows = EvenSplit::of_at_most(h_.out, std::max<int64_t>(b.mr * b.nv, kPixelsPerTask / w_.out)).largest();
  }

  KernelName kernel() const { return {.shape = "stencil_rows", .mr = blocks_.mr, .nr = blocks_.nv * kernel_.lanes}; }
  Workspace workspace() const { return {0, Scratch(*this, nullptr).bytes}; }

  void run(const Workspace& workspace, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(c_.problem(), operands);
    const EvenSplit rows = EvenSplit::of_at_most(h_.out, blocks_.rows);
    const EvenSplit planes = EvenSplit::of_at_most(
        c_.n * c_.g, std::max<int64_t>(1, kPixelsPerTask / (blocks_.rows * blocks_.cols)));  // of a task
    parallel_for(context.threads, planes.parts * rows.parts, TaskOrder::kApart, [&](int64_t task, int thread) {
      const Scratch s(*this, context.of_thread(workspace, thread));
      for (int64_t t = 0; t < w_.taps; ++t) s.column[t] = w_.offset(t);
      const int64_t r0 = rows.begin(task % rows.parts), count = rows.length(task % rows.parts);
      const int64_t pi = task / rows.parts;
      for (int64_t i = 0; i < std::min(rows_apart_, count); ++i) {
        const int64_t groups = list_row_taps(r0 + i, s.row_taps);
        for (int64_t plane = planes.begin(pi); plane < planes.begin(pi + 1); ++plane)
          for (int64_t m = 0; m < c_.m; ++m) sum_taps(plane, m, r0 + i, ceil_div(count - i, rows_apart_), groups, o, s);
      }
    });
  }

 private:
  static constexpr int64_t kPixelsPerTask = 8192;
  static constexpr int64_t kFewTaps = 25;  // wait for memory; 7x7 x0.9 to x0.94 if they ask for it

  struct Scratch {
    int64_t* column;
    StencilRowTaps* row_taps;
    size_t bytes;
    Scratch(const SharedRows& s, std::byte* memory) {
      ScratchAllocator take(memory);
      column = take.array<int64_t>(s.w_.taps);
      row_taps = take.array<StencilRowTaps>(s.h_.taps);
      bytes = take.bytes();
    }
  };

  // All phases of an input gradient as one: the source's numbers lie as far apart as its stride, with zeros between.
  static Axis spread_axis(int64_t out, int64_t taps, int64_t pad) {
    return {.out = out, .offset0 = pad - (taps - 1), .taps = taps, .tap0 = taps - 1, .tap_step = -1};
  }

  // The kernel takes the rows of a spread source's destination in pairs: 1 if row r is the second of its pair.
  int64_t rows_above(int64_t r) const { return spread_ == 1 ? 0 : (r + h_.offset0 + 1) & 1; }

  // For row r and those rows_apart_ below each other from there on; returns the groups.
  int64_t list_row_taps(int64_t r, StencilRowTaps* row_taps) const {
    if (h_.taps == 0) return 0;
    int64_t groups = 0;
    const int64_t at_once = stride_ == 1 ? kernel_.row_taps : kernel_.strided_row_taps;
    EvenSplit::of_at_most(ceil_div(h_.taps, spread_), at_once / spread_).each([&](int64_t i, int64_t count) {
      const int64_t tap = i * spread_, row = floor_div(r * stride_ + h_.offset(tap) + spread_ - 1, spread_);
      row_taps[groups++] = {row * c_.in_w, (h_.tap0 + tap * h_.tap_step) * c_.kernel_w,
                            std::min(count * spread_, h_.taps - tap), ceil_div(-row, rows_apart_),
                            ceil_div(c_.in_h - row, rows_apart_)};
    });
    return groups;
  }

  // Rows r, r + rows_apart_, ... of destination channel m of a plane's group.
  void sum_taps(int64_t plane, int64_t m, int64_t r, int64_t rows, int64_t groups, const CorrelationOperands<T>& o,
                const Scratch& s) const {
    const int64_t g = plane % c_.g;
    StencilRowsArgs<T> args{};
    args.x = o.source + plane * c_.in_pixels();
    args.x_pitch = rows_apart_ * c_.in_w, args.width = c_.in_w;
    args.spread = spread_, args.stride = stride_;
    args.row_taps = s.row_taps, args.groups = groups;
    args.column = s.column, args.taps = w_.taps;
    args.weight = o.weight + g * c_.weights_per_group() + m * c_.weight_m + w_.tap0;
    args.weight_h = h_.tap_step * c_.kernel_w, args.weight_w = w_.tap_step;
    args.y = o.destination + (plane * c_.m + m) * c_.out_pixels() + r * c_.out_w;
    args.y_pitch = rows_apart_ * c_.out_w;
    args.rows = rows, args.columns = w_.out, args.above = rows_above(r);
    args.bias = o.bias == nullptr ? T(0) : o.bias[g * c_.m + m];
    args.streams = streams_past_caches(c_.problem(), o.destination, c_.out_w);
    args.ahead = groups > 0 ? ahead_ : 0;
    kernel_.fn(args);
  }

  Correlation c_;
  int64_t stride_;  // of rows and columns that the destination reads
  int64_t spread_;  // of the source's numbers in the destination
  Axis h_, w_;
  Blocks blocks_;
  const StencilRowsKernel<T>& kernel_;
  int64_t rows_apart_;  // that share what they read: as far apart as rows of taps
  int64_t ahead_;       // what comes from memory is asked for
};

constexpr Method kSharedRows = method<SharedRows>();

const char* supports(const ConvProblem& p) {
  if (p.pass == Pass::kWeightGrad) return "it is a weight gradient";
  if (const char* reason = needs_masked_rows(p)) return reason;
  // Of stride 2 the kernel sums all phases of an input gradient at once, and all columns of taps in pairs.
  return (p.stride_h != 1 || p.stride_w != 1) && !strides_by_two(p) ? "it has a stride" : nullptr;
}

// Channels in the lanes leave none of them idle, but are transposed. The two meet where so much of a row's vectors is
// filled: planes of 7 to 128, 3 x 3 to 7 x 7 taps (and 9 to 31), two threads. (Rows that one vector of AVX-512 holds,
// on a Zen 4, whose transposes are faster: at 10, 13 and 14 numbers; input gradients of stride 2 likewise, whose planes
// of 7 to 59 columns meet at 0.5, between 0.56 and 0.75, and at 0.85.)
double filled_lanes_wanted(const ConvProblem& p, Isa isa) {
  const double taps = static_cast<double>(p.taps());
  if (p.stride_w == 2 && p.pass == Pass::kInputGrad) return std::min(0.40 + taps / 110, 0.8);
  if (isa != Isa::kAvx512) return 0.65 + taps / 180;
  const bool one_vector = p.stride_w == 1 && p.iw <= vector_lanes(p.dtype, isa);
  return one_vector ? std::min(0.55 + taps / 100, 0.87) : std::min(0.55 + taps / 200, 0.85);
}

const char* profitable(const ConvProblem& p, const Policy& policy) {
  if (p.oc_per_group() > 4) return "many output channels a group fill a dense tile";
  if (p.kh < 2 || p.oh < 2) return "too few rows share what they read";
  // 16 registers hold too few sums of four phases, or weights of two columns of taps, to pay for a tile's set-up: AVX2
  // is at 0.6 to 1.2 of `depthwise`, its forward pass at 0.65 to 1.35.
  if (p.stride_w == 2 && policy.isa != Isa::kAvx512) return "a stride takes more registers";
  const int64_t width = p.pass == Pass::kOutput ? p.ow : ceil_div(p.iw, p.stride_w);
  const double filled =
      static_cast<double>(width) / static_cast<double>(round_up(width, vector_lanes(p.dtype, policy.isa)));
  return p.g >= 16 && filled < filled_lanes_wanted(p, policy.isa) ? "channels fill the lanes better" : nullptr;
}

using Only = OneMethod<kSharedRows>;

}  // namespace

extern const Algorithm kDepthwiseRows = {"depthwise_rows", supports, profitable, Only::plan, Only::run};

}  // namespace convext
