// Weight gradient of depthwise convolution along one axis with stride 1 (kernels/line_stencil_grad): as many channels
// to a call as a task has. The pixels of a block of images stay in L1 while all taps pass over them. Chunks of blocks
// are summed apart and added in their order; they follow from the problem alone.
#include <algorithm>

#include "algorithms/axis.h"
#include "algorithms/chunks.h"
#include "algorithms/depthwise/depthwise.h"
#include "algorithms/pixel_blocks.h"
#include "core/parallel.h"

namespace convext {
namespace {

template <typename T>
class LineWeightGrad {
 public:
  LineWeightGrad(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : p_(p),
        blocks_(blocks),
        kernel_(line_stencil_grad<T>(isa)),
        rows_(rows<T>(isa)),
        w_(output_axis(p.padding_mode, p.ow, p.iw, p.kw, p.stride_w, p.dilation_w, p.pad_left)) {}

  void plan(Blocks& b) const {
    const int64_t l1 = kL1Bytes / static_cast<int64_t>(sizeof(T));
    b.mr = 2, b.nv = kernel_.taps;
    b.rows = 1, b.cols = EvenSplit::of_at_most(p_.ow, l1 / 4).largest();
    b.images = EvenSplit::of_at_most(p_.n, std::clamp<int64_t>(l1 / (2 * b.cols), 1, kImages)).largest();
    b.groups = EvenSplit::of_at_most(p_.g, std::max<int64_t>(1, kPixelsPerTask / (p_.n * p_.ow))).largest();
    b.chunks = chunk_count(ceil_div(p_.g, b.groups), p_.weight_count() * static_cast<int64_t>(sizeof(T)),
                           PixelBlocks(p_, b).count());
  }

  KernelName kernel() const { return {.shape = "line_stencil_grad", .mr = blocks_.mr, .nr = blocks_.nv}; }
  Workspace workspace() const { return {chunk_sums(nullptr, nullptr).bytes, 0}; }

  void run(const Workspace&, const Operands& o, const Context& context) const {
    const PixelBlocks blocks(p_, blocks_);
    const EvenSplit chunks{blocks.count(), blocks_.chunks}, groups = EvenSplit::of_at_most(p_.g, blocks_.groups);
    const ChunkSums<T> sums = chunk_sums(context.shared(), o.written<T>(o.weight));
    parallel_for(context.threads, groups.parts * chunks.parts, TaskOrder::kApart, [&](int64_t task, int) {
      const int64_t chunk = task % chunks.parts, gi = task / chunks.parts, g = groups.begin(gi);
      T* weight = sums.of(chunk);
      double* bias = p_.bias ? sums.bias_of(chunk) : nullptr;
      const int64_t m = p_.oc_per_group(), first = g * m, last = groups.begin(gi + 1) * m;
      std::fill(weight + first * p_.kw, weight + last * p_.kw, T(0));
      if (bias != nullptr) std::fill(bias + first, bias + last, 0.0);
      for (int64_t i = chunks.begin(chunk); i < chunks.begin(chunk + 1); ++i) {
        const PixelBlock px = blocks[i];
        for (int64_t oc = first; oc < first + m; ++oc) add_block(px, g, groups.length(gi), oc, o, weight);
        if (bias == nullptr) continue;
        for (int64_t oc = first; oc < last; ++oc)
          bias[oc] += rows_.sum(output(px.n0, oc, px, o), px.cols, px.images, p_.oc * p_.ow);
      }
    });
    add_chunks(sums.first, sums.others, sums.count, chunks.parts, sums.count);
    if (p_.bias) add_bias_chunks(o.written<T>(o.bias), sums.bias, chunks.parts, p_.oc);
  }

 private:
  static constexpr int64_t kImages = 4;  // whose lines share L1, even if they lie a whole number of pages apart
  static constexpr int64_t kPixelsPerTask = 16384;

  ChunkSums<T> chunk_sums(std::byte* memory, T* weight) const {
    return {memory, blocks_.chunks, p_.weight_count(), p_.bias ? p_.oc : 0, true, weight};
  }

  const T* output(int64_t n, int64_t oc, const PixelBlock& px, const Operands& o) const {
    return static_cast<const T*>(o.output) + (n * p_.oc + oc) * p_.ow + px.c0;
  }

  // `count` groups from g on, in each the output channel that oc is in the first.
  void add_block(const PixelBlock& px, int64_t g, int64_t count, int64_t oc, const Operands& o, T* weight) const {
    LineStencilGradArgs<T> args{};
    args.x = static_cast<const T*>(o.input) + (px.n0 * p_.ic + g) * p_.iw;
    args.x_image = p_.ic * p_.iw, args.x_pitch = args.width = p_.iw;
    args.column = w_.offset0 + px.c0, args.dilation = w_.offset_step, args.taps = w_.taps;
    args.y = output(px.n0, oc, px, o), args.y_image = p_.oc * p_.ow, args.y_pitch = p_.oc_per_group() * p_.ow;
    args.images = px.images, args.lines = count, args.columns = px.cols;
    args.sum = weight + oc * p_.kw + w_.tap0, args.sum_pitch = p_.oc_per_group() * p_.kw;
    kernel_.fn(args);
  }

  const ConvProblem& p_;
  Blocks blocks_;
  const LineStencilGradKernel<T>& kernel_;
  const RowKernels<T>& rows_;
  Axis w_;  // without the taps that read only padding: their gradient is zero
};

}  // namespace

extern constexpr Method kLineWeightGrad = method<LineWeightGrad>();

}  // namespace convext
