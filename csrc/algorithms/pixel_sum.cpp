// gradient[oc][(ic, kh, kw)]  =  sum over pixels  output[oc][pixel] * input[ic][pixel moved by the tap]
//
// with the pixels of a row in the lanes: rows of the output are read where they lie, rows of the input likewise if one
// tap moves nothing, else from a panel without edges and strides. The tile's sums stay in registers over the rows of a
// block of images. Chunks of blocks are summed apart and added in their order; they follow from the problem alone.
#include "algorithms/pixel_sum.h"

#include <algorithm>

#include "algorithms/checks.h"
#include "algorithms/chunks.h"
#include "algorithms/panel.h"
#include "algorithms/pixel_blocks.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class PixelSum {
 public:
  PixelSum(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : p_(p),
        blocks_(blocks),
        tiles_(inner_product<T>(isa)),
        row_kernels_(convext::rows<T>(isa)),
        icg_(p.ic_per_group()),
        ocg_(p.oc_per_group()),
        h_(output_axis(PaddingMode::kReplicate, p.oh, p.ih, p.kh, p.stride_h, p.dilation_h, p.pad_top)),
        w_(output_axis(PaddingMode::kReplicate, p.ow, p.iw, p.kw, p.stride_w, p.dilation_w, p.pad_left)) {}

  void plan(Blocks& b) const {
    b.mr = static_cast<int>(EvenSplit::of_at_most(ocg_, kInnerProductMaxMr).largest());
    b.nv = static_cast<int>(EvenSplit::of_at_most(icg_ * p_.taps(), tiles_.max_nr[b.mr - 1]).largest());

    // A copy for each tap along w does away with the masked vectors at the ends of short rows, if L1 has room for the
    // rows of a kernel: else each row would be copied again for all blocks that read it.
    const int64_t l1 = kL1Bytes / static_cast<int64_t>(sizeof(T)), l2 = kL2Bytes / 2 / static_cast<int64_t>(sizeof(T));
    const double lanes = tiles_.lanes, row = static_cast<double>(p_.ow),
                 steps = static_cast<double>(p_.taps() * ocg_) / lanes;
    const double idle = static_cast<double>(ceil_div(p_.ow, tiles_.lanes)) * lanes / row - 1;
    const int64_t copies =
        PanelShape<T>(h_, w_, std::min(p_.oh, ceil_div(p_.kh, p_.stride_h)), p_.ow, Arrangement::kColumnTaps)
            .channel_pitch();
    const bool flat = p_.oh > 1 && idle * steps > kCopyCycles * static_cast<double>(p_.kw - 1) && copies <= l1;
    const bool in_place = moves_nothing(p_);
    b.arrangement = in_place ? Arrangement::kInPlace : flat ? Arrangement::kColumnTaps : Arrangement::kShifts;

    // The rows of one input channel stay in L1, with those of the output; a panel of b.k channels in L2. With AVX-512,
    // whose vectors have the most numbers to add up at the end of a tile, rows are added beyond L1 up to 24 KiB of the
    // output's.
    const auto plane = [&](int64_t rows, int64_t cols) {
      return rows * cols + (in_place ? cols : PanelShape<T>(h_, w_, rows, cols, b.arrangement).channel_pitch());
    };
    const int64_t beyond = tiles_.lanes * sizeof(T) == 64 ? l1 * 3 / (4 * kInnerProductMaxMr) : 0;
    const auto fits = [&](int64_t rows) { return plane(rows, b.cols) <= (rows * b.cols <= beyond ? l2 : l1); };
    b.cols = flat ? p_.ow : EvenSplit::of_at_most(p_.ow, std::max<int64_t>(4 * tiles_.lanes, l1 / 4)).largest();
    // A block of part of a row has one row, so that its pixels adjoin.
    b.rows = 1;
    while (b.cols == p_.ow && b.rows < p_.oh && fits(b.rows + 1)) ++b.rows;
    b.rows = EvenSplit::of_at_most(p_.oh, b.rows).largest();
    const int64_t pixels = plane(b.rows, b.cols);
    const auto set_images = [&](int64_t most) {
      b.images = EvenSplit::of_at_most(p_.n, std::max<int64_t>(1, most)).largest();
      b.k = EvenSplit::of_at_most(icg_, std::max<int64_t>(1, l2 / (b.images * pixels))).largest();
    };
    set_images(b.rows < p_.oh || b.cols < p_.ow ? 1 : l1 / pixels);
    // All images in one block would be one task.
    const int64_t wanted = worthwhile_tasks(p_.flops(), kBusyTasks);
    const int64_t images =
        std::max(ceil_div(p_.n * p_.g * ceil_div(icg_, b.k), wanted), kMinPixels / (b.rows * b.cols));
    if (images < b.images) set_images(images);

    const int64_t apart = p_.g * ceil_div(icg_, b.k);
    b.chunks = chunk_count(apart, static_cast<int64_t>(sizeof(T)) * p_.weight_count(), PixelBlocks(p_, b).count());
  }

  KernelName kernel() const { return {.shape = "inner_product", .mr = blocks_.mr, .nr = blocks_.nv}; }

  Workspace workspace() const { return {chunk_sums(nullptr, nullptr).bytes, Scratch(*this, nullptr).bytes}; }

  void run(const Workspace& workspace, const Operands& o, const Context& context) const {
    const PixelBlocks blocks(p_, blocks_);
    const EvenSplit ic = EvenSplit::of_at_most(icg_, blocks_.k), chunks{blocks.count(), blocks_.chunks};
    // Small groups go several to a task, which finds out once what their blocks have in common.
    const EvenSplit groups =
        EvenSplit::of_at_most(p_.g, std::max<int64_t>(1, kPixelsPerTask / (p_.n * p_.output_pixels() * ocg_)));
    const ChunkSums<T> sums = chunk_sums(context.shared(), o.written<T>(o.weight));
    std::fill_n(sums.bias, chunks.parts * sums.biases, 0.0);
    const int64_t tasks = groups.parts * ic.parts * chunks.parts;
    parallel_for(context.threads, tasks, TaskOrder::kApart, [&](int64_t task, int thread) {
      const Scratch s(*this, context.of_thread(workspace, thread));
      const int64_t chunk = take_index(task, chunks.parts), ii = take_index(task, ic.parts), gi = task;
      for (int64_t i = 0; i < chunks.length(chunk); ++i) {
        const PixelBlock px = blocks[chunks.begin(chunk) + i];
        const Lines lines = prepare(px, ic.length(ii), s);
        for (int64_t g = groups.begin(gi); g < groups.begin(gi + 1); ++g)
          add_block(px, lines, g, ic.begin(ii), ic.length(ii), i > 0, o, s, sums.of(chunk),
                    p_.bias ? sums.bias_of(chunk) : nullptr);
      }
    });
    add_chunks(sums.first, sums.others, sums.count, chunks.parts, sums.count);
    if (p_.bias) add_bias_chunks(o.written<T>(o.bias), sums.bias, chunks.parts, p_.oc);
  }

 private:
  static constexpr double kCopyCycles = 0.3;
  static constexpr int64_t kPixelsPerTask = 16384;
  static constexpr int64_t kMinPixels = 512;  // of a block: a tile's sums cost as much as some 100

  struct Scratch {
    int64_t *a_segments, *b_segments, *b_offset;
    T* panel;
    size_t bytes;
    Scratch(const PixelSum& s, std::byte* memory) {
      const Blocks& b = s.blocks_;
      ScratchAllocator take(memory);
      const int64_t segments = b.images * s.shape(b.rows, b.cols).lines();
      a_segments = take.array<int64_t>(segments);
      b_segments = take.array<int64_t>(segments);
      b_offset = take.array<int64_t>(b.k * s.p_.taps());
      panel = take.array<T>(s.in_place() ? 0 : b.images * b.k * s.shape(b.rows, b.cols).channel_pitch());
      bytes = take.bytes();
    }
  };

  ChunkSums<T> chunk_sums(std::byte* memory, T* weight) const {
    return {memory, blocks_.chunks, p_.weight_count(), p_.bias ? p_.oc : 0, true, weight};
  }

  // Of all groups, for one block of pixels.
  struct Lines {
    PanelShape<T> panel;
    int64_t segments, length, columns;
  };

  bool in_place() const { return blocks_.arrangement == Arrangement::kInPlace; }

  PanelShape<T> shape(int64_t rows, int64_t cols) const {
    return PanelShape<T>(h_, w_, rows, cols, blocks_.arrangement);
  }

  Lines prepare(const PixelBlock& px, int64_t channels, const Scratch& s) const {
    Lines g{shape(px.rows, px.cols), 0, 0, 0};
    g.length = g.panel.line_length();
    const int64_t image = in_place() ? p_.ic * p_.input_pixels() : channels * g.panel.channel_pitch();
    for (int64_t i = 0; i < px.images; ++i)
      for (int64_t r = 0; r < g.panel.lines(); ++r, ++g.segments) {
        s.a_segments[g.segments] = i * p_.oc * p_.output_pixels() + r * p_.ow;
        s.b_segments[g.segments] = i * image + r * g.panel.row_pitch();
      }
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t kh = 0; kh < p_.kh; ++kh)
        for (int64_t kw = 0; kw < p_.kw; ++kw)
          s.b_offset[g.columns++] = c * g.panel.channel_pitch() + g.panel.tap_offset(kh, kw);
    return g;
  }

  void add_block(const PixelBlock& px, const Lines& lines, int64_t g, int64_t ic0, int64_t channels, bool accumulate,
                 const Operands& o, const Scratch& s, T* weight, double* bias) const {
    const T* input = static_cast<const T*>(o.input) + (px.n0 * p_.ic + g * icg_ + ic0) * p_.input_pixels();
    for (int64_t i = 0; i < px.images && !in_place(); ++i)
      lines.panel.pack(s.panel + i * channels * lines.panel.channel_pitch(), input + i * p_.ic * p_.input_pixels(),
                       p_.ih, p_.iw, channels, px.r0, px.c0, p_.padding_mode, row_kernels_);
    const T* rows = in_place() ? input + px.c0 : s.panel;
    const T* output =
        static_cast<const T*>(o.output) + (px.n0 * p_.oc + g * ocg_) * p_.output_pixels() + px.r0 * p_.ow + px.c0;
    InnerProductArgs<T> args{};
    const T* a[kInnerProductMaxMr];
    const T* b[kInnerProductMaxNr];
    args.a = a, args.b = b, args.a_segments = s.a_segments;
    args.segments = lines.segments, args.length = lines.length, args.accumulate = accumulate;
    args.c_row = icg_ * p_.taps(), args.c_column = 1;
    const EvenSplit m = EvenSplit::of_at_most(ocg_, blocks_.mr), n = EvenSplit::of_at_most(lines.columns, blocks_.nv);
    for (int64_t mi = 0; mi < m.parts; ++mi) {
      const int64_t mr = m.length(mi);
      for (int64_t r = 0; r < mr; ++r) a[r] = output + (m.begin(mi) + r) * p_.output_pixels();
      T* filter = weight + (g * ocg_ + m.begin(mi)) * args.c_row + ic0 * p_.taps();
      args.b_segments = s.b_segments;
      for (int64_t ni = 0; ni < n.parts; ++ni) {
        for (int64_t j = 0; j < n.length(ni); ++j) b[j] = rows + s.b_offset[n.begin(ni) + j];
        args.c = filter + n.begin(ni);
        tiles_.fn[mr - 1][n.length(ni) - 1](args);
      }
    }
    if (bias == nullptr || ic0 > 0) return;
    for (int64_t oc = 0; oc < ocg_; ++oc)
      bias[g * ocg_ + oc] +=
          row_kernels_.sum(output + oc * p_.output_pixels(), px.rows * px.cols, px.images, p_.oc * p_.output_pixels());
  }

  const ConvProblem& p_;
  Blocks blocks_;
  const InnerProductTiles<T>& tiles_;
  const RowKernels<T>& row_kernels_;
  int64_t icg_, ocg_;
  Axis h_, w_;
};

}  // namespace

extern constexpr Method kPixelSum = method<PixelSum>();

}  // namespace convext
