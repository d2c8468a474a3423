// Weight gradient with channels in the lanes: gradient[c][tap] = sum over pixels output[c] * input[c], moved by
// the tap. The sums of some taps stay in registers over the pixels of a block of one image, and no sum crosses
// lanes. Chunks of (block, image) are summed apart and added in their order; they follow from the problem alone.
#include <utility>

#include "algorithms/channel_panel.h"
#include "algorithms/chunks.h"
#include "algorithms/depthwise/channels.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"

namespace convext {
namespace {

template <typename T>
class ChannelWeightGrad {
 public:
  ChannelWeightGrad(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : p_(p),
        isa_(isa),
        blocks_(blocks),
        kernels_(channel_stencil<T>(isa)),
        transposes_(transposes<T>(isa)),
        groups_{p.g, kernels_.lanes},
        h_(output_axis(PaddingMode::kReplicate, p.oh, p.ih, p.kh, p.stride_h, p.dilation_h, p.pad_top)),
        w_(output_axis(PaddingMode::kReplicate, p.ow, p.iw, p.kw, p.stride_w, p.dilation_w, p.pad_left)) {}

  void plan(Blocks& b) const {
    const auto fits = [&](int64_t rows, int64_t cols) {
      const int64_t vectors = ChannelPanel<T>::vectors(h_, w_, rows, cols) + rows * cols;
      return vectors * kernels_.lanes * static_cast<int64_t>(sizeof(T)) <= kL2Bytes / 2;
    };
    b.cols = p_.ow;
    while (b.cols > 1 && !fits(1, b.cols)) b.cols = ceil_div(b.cols, 2);
    b.rows = p_.oh;
    while (b.rows > 1 && !fits(b.rows, b.cols)) b.rows = ceil_div(b.rows, 2);
    // Whole rows of taps, so that a tile may leave out the rows of pixels that see only padding.
    const int64_t row_part = EvenSplit::of_at_most(p_.kw, kernels_.max_taps).largest();
    const int64_t tap_rows = EvenSplit::of_at_most(p_.kh, std::max<int64_t>(1, kernels_.max_taps / p_.kw)).largest();
    b.mr = static_cast<int>(tap_rows * row_part), b.nv = 1, b.tap_rows = tap_rows;
    b.channels =
        EvenSplit::of_at_most(groups_.count(), std::max<int64_t>(1, kVectorsPerTask / (p_.n * p_.output_pixels())))
            .largest() *
        kernels_.lanes;
    b.chunks = chunk_count(ceil_div(p_.g, b.channels), group_sums() * groups_.count() * static_cast<int64_t>(sizeof(T)),
                           items(b));
  }

  KernelName kernel() const { return {.shape = "channel_weight_grad", .mr = blocks_.mr, .nr = kernels_.lanes}; }

  Workspace workspace() const {
    const int64_t sums = blocks_.chunks * groups_.count() * group_sums();
    return {align_up(static_cast<size_t>(sums) * sizeof(T)), Scratch(*this, nullptr).bytes};
  }

  void run(const Workspace& workspace, const Operands& o, const Context& context) const {
    const EvenSplit groups = EvenSplit::of_at_most(groups_.count(), blocks_.channels / groups_.lanes),
                    chunks{items(blocks_), blocks_.chunks};
    T* sums = reinterpret_cast<T*>(context.shared());
    const auto sum = [&](int64_t chunk, int64_t group) {
      return sums + (chunk * groups_.count() + group) * group_sums();
    };
    parallel_for(context.threads, groups.parts * chunks.parts, TaskOrder::kApart, [&](int64_t task, int thread) {
      const int64_t chunk = task % chunks.parts, gi = task / chunks.parts;
      Scratch s(*this, context.of_thread(workspace, thread));
      std::fill_n(sum(chunk, groups.begin(gi)), groups.length(gi) * group_sums(), T(0));
      std::fill_n(s.output, blocks_.rows * blocks_.cols * kernels_.lanes, T(0));
      for (int64_t item = chunks.begin(chunk), last = chunks.begin(chunk + 1); item < last;) {
        const int64_t n = item % p_.n, images = std::min(p_.n - n, last - item);
        const Block block = block_of(item / p_.n);
        prepare(block, s);
        for (int64_t group = groups.begin(gi); group < groups.begin(gi + 1); ++group)
          for (int64_t i = 0; i < images; ++i) add_block(block, n + i, group, o, s, sum(chunk, group));
        item += images;
      }
      if (chunks.parts == 1)
        for (int64_t group = groups.begin(gi); group < groups.begin(gi + 1); ++group) finish(group, sum(0, group), o);
    });
    if (chunks.parts == 1) return;
    parallel_for(context.threads, groups_.count(), [&](int64_t group, int) {
      add_chunks(sum(0, group), sum(1, group), groups_.count() * group_sums(), chunks.parts, group_sums());
      finish(group, sum(0, group), o);
    });
  }

 private:
  struct Block {
    int64_t r0, rows, c0, cols;
  };

  struct Scratch {
    ScratchAllocator take;
    ChannelPanel<T> panel;
    int64_t* offset;
    T* output;
    size_t bytes;
    Scratch(const ChannelWeightGrad& s, std::byte* memory)
        : take(memory),
          panel(s.h_, s.w_, s.p_.ih, s.p_.iw, s.p_.padding_mode, s.isa_, s.blocks_.rows, s.blocks_.cols, take) {
      offset = take.array<int64_t>(s.p_.taps());
      output = take.array<T>(s.blocks_.rows * s.blocks_.cols * s.kernels_.lanes);
      bytes = take.bytes();
    }
  };

  // Of the taps, then of the bias.
  int64_t group_sums() const { return (p_.taps() + 1) * kernels_.lanes; }
  int64_t items(const Blocks& b) const { return p_.n * ceil_div(p_.oh, b.rows) * ceil_div(p_.ow, b.cols); }

  Block block_of(int64_t i) const {
    const EvenSplit r = EvenSplit::of_at_most(p_.oh, blocks_.rows), c = EvenSplit::of_at_most(p_.ow, blocks_.cols);
    return {r.begin(i / c.parts), r.length(i / c.parts), c.begin(i % c.parts), c.length(i % c.parts)};
  }

  void prepare(const Block& block, Scratch& s) const {
    s.panel.prepare(block.r0, block.rows, block.c0, block.cols);
    for (int64_t th = 0; th < p_.kh; ++th)
      for (int64_t tw = 0; tw < p_.kw; ++tw) s.offset[th * p_.kw + tw] = s.panel.tap_offset(th, tw);
  }

  void add_block(const Block& block, int64_t n, int64_t group, const Operands& o, const Scratch& s, T* sum) const {
    const int64_t c = groups_.begin(group), channels = groups_.length(group), lanes = kernels_.lanes;
    const ChannelView<const T> input(static_cast<const T*>(o.input), p_.input_layout, p_.g, p_.input_pixels());
    const ChannelView<const T> output(static_cast<const T*>(o.output), p_.output_layout, p_.g, p_.output_pixels());
    s.panel.fill(input, n, c, channels);
    ChannelGradArgs<T> args{};
    args.x_pitch = s.panel.pitch();
    args.columns = block.cols;
    const T* y = output.at(n, c, block.r0 * p_.ow + block.c0);
    if (output.channel == 1) {
      args.y_pitch = p_.ow * output.pixel, args.y_step = output.pixel, args.channels = channels;
    } else {
      if (block.cols == p_.ow)
        transposes_.block(y, output.channel, channels, block.rows * block.cols, s.output, lanes);
      else
        for (int64_t r = 0; r < block.rows; ++r)
          transposes_.block(y + r * p_.ow, output.channel, channels, block.cols, s.output + r * block.cols * lanes,
                            lanes);
      y = s.output, args.y_pitch = block.cols * lanes, args.y_step = lanes, args.channels = lanes;
    }
    for (int64_t th = 0; th < p_.kh; th += blocks_.tap_rows) {
      const int64_t tap_rows = std::min(blocks_.tap_rows, p_.kh - th);
      const auto [first, last] = rows_inside(block, th, th + tap_rows - 1);
      args.x = s.panel.data() + first * args.x_pitch, args.y = y + first * args.y_pitch;
      args.rows = last - first;
      const EvenSplit tiles = EvenSplit::of_at_most(tap_rows * p_.kw, blocks_.mr);
      for (int64_t i = 0; i < tiles.parts; ++i) {
        const int64_t tap = th * p_.kw + tiles.begin(i);
        args.offset = s.offset + tap, args.sum = sum + tap * lanes;
        kernels_.weight_grad[tiles.length(i) - 1](args);
      }
    }
    if (!p_.bias) return;
    args.y = y, args.rows = block.rows, args.sum = sum + p_.taps() * lanes;
    kernels_.bias_grad(args);
  }

  // The rows of the block for which a tap of rows first_tap .. last_tap reads anything but zeros.
  std::pair<int64_t, int64_t> rows_inside(const Block& block, int64_t first_tap, int64_t last_tap) const {
    int64_t first = 0, last = block.rows;
    if (p_.padding_mode == PaddingMode::kZeros) {
      while (first < last && (block.r0 + first) * h_.stride + h_.offset(last_tap) < 0) ++first;
      while (first < last && (block.r0 + last - 1) * h_.stride + h_.offset(first_tap) >= p_.ih) --last;
    }
    return {first, last};
  }

  void finish(int64_t group, const T* sum, const Operands& o) const {
    const int64_t c = groups_.begin(group), channels = groups_.length(group), lanes = kernels_.lanes, taps = p_.taps();
    transposes_.block(sum, lanes, taps, channels, o.written<T>(o.weight) + c * taps, taps);
    if (p_.bias) std::copy_n(sum + taps * lanes, channels, o.written<T>(o.bias) + c);
  }

  const ConvProblem& p_;
  Isa isa_;
  Blocks blocks_;
  const ChannelStencilKernels<T>& kernels_;
  const TransposeKernels<T>& transposes_;
  LaneGroups groups_;
  Axis h_, w_;
};

}  // namespace

extern constexpr Method kChannelWeightGrad = method<ChannelWeightGrad>();

}  // namespace convext
