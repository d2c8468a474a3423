// Weight gradient. Chunks of (image, rows) are summed apart and added in their order; they follow from the problem
// alone. Each tile of pixels adds its sums to those of its chunk, which stay in L1.
#include "algorithms/chunks.h"
#include "algorithms/grouped_pixels/grouped_pixels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class GroupedPixelGrad {
 public:
  GroupedPixelGrad(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : p_(p),
        blocks_(blocks),
        kernels_(pixel_stencil<T>(isa)),
        transpose_(transpose<T>(isa)),
        groups_{p.ic, kernels_.lanes},
        h_(output_axis(p.padding_mode, p.oh, p.ih, p.kh, p.stride_h, p.dilation_h, p.pad_top)),
        w_(output_axis(p.padding_mode, p.ow, p.iw, p.kw, p.stride_w, p.dilation_w, p.pad_left)),
        runs_(h_, w_, p.kw, p.ic, p.ic_per_group() * kernels_.lanes,
              max_pixel_run(kernels_, w_.taps, p.ic, p.ic_per_group())),
        asks_(from_memory<T>(p)) {}

  void plan(Blocks& b) const {
    plan_pixel_tasks(p_, p_.oh, p_.ow, kernels_.lanes, sizeof(T), b);
    b.mr = static_cast<int>(runs_.tiles().largest()), b.nv = 1;
    const int64_t partials = kMaxPartialBytes / (sums() * static_cast<int64_t>(sizeof(T)));
    b.chunks = std::clamp<int64_t>(p_.n * parts(b).parts, 1, std::max<int64_t>(1, std::min(kMaxChunks, partials)));
  }

  KernelName kernel() const { return {.shape = "pixel_weight_grad", .mr = blocks_.mr, .nr = kernels_.lanes}; }

  Workspace workspace() const { return {Shared(*this, nullptr).bytes, 0}; }

  void run(const Workspace&, const Operands& o, const Context& context) const {
    const Shared s(*this, context.shared());
    runs_.fill(s.runs);
    const PixelChannelBlocks blocks = pixel_blocks(p_, groups_.lanes, blocks_.k / groups_.lanes);
    const EvenSplit parts = this->parts(blocks_), chunks{p_.n * parts.parts, blocks_.chunks};
    parallel_for(context.threads, chunks.parts * blocks.parts(), TaskOrder::kApart, [&](int64_t task, int) {
      const int64_t chunk = task / blocks.parts(), group = blocks.begin(task % blocks.parts()),
                    count = blocks.length(task % blocks.parts());
      T* sum = s.sum + chunk * sums() + group * pitch();
      std::fill_n(sum, count * pitch(), T(0));
      for (int64_t item = chunks.begin(chunk); item < chunks.begin(chunk + 1); ++item) {
        const int64_t n = item / parts.parts, part = item % parts.parts;
        for (int64_t r = parts.begin(part); r < parts.begin(part + 1); ++r) add_row(n, r, group, count, o, s, sum);
      }
    });
    parallel_for(context.threads, groups_.count(), [&](int64_t group, int) {
      T* sum = s.sum + group * pitch();
      add_chunks(sum, sum + sums(), sums(), chunks.parts, pitch());
      const int64_t c = groups_.begin(group), channels = groups_.length(group), steps = p_.taps() * p_.ic_per_group();
      transpose_(sum, kernels_.lanes, steps, channels, o.written<T>(o.weight) + c * steps, steps);
      if (p_.bias) std::copy_n(sum + steps * kernels_.lanes, channels, o.written<T>(o.bias) + c);
    });
  }

 private:
  static constexpr int64_t kMaxChunks = 16;
  static constexpr int64_t kMaxPartialBytes = 1 << 20;

  struct Shared {
    PixelRun* runs;
    T* sum;
    size_t bytes;
    Shared(const GroupedPixelGrad& s, std::byte* memory) {
      ScratchAllocator take(memory);
      runs = take.array<PixelRun>(s.runs_.count());
      sum = take.array<T>(s.blocks_.chunks * s.sums());
      bytes = take.bytes();
    }
  };

  // The sums of a lane group: its taps, then its bias.
  int64_t pitch() const { return (p_.taps() * p_.ic_per_group() + 1) * kernels_.lanes; }
  int64_t sums() const { return groups_.count() * pitch(); }
  EvenSplit parts(const Blocks& b) const { return EvenSplit::of_at_most(p_.oh, b.rows); }

  void add_row(int64_t n, int64_t r, int64_t group, int64_t count, const Operands& o, const Shared& s, T* sum) const {
    const int64_t c = groups_.begin(group);
    PixelGradArgs<T> args{};
    args.x = static_cast<const T*>(o.input) + (n * p_.input_pixels() + r * h_.stride * p_.iw) * p_.ic + c;
    args.x_step = w_.stride * p_.ic, args.y_step = p_.ic, args.tap_step = runs_.tap_step();
    args.weight = sum, args.bias = p_.bias ? sum + pitch() - kernels_.lanes : nullptr;
    args.pitch = pitch(), args.channels = std::min(count * kernels_.lanes, p_.ic - c), args.group = p_.ic_per_group();
    const T* output = static_cast<const T*>(o.output) + (n * p_.output_pixels() + r * p_.ow) * p_.ic + c;
    const EvenSplit& tiles = runs_.tiles();
    for (int64_t tile = 0; tile < tiles.parts; ++tile) {
      const auto [runs, count_inside] = runs_.range(s.runs, tile, r);
      args.runs = runs, args.run_count = count_inside, args.y = output + tiles.begin(tile) * p_.ic;
      if (asks_) {
        const int64_t next = tiles.begin(tile + kTilesAhead);
        args.next_x = args.x + (h_.offset(h_.taps - 1) * p_.iw + next * w_.stride) * p_.ic;
        args.next_y = output + next * p_.ic;
      }
      kernels_.weight_grad[tiles.length(tile) - 1](args);
    }
  }

  const ConvProblem& p_;
  Blocks blocks_;
  const PixelStencilKernels<T>& kernels_;
  TransposeFn<T> transpose_;
  LaneGroups groups_;
  Axis h_, w_;
  PixelRuns runs_;
  bool asks_;
};

}  // namespace

extern constexpr Method kGroupedPixelGrad = method<GroupedPixelGrad>();

}  // namespace convext
