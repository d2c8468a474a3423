// Output pass and input gradient. A task owns rows of an image, of all phases, and goes down them a tile of columns and
// a block of channels at a time: what they read of the source comes from memory once, and from L2 for the rows and
// phases that read it again.
#include "algorithms/correlation.h"
#include "algorithms/grouped_pixels/grouped_pixels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class GroupedPixelCorrelation {
 public:
  GroupedPixelCorrelation(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : c_(p),
        blocks_(blocks),
        kernels_(pixel_stencil<T>(isa)),
        transpose_(transpose<T>(isa)),
        channels_(p.ic),
        groups_{channels_, kernels_.lanes},
        asks_(from_memory<T>(p)) {}

  void plan(Blocks& b) const {
    plan_pixel_tasks(c_.problem(), rows(), c_.out_w * c_.phases_h, kernels_.lanes, sizeof(T), b);
    if (c_.taps() <= kFewTaps) b.k = groups_.count() * groups_.lanes;
    b.mr = static_cast<int>(taps(0, 0).tiles().largest()), b.nv = 1;
  }

  KernelName kernel() const { return {.shape = "pixel_stencil", .mr = blocks_.mr, .nr = kernels_.lanes}; }

  Workspace workspace() const { return {Shared(*this, nullptr).bytes, 0}; }

  void run(const Workspace&, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(c_.problem(), operands);
    Shared s(*this, context.shared());
    s.streams = vector_is_line() && streams_past_caches(c_.problem(), o.destination, channels_);
    prepare(s);
    parallel_for(context.threads, groups_.count(), [&](int64_t group, int) { pack(group, o, s); });
    const EvenSplit parts = EvenSplit::of_at_most(rows(), blocks_.rows);
    const int64_t tiles = s.phases->taps.tiles().parts;
    parallel_for(context.threads, c_.n * parts.parts, TaskOrder::kApart, [&](int64_t task, int) {
      const int64_t n = task / parts.parts, part = task % parts.parts;
      const PixelChannelBlocks blocks = pixel_blocks(c_.problem(), groups_.lanes, blocks_.k / groups_.lanes);
      for (int64_t i = 0; i < blocks.parts(); ++i)
        for (int64_t j = 0; j < parts.length(part) * tiles; ++j) {
          const int64_t r = along_rows() ? j / tiles : j % parts.length(part),
                        tile = along_rows() ? j % tiles : j / parts.length(part);
          compute(n, parts.begin(part) + r, tile, blocks.begin(i), blocks.length(i), o, s);
        }
    });
  }

 private:
  // Few taps wait for memory, which is met in the order in which it lies if all channels are one block. More want their
  // weights and pixels in L1. (5x5 x1.0 to x1.3, 7x7 x0.9.)
  static constexpr int64_t kFewTaps = 25;
  static constexpr int64_t kPageBytes = 4096, kLineBytes = 64;

  struct Phase {
    Axis h, w;
    PixelRuns taps;
    PixelRun* runs;
  };

  // The weights are those of all lane groups, each followed by the bias.
  struct Shared {
    Phase* phases;
    PixelRun* runs;
    T* weight;
    bool streams = false;
    size_t bytes;
    Shared(const GroupedPixelCorrelation& s, std::byte* memory) {
      int64_t count = 0;
      s.each_phase([&](int64_t ph, int64_t pw) { count += s.taps(ph, pw).count(); });
      ScratchAllocator take(memory);
      phases = take.array<Phase>(s.phases());
      runs = take.array<PixelRun>(count);
      weight = take.array<T>(s.groups_.count() * s.pitch());
      bytes = take.bytes();
    }
  };

  template <typename F>
  void each_phase(const F& f) const {
    for (int64_t ph = 0; ph < c_.phases_h; ++ph)
      for (int64_t pw = 0; pw < c_.phases_w; ++pw) f(ph, pw);
  }

  // What a tile reads of a row is less than a page: the tile below would begin another before prefetchers follow one.
  // (Two rows of three come from L2 either way. 16 channels x1.1 to x1.6, 32 x1.15 to x1.3, 64 x1.06 to x1.1; x0.96 to
  // x1.03 where a tile reads more. From memory x1.1 then too, but phases, which write every other row, x0.8.)
  bool along_rows() const {
    const int64_t read = blocks_.mr * c_.axis_w(0).stride * channels_ * static_cast<int64_t>(sizeof(T));
    return read < kPageBytes || (asks_ && phases() == 1);
  }

  // Vectors that are half a line would fill those of a tile in turns. (AVX2 x0.25.)
  bool vector_is_line() const { return kernels_.lanes * static_cast<int64_t>(sizeof(T)) == kLineBytes; }

  int64_t phases() const { return c_.phases_h * c_.phases_w; }
  int64_t rows() const { return c_.axis_h(0).out; }  // the first phase has the most, and the most columns
  int64_t pitch() const { return (c_.taps() * c_.k + 1) * kernels_.lanes; }
  PixelRuns taps(int64_t ph, int64_t pw) const {
    return PixelRuns(c_.axis_h(ph), c_.axis_w(pw), c_.kernel_w, channels_, c_.k * kernels_.lanes,
                     max_pixel_run(kernels_, c_.axis_w(pw).taps, channels_, c_.k));
  }

  void prepare(const Shared& s) const {
    Phase* phase = s.phases;
    PixelRun* runs = s.runs;
    each_phase([&](int64_t ph, int64_t pw) {
      *phase = {c_.axis_h(ph), c_.axis_w(pw), taps(ph, pw), runs};
      phase->taps.fill(runs);
      runs += phase->taps.count();
      ++phase;
    });
  }

  void pack(int64_t group, const CorrelationOperands<T>& o, const Shared& s) const {
    const int64_t c = groups_.begin(group), channels = groups_.length(group), taps = c_.taps(), steps = taps * c_.k,
                  lanes = kernels_.lanes;
    T *weight = s.weight + group * pitch(), *bias = weight + steps * lanes;
    if (channels < lanes) std::fill_n(weight, pitch(), T(0));
    if (c_.output_pass || c_.k == 1)
      transpose_(o.weight + c * steps, steps, channels, steps, weight, lanes);
    else
      for (int64_t i = c, width = std::min(c_.k, lanes); i < c + channels; i += width)
        for (int64_t step = 0; step < steps; ++step) {
          const int64_t tap = step / c_.k, oc = i - i % c_.k + step % c_.k;
          std::copy_n(o.weight + (oc * taps + tap) * c_.k + i % c_.k, width, weight + step * lanes + i - c);
        }
    if (o.bias != nullptr)
      std::copy_n(o.bias + c, channels, bias);
    else
      std::fill_n(bias, lanes, T(0));
  }

  // A tile of row r of all phases, for some lane groups.
  void compute(int64_t n, int64_t r, int64_t tile, int64_t group, int64_t count, const CorrelationOperands<T>& o,
               const Shared& s) const {
    const int64_t c = groups_.begin(group);
    PixelCorrelateArgs<T> args{};
    args.streams = s.streams;
    args.weight = s.weight + group * pitch(), args.bias = args.weight + pitch() - kernels_.lanes;
    args.pitch = pitch(), args.channels = std::min(count * kernels_.lanes, channels_ - c), args.group = c_.k;
    for (const Phase* p = s.phases; p < s.phases + phases(); ++p) {
      const EvenSplit& tiles = p->taps.tiles();
      if (r >= p->h.out || p->w.out == 0 || tile >= tiles.parts) continue;
      const int64_t row = p->h.out0 + r * p->h.out_step;
      args.x = o.source + (n * c_.in_pixels() + r * p->h.stride * c_.in_w) * channels_ + c;
      args.x_step = p->w.stride * channels_, args.y_step = p->w.out_step * channels_,
      args.tap_step = p->taps.tap_step();
      T* destination = o.destination + (n * c_.out_pixels() + row * c_.out_w + p->w.out0) * channels_ + c;
      const auto [runs, count_inside] = p->taps.range(p->runs, tile, r);
      args.runs = runs, args.run_count = count_inside, args.y = destination + tiles.begin(tile) * args.y_step;
      if (asks_ && p->h.taps > 0) {
        const int64_t down = along_rows() ? 0 : 1, ahead = phases() == 1 ? kTilesAhead : 1,
                      next = tiles.begin(tile + (1 - down) * ahead),
                      row_read = p->h.offset(p->h.taps - 1) + down * p->h.stride;
        args.next_x = args.x + (row_read * c_.in_w + next * p->w.stride) * channels_;
        if (!args.streams) args.next_y = destination + down * p->h.out_step * c_.out_w * channels_ + next * args.y_step;
      }
      kernels_.correlate[tiles.length(tile) - 1](args);
    }
  }

  Correlation c_;
  Blocks blocks_;
  const PixelStencilKernels<T>& kernels_;
  TransposeFn<T> transpose_;
  const int64_t channels_;
  LaneGroups groups_;
  bool asks_;
};

}  // namespace

extern constexpr Method kGroupedPixelCorrelation = method<GroupedPixelCorrelation>();

}  // namespace convext
