// Weight gradient of depthwise convolution plane by plane (kernels/stencil_grad): every tap's gradient is a sum over
// the pixels of an output plane and an input plane, both read where they lie. The pixels of a block of images stay in
// L1 while all tiles of taps pass over them. Chunks of blocks are summed apart and added in their order; they follow
// from the problem alone.
#include <algorithm>

#include "algorithms/axis.h"
#include "algorithms/chunks.h"
#include "algorithms/depthwise/depthwise.h"
#include "algorithms/pixel_blocks.h"
#include "algorithms/read_ahead.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class PlaneWeightGrad {
 public:
  PlaneWeightGrad(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : p_(p),
        blocks_(blocks),
        tiles_(stencil_grad<T>(isa)),
        rows_(rows<T>(isa)),
        h_(output_axis(p.padding_mode, p.oh, p.ih, p.kh, p.stride_h, p.dilation_h, p.pad_top)),
        w_(output_axis(p.padding_mode, p.ow, p.iw, p.kw, p.stride_w, p.dilation_w, p.pad_left)) {
    // What comes from memory is asked for: blocks of images come back to each with the next channel.
    constexpr int64_t kCacheBytes = 32 << 20;
    if (blocks_.images > 1 && from_memory<T>(p_, kCacheBytes))
      x_ahead_ = p_.input_pixels(), y_ahead_ = p_.output_pixels();
    else if (blocks_.images == 1 && from_memory<T>(p_))
      x_ahead_ = y_ahead_ = kReadAhead;
  }

  void plan(Blocks& b) const {
    choose_tile(b);
    const int64_t l1 = kL1Bytes / static_cast<int64_t>(sizeof(T));
    const auto numbers = [&](int64_t rows, int64_t cols) {
      return std::min(p_.ih, rows * p_.stride_h) * std::min(p_.iw, cols * p_.stride_w) + rows * cols;
    };
    b.cols = EvenSplit::of_at_most(p_.ow, l1 / 4).largest();
    b.rows = b.cols < p_.ow ? 1 : EvenSplit::of_at_most(p_.oh, std::max<int64_t>(1, l1 / numbers(1, b.cols))).largest();
    b.images = b.rows < p_.oh || b.cols < p_.ow
                   ? 1
                   : EvenSplit::of_at_most(p_.n, std::max<int64_t>(1, l1 / numbers(b.rows, b.cols))).largest();
    b.chunks = chunk_count(p_.g, p_.weight_count() * static_cast<int64_t>(sizeof(T)), PixelBlocks(p_, b).count());
  }

  KernelName kernel() const { return {.shape = "stencil_grad", .mr = blocks_.mr, .nr = blocks_.nv}; }
  Workspace workspace() const { return {chunk_sums(nullptr, nullptr).bytes, 0}; }

  void run(const Workspace&, const Operands& o, const Context& context) const {
    // Small channels go several to a task.
    const PixelBlocks blocks(p_, blocks_);
    const EvenSplit chunks{blocks.count(), blocks_.chunks},
        groups = EvenSplit::of_at_most(p_.g, std::max<int64_t>(1, kPixelsPerTask / (p_.n * p_.output_pixels())));
    const ChunkSums<T> sums = chunk_sums(context.shared(), o.written<T>(o.weight));
    parallel_for(context.threads, groups.parts * chunks.parts, TaskOrder::kApart, [&](int64_t task, int) {
      const int64_t chunk = task % chunks.parts, gi = task / chunks.parts;
      for (int64_t oc = groups.begin(gi) * p_.oc_per_group(); oc < groups.begin(gi + 1) * p_.oc_per_group(); ++oc) {
        T* weight = sums.of(chunk) + oc * p_.taps();
        std::fill_n(weight, p_.taps(), T(0));
        double bias = 0;
        for (int64_t i = chunks.begin(chunk); i < chunks.begin(chunk + 1); ++i) {
          const PixelBlock px = blocks[i];
          add_block(px, oc, o, weight);
          if (p_.bias) bias += sum_output(px, oc, o);
        }
        if (p_.bias) sums.bias_of(chunk)[oc] = bias;
      }
    });
    add_chunks(sums.first, sums.others, sums.count, chunks.parts, sums.count);
    if (p_.bias) add_bias_chunks(o.written<T>(o.bias), sums.bias, chunks.parts, p_.oc);
  }

 private:
  static constexpr int64_t kPixelsPerTask = 16384;

  ChunkSums<T> chunk_sums(std::byte* memory, T* weight) const {
    return {memory, blocks_.chunks, p_.weight_count(), p_.bias ? p_.oc : 0, true, weight};
  }

  // The tile with the least work: two FMA a cycle, and a load, most of which cross a cache line.
  void choose_tile(Blocks& b) const {
    const int64_t rows = p_.stride_h == p_.dilation_h && p_.stride_w == 1 ? kStencilGradRows : 1;
    double best = 0;
    for (int64_t kh = 1; kh <= kStencilGradMaxKh; ++kh) {
      if (tiles_.max_kw[kh - 1] == 0) continue;
      const EvenSplit h = EvenSplit::of_at_most(p_.kh, kh), w = EvenSplit::of_at_most(p_.kw, tiles_.max_kw[kh - 1]);
      const int64_t r = kh == 1 ? 1 : rows, loads = (r + h.largest() - 1) * w.largest() + r,
                    fma = r * h.largest() * w.largest();
      const double cycles = static_cast<double>(h.parts * w.parts * std::max(loads, fma / 2)) / static_cast<double>(r);
      if (best != 0 && cycles >= best) continue;
      best = cycles;
      b.mr = static_cast<int>(h.largest()), b.nv = static_cast<int>(w.largest());
    }
  }

  void add_block(const PixelBlock& px, int64_t oc, const Operands& o, T* weight) const {
    StencilGradArgs<T> args{};
    args.x = static_cast<const T*>(o.input) + (px.n0 * p_.ic + oc / p_.oc_per_group()) * p_.input_pixels();
    args.x_image = p_.ic * p_.input_pixels(), args.height = p_.ih, args.width = p_.iw;
    args.y = output(px, oc, o), args.y_image = p_.oc * p_.output_pixels(), args.y_pitch = p_.ow;
    args.images = px.images, args.rows = px.rows, args.columns = px.cols;
    args.step_h = p_.stride_h, args.step_w = p_.stride_w;
    args.dilation_h = p_.dilation_h, args.dilation_w = p_.dilation_w;
    args.sum_pitch = p_.kw;
    args.x_ahead = x_ahead_, args.y_ahead = y_ahead_;
    const EvenSplit h = EvenSplit::of_at_most(h_.taps, blocks_.mr), w = EvenSplit::of_at_most(w_.taps, blocks_.nv);
    if (h_.taps == 0 || w_.taps == 0) return;
    h.each([&](int64_t kh, int64_t tap_rows) {
      args.row = px.r0 * p_.stride_h + h_.offset(kh);
      w.each([&](int64_t kw, int64_t tap_columns) {
        args.column = px.c0 * p_.stride_w + w_.offset(kw);
        args.sum = weight + (h_.tap0 + kh) * p_.kw + w_.tap0 + kw;
        tiles_.fn[tap_rows - 1][tap_columns - 1](args);
      });
    });
  }

  double sum_output(const PixelBlock& px, int64_t oc, const Operands& o) const {
    return rows_.sum(output(px, oc, o), px.rows * px.cols, px.images, p_.oc * p_.output_pixels());
  }

  const T* output(const PixelBlock& px, int64_t oc, const Operands& o) const {
    return static_cast<const T*>(o.output) + (px.n0 * p_.oc + oc) * p_.output_pixels() + px.r0 * p_.ow + px.c0;
  }

  const ConvProblem& p_;
  Blocks blocks_;
  const StencilGradTiles<T>& tiles_;
  const RowKernels<T>& rows_;
  Axis h_, w_;  // without the taps that read only padding: their gradient is zero
  int64_t x_ahead_ = 0, y_ahead_ = 0;
};

}  // namespace

bool shares_rows(const ConvProblem& p) {
  return reads_planes_in_place(p) && p.kh > 1 && p.stride_w == 1 && p.stride_h == p.dilation_h;
}

bool reads_planes_in_place(const ConvProblem& p) {
  return p.padding_mode == PaddingMode::kZeros && p.stride_w <= 2 && columns_fit_masks(p);
}

extern constexpr Method kPlaneWeightGrad = method<PlaneWeightGrad>();

}  // namespace convext
