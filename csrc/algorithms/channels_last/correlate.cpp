// Output pass and input gradient:
//
//   destination[pixel][m]  =  sum over taps, source channels k  source[pixel moved by the tap][k] * weight[tap, k][m]
//
// A task owns a block of pixels. The weights of a tile's width of destination channels are packed to
// [tap, k][m]; a slice of them stays in L1 while all tiles of the block's pixels run over it. Few source channels
// are summed over all taps at once, of pixels where they lie; tiles with a pixel at an edge read a copy that has the
// edge. Many are summed by tap, each pixel from where it lies or from a row of zeros, and tiles leave out the taps that
// read only zeros for them. A 1x1 kernel that moves nothing is a product of matrices as they lie: tiles step through
// adjoining pixels, and ask for the next block's.
#include "algorithms/channels_last/asked_pixels.h"
#include "algorithms/channels_last/pixel_panel.h"
#include "algorithms/channels_last/pixel_product.h"
#include "algorithms/channels_last/pixel_reads.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class PixelCorrelation {
 public:
  PixelCorrelation(const ConvProblem& problem, Isa isa, const Blocks& blocks)
      : product_(problem),
        c_(product_.c),
        blocks_(blocks),
        tiles_(outer_product<T>(isa)),
        transpose_(transpose<T>(isa)),
        rows_(rows<T>(isa)),
        strided_(moves_nothing(product_.p)),
        by_tap_(!product_.in_place() && c_.k >= (product_.wide_dilation ? kManyChannels / 2 : kManyChannels)) {}

  PixelCorrelation(const PixelCorrelation&) = delete;

  // ---- planning
  void plan(Blocks& b) {
    const int64_t taps = std::max<int64_t>(1, product_.all_h.taps * product_.all_w.taps);
    const int64_t most = max_pixels();
    b.cols = std::min(product_.all_w.out, most);
    b.rows = b.cols < product_.all_w.out ? 1 : std::clamp<int64_t>(most / b.cols, 1, product_.all_h.out);
    b.images = b.rows < product_.all_h.out ? 1 : std::clamp<int64_t>(most / (b.rows * b.cols), 1, c_.n);
    b.cols = EvenSplit::of_at_most(product_.all_w.out, b.cols).largest();
    b.rows = EvenSplit::of_at_most(product_.all_h.out, b.rows).largest();
    b.images = EvenSplit::of_at_most(c_.n, b.images).largest();

    const int64_t pixels = b.images * b.rows * b.cols, read = by_tap_ ? pixels : b.images * panel(b, 1).size();
    const int64_t fit = product_.in_place() ? kMaxInPlaceSteps / taps
                                            : (by_tap_ ? kL2Bytes / 2 : kCopyBytes) /
                                                  (static_cast<int64_t>(sizeof(T)) * std::max<int64_t>(1, read));
    b.k = EvenSplit::of_at_most(c_.k, std::max({fit, ceil_div(kMaxSteps, by_tap_ ? 1 : taps), kMinChannels})).largest();
    const bool adjoin = b.cols == product_.all_w.out && product_.phases() == 1 && !leaves_out_taps();
    const Tile tile = best_tile(tiles_, false, adjoin ? pixels : b.cols, vectors());
    b.mr = tile.mr, b.nv = tile.nv;
    b.packed_weights =
        ceil_div(c_.n, b.images) * ceil_div(product_.all_h.out, b.rows) * ceil_div(product_.all_w.out, b.cols) >
        kOwnWeights;
    blocks_ = b;
    while (workspace().thread_bytes > kMaxThreadBytes && shrink(b)) blocks_ = b;
  }

  KernelName kernel() const {
    return {.shape = strided_ ? "outer_product_strided" : "outer_product_rows",
            .mr = blocks_.mr,
            .nr = blocks_.nv * tiles_.lanes};
  }

  Workspace workspace() const {
    const int64_t weights = c_.g * c_.k * product_.taps * vectors() * tiles_.lanes;
    return {blocks_.packed_weights ? align_up(static_cast<size_t>(weights) * sizeof(T)) : 0,
            Scratch(*this, nullptr).bytes};
  }

  // ---- running
  void run(const Workspace& workspace, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(product_.p, operands);
    T* packed = blocks_.packed_weights ? reinterpret_cast<T*>(context.shared()) : nullptr;
    if (packed != nullptr) pack_weights(o.weight, packed, context.threads);
    const EvenSplit images = EvenSplit::of_at_most(c_.n, blocks_.images),
                    rows = EvenSplit::of_at_most(product_.all_h.out, blocks_.rows),
                    cols = EvenSplit::of_at_most(product_.all_w.out, blocks_.cols);
    const int64_t pixel_blocks = images.parts * rows.parts * cols.parts;
    const EvenSplit m{slices().parts, slice_parts(pixel_blocks * c_.g, context.threads)};
    // Beside a pixel's numbers of a group lie the next group's, which come into the same core's cache with them.
    const EvenSplit groups{c_.g, std::clamp<int64_t>(ceil_div(kTasks * context.threads, pixel_blocks), 1, c_.g)};
    const int64_t tasks = pixel_blocks * groups.parts * m.parts;
    parallel_for(context.threads, tasks, TaskOrder::kApart, [&](int64_t task, int thread) {
      const int64_t mi = take_index(task, m.parts), gi = take_index(task, groups.parts),
                    ci = take_index(task, cols.parts), ri = take_index(task, rows.parts), ni = task;
      const PixelBlock block{images.begin(ni), images.length(ni), rows.begin(ri),
                             rows.length(ri),  cols.begin(ci),    cols.length(ci)};
      const Scratch s(*this, context.of_thread(workspace, thread));
      for (int64_t g = groups.begin(gi); g < groups.begin(gi + 1); ++g)
        compute(block, g, m.begin(mi), m.begin(mi + 1), s, packed, o);
    });
  }

 private:
  using Phase = PixelProduct::Phase;
  using Channels = PixelProduct::Channels;

  static constexpr int64_t kFewPixels = 256, kManyPixels = 1024, kFewBlocks = 16, kFewVectors = 24;
  // So few blocks pack weights for themselves: what another core has packed comes slowly from its cache.
  static constexpr int64_t kOwnWeights = 2;
  static constexpr int64_t kTasks = 4;         // a thread: with fewer, not all groups of a block are one task
  static constexpr int64_t kMinChannels = 16;  // a cache line
  // Sums by tap pay from as many channels on: no copy, against shorter sums (of half as many, if taps are left out).
  static constexpr int64_t kManyChannels = 96;
  // Only edges are copied, so they need not stay in L2: that would take fewer channels a block, and more sums.
  static constexpr int64_t kCopyBytes = 1 << 20;
  // Pixels that are read where they lie are read whole, not some channels of all and then the next: prefetchers follow
  // what runs on, and whole patches do (2x2 and 4x4 of 96 x1.1 to x1.2). This bounds the list of steps.
  static constexpr int64_t kMaxInPlaceSteps = 1 << 16;
  static constexpr int64_t kMinSteps = 32, kMaxSteps = sizeof(T) == 4 ? 144 : 72;

  struct Scratch {
    AskedPixels<T> next;
    PixelReads<T> source, copy;
    int64_t* edges;  // for each pixel, and the end: how many before it are at an edge
    int64_t* b_offset;
    bool* begun;
    T *packed, *bias;
    T* panel;  // the copy, or zeros
    size_t bytes;
    Scratch(const PixelCorrelation& s, std::byte* memory) : Scratch(s, ScratchAllocator(memory)) {}
    Scratch(const PixelCorrelation& s, ScratchAllocator take)
        : next(s.strided_ ? s.blocks_.cols : 0, s.strided_ ? s.max_steps() : 0, take) {
      const Blocks& b = s.blocks_;
      const int64_t pixels = b.images * b.rows * b.cols, steps = s.strided_ ? 0 : b.k * (s.by_tap_ ? 1 : s.c_.taps());
      source = {take.array<int64_t>(steps), take.array<const T*>(s.strided_ ? 0 : pixels)};
      copy = {take.array<int64_t>(s.copies() ? steps : 0), take.array<const T*>(s.copies() ? pixels : 0)};
      edges = take.array<int64_t>(s.strided_ ? 0 : pixels + 1);
      b_offset = take.array<int64_t>(s.max_steps());
      begun = take.array<bool>(pixels * s.product_.phases());
      packed = take.array<T>(b.packed_weights ? 0 : s.max_steps() * b.nv * s.tiles_.lanes);
      bias = take.array<T>(s.product_.pixels > 1 ? s.product_.m : 0);
      panel = take.array<T>(s.by_tap_ ? b.k : s.copies() ? b.images * s.panel(b, b.k).size() : 0);
      bytes = take.bytes();
    }
  };

  // Of a block. Those of few channels are many: to find them and the steps takes as long as some tiles do.
  int64_t max_pixels() const {
    const Axis &h = product_.all_h, &w = product_.all_w;
    const int64_t numbers = product_.m + c_.k * h.stride * w.stride,
                  fit = kL2Bytes / (static_cast<int64_t>(sizeof(T)) * numbers), all = c_.n * h.out * w.out,
                  most = std::min(fit, all / kFewBlocks);
    if (!strided_) return std::clamp(most, kFewPixels, kManyPixels);
    // Tiles that need not find them allow of shorter blocks. These pay where slices are too few to keep threads busy
    // (960 to 160 channels at 7x7 x1.2 to x1.36), if they come out even.
    const int64_t fewest = vectors() < kFewVectors ? kFewPixels / 2 : kFewPixels,
                  blocks = ceil_div(all, std::clamp(most, fewest, kManyPixels));
    return ceil_div(all, blocks > 2 ? round_up(blocks, 4) : blocks);
  }

  bool shrink(Blocks& b) const {
    int64_t& size = b.images > 1 ? b.images : b.rows > 1 ? b.rows : b.cols > 1 ? b.cols : b.k;
    if (size == 1) return false;
    size = ceil_div(size, 2);
    b.packed_weights = true;
    return true;
  }

  int64_t vectors() const { return ceil_div(product_.m, tiles_.lanes); }
  EvenSplit slices() const { return EvenSplit::of_at_most(vectors(), blocks_.nv); }
  int64_t slice_begin(int64_t i) const { return slices().begin(i) * tiles_.lanes; }
  int64_t slice_pitch(int64_t i) const { return slices().length(i) * tiles_.lanes; }

  int64_t max_steps() const {
    return std::min(kMaxSteps, kL1Bytes / (blocks_.nv * tiles_.lanes * static_cast<int64_t>(sizeof(T))));
  }
  EvenSplit channel_blocks() const { return EvenSplit::of_at_most(c_.k, blocks_.k); }
  Channels channels(int64_t block) const { return {channel_blocks().begin(block), channel_blocks().length(block)}; }
  // Sums of few steps, of which there are at least two: added in one go their rounding errors would pile up.
  EvenSplit sums(const Phase& phase, const Channels& k) const {
    const int64_t steps = k.channels * (by_tap_ ? 1 : phase.taps());
    const bool several = channel_blocks().parts * (by_tap_ ? phase.taps() : 1) > 1;
    return EvenSplit::of_at_most(steps, several ? max_steps() : std::clamp(ceil_div(steps, 2), kMinSteps, max_steps()));
  }

  bool leaves_out_taps() const { return by_tap_ && product_.wide_dilation; }
  bool copies() const { return !by_tap_ && !product_.in_place(); }
  PixelPanel panel(const Blocks& b, int64_t channels) const {
    return PixelPanel(product_.all_h, product_.all_w, b.rows, b.cols, channels);
  }

  // ---- weights
  // Where the weights of a slice of a channel block are: [group][phase][channel block][slice][tap, k][m].
  int64_t packed_place(int64_t g, const Phase& phase, const Channels& k, int64_t slice) const {
    return (g * c_.k * product_.taps + phase.taps_before * c_.k + phase.taps() * k.k0) * vectors() * tiles_.lanes +
           phase.taps() * k.channels * slice_begin(slice);
  }

  void pack_weights(const T* weight, T* packed, int threads) const {
    const int64_t blocks = channel_blocks().parts, parts = slices().parts;
    parallel_for(threads, c_.g * blocks * parts, [&](int64_t task, int) {
      const int64_t slice = take_index(task, parts), block = take_index(task, blocks), g = task;
      product_.each_phase([&](const Phase& phase) {
        const Channels k = channels(block);
        pack_steps(weight, g, phase, k, 0, phase.taps() * k.channels, slice, packed + packed_place(g, phase, k, slice));
      });
    });
  }

  void pack_steps(const T* weight, int64_t g, const Phase& phase, const Channels& k, int64_t first, int64_t last,
                  int64_t slice, T* dst) const {
    const int64_t m0 = slice_begin(slice), pitch = slice_pitch(slice);
    product_.pack(weight, g, phase, k, first, last, m0, std::min(m0 + pitch, product_.m), dst, pitch, transpose_,
                  rows_);
  }

  // ---- a block of pixels
  // Into how many parts the slices of a block are cut to keep the threads busy to the end.
  int64_t slice_parts(int64_t tasks, int threads) const {
    const int64_t count = slices().parts;
    const double copy = 0.2 / static_cast<double>(c_.taps());  // in slices
    int64_t best = 1;
    double best_cost = 0;
    for (int64_t parts = 1; parts <= std::min<int64_t>(count, 2 * threads); ++parts) {
      const double cost =
          static_cast<double>(ceil_div(tasks * parts, threads)) * (static_cast<double>(ceil_div(count, parts)) + copy);
      if (best_cost == 0 || cost < best_cost) best = parts, best_cost = cost;
    }
    return best;
  }

  void compute(const PixelBlock& block, int64_t g, int64_t slice0, int64_t slice1, const Scratch& s, const T* packed,
               const CorrelationOperands<T>& o) const {
    const PixelImages<T> source{o.source, c_.in_h, c_.in_w, c_.g * c_.k};
    if (product_.pixels > 1 && o.bias != nullptr)
      for (int64_t i = 0; i < product_.pixels; ++i) std::copy_n(o.bias, c_.m, s.bias + i * c_.m);
    std::fill_n(s.begun, block.pixels() * product_.phases(), false);
    if (!strided_) std::fill_n(s.edges, block.pixels() + 1, 0);
    for (int64_t ki = 0; ki < channel_blocks().parts; ++ki) {
      const Channels k = channels(ki);
      const int64_t channel = g * c_.k + k.k0;
      const PixelPanel in_place(product_.all_h, product_.all_w, source),
          panel(product_.all_h, product_.all_w, block.rows, block.cols, k.channels);
      if (copies()) panel.edges(source, block, channel, c_.padding_mode, rows_, s.panel, blocks_.mr - 1);
      if (by_tap_) std::fill_n(s.panel, k.channels, T(0));
      product_.each_phase([&](const Phase& phase) {
        PixelBlock b = block;
        b.rows = std::min(b.rows, phase.h.out - b.r0), b.cols = std::min(b.cols, phase.w.out - b.c0);
        if (b.rows <= 0 || b.cols <= 0) return;
        Product product{g, phase, b, s.begun + phase.index * block.pixels(), by_tap_ ? s.panel : nullptr, s.next};
        const EvenSplit sums = this->sums(phase, k);
        for (int64_t tap = 0; tap < (by_tap_ ? phase.taps() : 1); ++tap) {
          if (strided_)
            product.at = source.at(0, 0, b.c0) + channel, ask_for_next(product, k, sums, slice1 - slice0);
          else if (by_tap_)
            s.source.of_tap(product_, phase, k, tap, b, source, channel, s.panel);
          else
            s.source.of_taps(product_, phase, k, b, in_place,
                             in_place.block(source, b, channel, c_.padding_mode, rows_, s.panel));
          if (copies()) s.copy.of_taps(product_, phase, k, b, panel, s.panel), count_edges(product_, b, s.edges);
          for (int64_t slice = slice0; slice < slice1; ++slice)
            for (int64_t sum = 0; sum < sums.parts; ++sum) {
              const int64_t first = tap * sums.size + sums.begin(sum), count = sums.length(sum);
              const T* weights = s.packed;
              if (packed != nullptr)
                weights = packed + packed_place(g, phase, k, slice) + first * slice_pitch(slice);
              else
                pack_steps(o.weight, g, phase, k, first, first + count, slice, s.packed);
              product.first = sum == 0;
              product.last = slice + 1 == slice1 && sum + 1 == sums.parts;
              multiply(product, weights, sums.begin(sum), count, slice, s, o);
            }
        }
        // Tiles that read nothing but zeros.
        if (ki + 1 < channel_blocks().parts || !by_tap_) return;
        product.zeros = nullptr, product.first = true;
        for (int64_t slice = slice0; slice < slice1; ++slice) {
          product.last = slice + 1 == slice1;
          multiply(product, nullptr, 0, 0, slice, s, o);
        }
      });
    }
  }

  // What the calls of multiply() for a phase of a block have in common.
  struct Product {
    int64_t g;
    const Phase& phase;
    const PixelBlock& block;
    bool* begun;     // of each tile: whether it has a sum to add to
    const T* zeros;  // tiles that read only these are left out
    AskedPixels<T> next;
    const T* at = nullptr;           // strided: the block's first pixel
    bool first = true, last = true;  // sum of its steps and slice; slice and sum of its steps
  };

  // Has the tiles of a block ask for what the next one reads, if there is one.
  void ask_for_next(Product& p, const Channels& k, const EvenSplit& sums, int64_t slices) const {
    const int64_t cols = p.block.cols, pitch = c_.g * c_.k, left = c_.in_w - p.block.c0 - cols;
    const PixelPanel pixels(p.phase.h, p.phase.w, PixelImages<T>{nullptr, 1, c_.in_w, pitch});
    p.next.list(pixels, p.block, left > 0 ? k.channels : 0, slices * sums.parts * ceil_div(cols, blocks_.mr),
                sums.largest());
    p.next.start(p.at + std::min(cols, left) * pitch);
  }

  // All tiles of pixels of the block, for `steps` steps from first_step on and a slice of the destination's channels.
  void multiply(Product& p, const T* weights, int64_t first_step, int64_t steps, int64_t slice, const Scratch& s,
                const CorrelationOperands<T>& o) const {
    const Phase& phase = p.phase;
    const PixelBlock& b = p.block;
    const int64_t m0 = slice_begin(slice), pitch = slice_pitch(slice), nv = slices().length(slice);
    const int64_t pixel = c_.g * product_.m, out_w = product_.out_w();
    OuterProductArgs<T> args{};
    args.b = weights, args.b_offset = s.b_offset, args.steps = steps;
    args.a_row = c_.g * c_.k, args.a_step = 1;
    for (int64_t i = 0; i < steps; ++i) s.b_offset[i] = i * pitch;
    args.c_stride = phase.w.out_step * pixel, args.columns = std::min(pitch, product_.m - m0);
    args.bias = o.bias == nullptr ? nullptr : product_.pixels > 1 ? s.bias + m0 : o.bias + p.g * c_.m + m0;

    const bool adjoin = phase.w.out_step == 1 && phase.h.out_step == 1 && b.cols == out_w && !leaves_out_taps();
    const int64_t lines = adjoin ? 1 : b.images * b.rows;
    const EvenSplit tiles = EvenSplit::of_at_most(b.pixels() / lines, blocks_.mr);
    for (int64_t line = 0; line < lines; ++line) {
      const int64_t n = b.n0 + line / b.rows, h = phase.h.out0 + (b.r0 + line % b.rows) * phase.h.out_step,
                    w = phase.w.out0 + b.c0 * phase.w.out_step;
      T* c = o.destination + ((n * c_.out_h + h) * out_w + w) * pixel + p.g * product_.m + m0;
      for (int64_t i = 0; i < tiles.parts; ++i) {
        const int64_t mr = tiles.length(i);
        bool& begun = p.begun[line * tiles.parts + i];
        if (begun && steps == 0) continue;
        const int64_t first = line * tiles.size + tiles.begin(i);
        args.start = begun || !p.first ? Start::kAdd : args.bias != nullptr ? Start::kColumnBias : Start::kZero;
        args.c = c + tiles.begin(i) * args.c_stride;
        if (strided_) {
          args.a = p.at + first * args.a_row + first_step;
          p.next.ask(args);
          tiles_.strided[nv - 1][mr - 1](args);
        } else {
          const PixelReads<T>& reads = s.edges[first] < s.edges[first + mr] ? s.copy : s.source;
          args.rows = reads.pixel + first, args.a_offset = reads.offset + first_step;
          if (p.zeros != nullptr && std::all_of(args.rows, args.rows + mr, [&](const T* at) { return at == p.zeros; }))
            continue;
          tiles_.rows[nv - 1][mr - 1](args);
        }
        begun = begun || p.last;
      }
    }
  }

  const PixelProduct product_;
  const Correlation& c_;
  Blocks blocks_;
  const OuterProductTiles<T>& tiles_;
  TransposeFn<T> transpose_;
  const RowKernels<T>& rows_;
  const bool strided_;  // tiles step through pixels as they lie
  const bool by_tap_;   // each sum is over channels of one tap
};

}  // namespace

extern constexpr Method kPixelCorrelation = method<PixelCorrelation>();

}  // namespace convext
