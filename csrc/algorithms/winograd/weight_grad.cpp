// Weight gradient by F(2, 4), F(3, 4) and F(4, 4): the output's gradient is a filter of four taps whose outputs are the
// weight's gradient. At every frequency it is a matrix product, source channels x output channels, summed over tiles;
// what it sums stays at the frequencies until a chunk of tiles is done. A task owns a block of channels and either a
// chunk of a term (which has weights of its own) or, if there is one chunk, all terms: then it writes to the weight
// itself. Chunks follow from the problem alone and are added in their order, so the result does not depend on the
// threads.
#include <new>

#include "algorithms/channel_panel.h"
#include "algorithms/chunks.h"
#include "algorithms/winograd/tile_grid.h"
#include "algorithms/winograd/winograd.h"
#include "core/parallel.h"

namespace convext {
namespace {

template <typename T>
class WinogradWeightGrad {
 public:
  WinogradWeightGrad(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : p_(p),
        isa_(isa),
        blocks_(blocks),
        products_(outer_product<T>(isa)),
        kernels_(winograd<T>(isa)),
        rows_(rows<T>(isa)),
        transpose_(transpose<T>(isa)),
        grid_(TileGrid::of_weight_grad(p)),
        ic_{p.ic_per_group(), kernels_.lanes},
        oc_{p.oc_per_group(), kernels_.lanes} {}

  void plan(Blocks& b) const {
    const int64_t lanes = kernels_.lanes;
    const TileTerm t = grid_.largest();
    // Frequencies x channels x channels of sums, of all terms, stay in the L2 cache: 1.2 MiB.
    const bool square = t.h.taps() > 1 && t.w.taps() > 1;
    const int64_t sums = (sizeof(T) == 4 ? kSums : kSums / 2) / grid_.filter_numbers();
    b.m = lane_blocks(oc_, square ? kTaskChannels : 2 * kTaskChannels).largest() * lanes;
    b.k = lane_blocks(ic_, sums / b.m).largest() * lanes;
    int64_t outputs = square ? kSquareOutputs : kLineOutputs;
    const auto cut = [&] {
      grid_.cut(b, outputs);
      const Tile tile = best_tile(products_, false, t.groups() * b.k, b.m / lanes);
      b.mr = tile.mr, b.nv = tile.nv;
    };
    cut();
    while (WinogradWeightGrad(*this, b).workspace().thread_bytes > kMaxThreadBytes &&
           (outputs > kLeastOutputs || b.k > lanes)) {
      if (outputs > kLeastOutputs)
        outputs = outputs * 3 / 4;
      else
        b.k = round_up(b.k / 2, lanes);
      cut();
    }

    const int64_t apart = grid_.terms() * channel_blocks(b);
    const int64_t wanted = ceil_div(worthwhile_tasks(p_.flops(), kMaxTasks), apart);
    const int64_t affordable =
        kMaxPartialBytes / std::max<int64_t>(1, static_cast<int64_t>(sizeof(T)) * partial_count());
    b.chunks = std::clamp<int64_t>(std::min(wanted, affordable), 1, grid_.blocks(b));
  }

  // Of the whole problem, on one thread; as in correlate.cpp.
  double cost() const {
    constexpr double kMoved = 7, kCall = 30, kTransform = 4;
    const auto number = [](int64_t x) { return static_cast<double>(x); };
    const Blocks& b = blocks_;
    const TileBlock block = grid_.first_block(b);
    const double ic_vectors = number(b.k / kernels_.lanes), oc_vectors = number(b.m / kernels_.lanes);
    const double all_terms = grid_.sum([&](const TileTerm& t) {
      const EvenSplit m = EvenSplit::of_at_most(t.groups() * b.k, b.mr),
                      v = EvenSplit::of_at_most(b.m / kernels_.lanes, b.nv);
      const double tiles = number(b.images * t.image_tiles(block)), points = number(t.points());
      const double products = t.sum_of_frequencies(t.kinds(block), [&](int64_t image_tiles) {
        return number(b.images * image_tiles) * product_cycles(m, v) +
               number(m.parts * v.parts) * (kCall + 3 * number(m.largest() * v.largest()));
      });
      const double sources =
          tiles * number(t.groups()) * points * kTransform +
          number(b.images * t.h.classes() * t.h.span(b.rows) * t.w.axis().stride * t.w.span(b.cols)) * kMoved;
      const double gradients = tiles * points * kTransform + number(b.images * b.rows * b.cols) * kMoved;
      const double ends = number(t.groups() * b.k) * oc_vectors * points * kTransform;
      return number(grid_.blocks(b)) * (products + ic_vectors * sources + oc_vectors * gradients) +
             number(b.chunks) * ends;
    });
    return number(channel_blocks(b)) * all_terms;
  }

  KernelName kernel() const {
    return {.shape = "outer_product_rows", .mr = blocks_.mr, .nr = blocks_.nv * kernels_.lanes};
  }

  Workspace workspace() const {
    const int64_t partials = in_place() ? 0 : blocks_.chunks * partial_count();
    size_t most = 0;
    for (int64_t i = 0; i < grid_.terms(); ++i) most = std::max(most, Scratch(*this, grid_.term(i), nullptr).bytes);
    return {align_up(sizeof(FiniteFlag)) + align_up(sizeof(T) * static_cast<size_t>(partials)), most};
  }

  void run(const Workspace& workspace, const Operands& o, const Context& context) const {
    FiniteFlag& finite = *new (context.shared()) FiniteFlag(true);
    T* partials = reinterpret_cast<T*>(context.shared() + align_up(sizeof(FiniteFlag)));
    T* weight = o.written<T>(o.weight);
    const EvenSplit ic = lane_blocks(ic_, blocks_.k), oc = lane_blocks(oc_, blocks_.m);
    const EvenSplit chunks{grid_.blocks(blocks_), blocks_.chunks}, terms{grid_.terms(), in_place() ? 1 : grid_.terms()};
    parallel_for(
        context.threads, terms.parts * p_.g * ic.parts * oc.parts * chunks.parts, [&](int64_t task, int thread) {
          const int64_t chunk = take_index(task, chunks.parts), oi = take_index(task, oc.parts),
                        ii = take_index(task, ic.parts), g = take_index(task, p_.g);
          const Terms part{terms.begin(task), terms.begin(task + 1)};
          const Channels channels{g, ic.begin(ii) * ic_.lanes, std::min(ic_.channels, ic.begin(ii + 1) * ic_.lanes),
                                  oc.begin(oi) * oc_.lanes, std::min(oc_.channels, oc.begin(oi + 1) * oc_.lanes)};
          std::byte* memory = context.of_thread(workspace, thread);
          for (int64_t i = part.begin; i < part.end; ++i) {
            Scratch s(*this, grid_.term(i), memory);
            for (int64_t block = chunks.begin(chunk); block < chunks.begin(chunk + 1); ++block)
              add_block(i, grid_.block(blocks_, block), channels, block == chunks.begin(chunk), o, s);
          }
          const Scratch s(*this, grid_.term(part.begin), memory);
          if (!finish(part, channels, partials + chunk * partial_count(), weight, s))
            finite.store(false, std::memory_order_relaxed);
        });
    if (!finite.load()) return sum_directly(p_, isa_, o, context);
    if (!in_place()) reduce(partials, weight, context);
    if (p_.bias) sum_output(static_cast<const T*>(o.output), o.written<T>(o.bias), context.threads);
  }

 private:
  // The same problem with other blocks.
  WinogradWeightGrad(const WinogradWeightGrad& other, const Blocks& blocks) : WinogradWeightGrad(other) {
    blocks_ = blocks;
  }

  static constexpr int64_t kSums = 36 * 64 * 128, kTaskChannels = 128;
  static constexpr int64_t kSquareOutputs = 512, kLineOutputs = 384, kLeastOutputs = 128;
  static constexpr int64_t kMaxTasks = 64, kTasksInPlace = 8;
  static constexpr int64_t kMaxPartialBytes = 1 << 20;

  struct Terms {
    int64_t begin, end;
  };

  struct Channels {
    int64_t g, ic0, ic1, oc0, oc1;
    // With those that fill the last vector.
    int64_t padded(int64_t lanes) const { return round_up(ic1 - ic0, lanes); }
    int64_t width(int64_t lanes) const { return round_up(oc1 - oc0, lanes); }
  };

  // The sums of all terms, and what the tiles of one need.
  struct Scratch {
    ScratchAllocator take;
    T *sums, *taps, *check;
    ChannelPanel<T> source_panel, gradient_panel;
    WinogradTile* tiles;
    int64_t *a_offset, *b_offset;
    T *source, *gradient;
    size_t bytes;
    Scratch(const WinogradWeightGrad& s, const TileTerm& t, std::byte* memory)
        : take(memory),
          sums(take.array<T>(s.sums_before(s.grid_.terms(), s.blocks_.k, s.blocks_.m))),
          taps(take.array<T>(s.in_place() ? s.blocks_.k * s.p_.taps() * s.kernels_.lanes : 0)),
          check(take.array<T>(s.kernels_.lanes)),
          source_panel(t.h.positions(), t.w.positions(), s.p_.ih, s.p_.iw, PaddingMode::kZeros, s.isa_,
                       t.h.span(s.blocks_.rows), t.w.span(s.blocks_.cols), take),
          gradient_panel(own_positions(s.p_.oh), own_positions(s.p_.ow), s.p_.oh, s.p_.ow, PaddingMode::kZeros, s.isa_,
                         s.blocks_.rows, s.blocks_.cols, take) {
      const Blocks& b = s.blocks_;
      const int64_t image = t.image_tiles(s.grid_.first_block(b)), count = b.images * image, lanes = s.kernels_.lanes;
      tiles = take.array<WinogradTile>(image);
      a_offset = take.array<int64_t>(count);
      b_offset = take.array<int64_t>(count);
      source = take.array<T>(t.points() * frequency_pitch(count, t.groups() * b.k, lanes));
      gradient = take.array<T>(t.points() * frequency_pitch(count, b.m, lanes));
      bytes = take.bytes();
    }
  };

  static Axis own_positions(int64_t size) { return {.out = size, .in = size, .taps = 1}; }
  int64_t channel_blocks(const Blocks& b) const {
    return p_.g * lane_blocks(ic_, b.k).parts * lane_blocks(oc_, b.m).parts;
  }
  // Does a task have all terms of a single chunk, and write to the weight itself? (If that leaves enough tasks.)
  bool in_place() const {
    return blocks_.chunks <= 1 && (grid_.terms() == 1 || channel_blocks(blocks_) >= kTasksInPlace);
  }
  // Where the sums [f][(group of taps, input channel)][output channel] of a term begin.
  int64_t sums_before(int64_t term, int64_t padded, int64_t width) const {
    int64_t numbers = 0;
    for (int64_t i = 0; i < term; ++i) {
      const TileTerm t = grid_.term(i);
      numbers += t.points() * frequency_pitch(t.groups() * padded, width, kernels_.lanes);
    }
    return numbers;
  }
  int64_t sums_before(int64_t term, const Channels& c) const {
    return sums_before(term, c.padded(kernels_.lanes), c.width(kernels_.lanes));
  }

  void add_block(int64_t term, const TileBlock& b, const Channels& c, bool first, const Operands& o, Scratch& s) const {
    const TileTerm t = grid_.term(term);
    const TileKinds kinds = t.kinds(b);
    const int64_t lanes = kernels_.lanes, steps = t.groups() * c.padded(lanes), width = c.width(lanes),
                  count = b.images * kinds.all();
    s.source_panel.prepare(b.r0, t.h.span(b.r1 - b.r0), b.c0, t.w.span(b.c1 - b.c0));
    s.gradient_panel.prepare(b.r0, b.r1 - b.r0, b.c0, b.c1 - b.c0);
    t.list(b, s.source_panel.pitch(), s.gradient_panel.pitch(), lanes, s.tiles);
    transform_source(t, b, c, kinds, o, s);
    transform_gradient(t, b, c, kinds, o, s);

    const EvenSplit m = EvenSplit::of_at_most(steps, blocks_.mr), v = EvenSplit::of_at_most(width / lanes, blocks_.nv);
    T* sums = s.sums + sums_before(term, c);
    const T* row[kOuterProductMaxMr];
    OuterProductArgs<T> args{};
    args.rows = row, args.a_offset = s.a_offset, args.b_offset = s.b_offset;
    args.c_stride = width, args.start = first ? Start::kZero : Start::kAdd;
    for (int64_t i = 0; i < count; ++i) s.a_offset[i] = i * steps, s.b_offset[i] = i * width;
    t.each_frequency(kinds, [&](int64_t f, const TileKinds::Range& image_tiles) {
      const int64_t tile0 = b.images * image_tiles.begin;
      const T* source = s.source + f * frequency_pitch(count, steps, lanes) + tile0 * steps;
      args.steps = b.images * image_tiles.end - tile0;
      for (int64_t vi = 0; vi < v.parts; ++vi) {
        const int64_t at = v.begin(vi) * lanes;
        args.b = s.gradient + f * frequency_pitch(count, width, lanes) + tile0 * width + at;
        args.columns = v.length(vi) * lanes;
        for (int64_t mi = 0; mi < m.parts; ++mi) {
          for (int64_t r = 0; r < m.length(mi); ++r) row[r] = source + m.begin(mi) + r;
          args.c = sums + f * frequency_pitch(steps, width, lanes) + m.begin(mi) * width + at;
          products_.rows[v.length(vi) - 1][m.length(mi) - 1](args);
        }
      }
    });
  }

  // [f][tile][group of taps][input channel]
  void transform_source(const TileTerm& t, const TileBlock& b, const Channels& c, const TileKinds& kinds,
                        const Operands& o, const Scratch& s) const {
    const int64_t lanes = kernels_.lanes, padded = c.padded(lanes), steps = t.groups() * padded,
                  pitch = s.source_panel.pitch(), f_pitch = frequency_pitch(b.images * kinds.all(), steps, lanes);
    const TileStrides strides = t.source_strides(pitch, lanes);
    const ChannelView<const T> input(static_cast<const T*>(o.input), p_.input_layout, p_.ic, p_.input_pixels());
    for (int64_t i = 0; i < b.images; ++i)
      for (int64_t ic = c.ic0; ic < c.ic1; ic += lanes) {
        s.source_panel.fill(input, b.n0 + i, c.g * ic_.channels + ic, std::min(lanes, c.ic1 - ic));
        t.each_group([&](int64_t group, int64_t gh, int64_t gw) {
          const T* x = s.source_panel.data() + s.source_panel.tap_offset(t.h.group_class(gh), t.w.group_class(gw)) +
                       t.h.group_shift(gh) * pitch + t.w.group_shift(gw) * lanes;
          T* v = s.source + group * padded + ic - c.ic0;
          kinds.each(b.images, i, [&](int64_t tile, int64_t row, int64_t count) {
            t.transforms(kernels_).source(
                {x, strides.h, strides.w, s.tiles + tile, count, v + row * steps, steps, f_pitch});
          });
        });
      }
  }

  // [f][tile][output channel]
  void transform_gradient(const TileTerm& t, const TileBlock& b, const Channels& c, const TileKinds& kinds,
                          const Operands& o, const Scratch& s) const {
    const int64_t lanes = kernels_.lanes, width = c.width(lanes),
                  f_pitch = frequency_pitch(b.images * kinds.all(), width, lanes);
    const TileStrides strides = t.source_strides(s.gradient_panel.pitch(), lanes);
    const ChannelView<const T> output(static_cast<const T*>(o.output), p_.output_layout, p_.oc, p_.output_pixels());
    for (int64_t i = 0; i < b.images; ++i)
      for (int64_t oc = c.oc0; oc < c.oc1; oc += lanes) {
        s.gradient_panel.fill(output, b.n0 + i, c.g * oc_.channels + oc, std::min(lanes, c.oc1 - oc));
        T* d = s.gradient + oc - c.oc0;
        kinds.each(b.images, i, [&](int64_t tile, int64_t row, int64_t count) {
          t.transforms(kernels_).gradient(
              {s.gradient_panel.data(), strides.h, strides.w, s.tiles + tile, count, d + row * width, width, f_pitch});
        });
      }
  }

  // A chunk's sums: [g][(ic, kh, kw)][oc], whole vectors.
  int64_t partial_row() const { return oc_.count() * oc_.lanes; }
  int64_t partial_count() const { return p_.g * ic_.channels * p_.taps() * partial_row(); }

  // From the sums to the weight or, if there are chunks to add, to the partial sums. False if a number is not finite.
  bool finish(const Terms& terms, const Channels& c, T* partial, T* weight, const Scratch& s) const {
    const int64_t lanes = kernels_.lanes, row = partial_row(), taps = p_.taps();
    std::fill_n(s.check, lanes, T(0));
    for (int64_t oc = c.oc0; oc < c.oc1; oc += lanes)
      if (in_place()) {
        filter_grad(terms, c, oc, s.taps, lanes, s);
        store(s.taps, lanes, c.ic0 * taps, (c.ic1 - c.ic0) * taps, std::min(lanes, c.oc1 - oc),
              weight + (c.g * oc_.channels + oc) * ic_.channels * taps);
      } else {
        filter_grad(terms, c, oc, partial + (c.g * ic_.channels + c.ic0) * taps * row + oc, row, s);
      }
    return std::none_of(s.check, s.check + lanes, [](T x) { return x != x; });
  }

  // From the frequencies to the taps of a vector of output channels: rows (ic, kh, kw), `row` numbers apart.
  void filter_grad(const Terms& terms, const Channels& c, int64_t oc, T* to, int64_t row, const Scratch& s) const {
    const int64_t lanes = kernels_.lanes, padded = c.padded(lanes), width = c.width(lanes);
    if (terms.begin == 0) clear_unread_taps(c.ic1 - c.ic0, to, row);
    for (int64_t i = terms.begin; i < terms.end; ++i) {
      const TileTerm t = grid_.term(i);
      const T* sums = s.sums + sums_before(i, c) + oc - c.oc0;
      t.each_group([&](int64_t group, int64_t gh, int64_t gw) {
        WinogradFilterGradArgs<T> args{};
        args.u = sums + group * padded * width, args.u_filter = width;
        args.u_frequency = frequency_pitch(t.groups() * padded, width, lanes), args.count = c.ic1 - c.ic0;
        args.w = to + (t.h.weight_tap(gh) * p_.kw + t.w.weight_tap(gw)) * row, args.w_filter = p_.taps() * row;
        args.w_h = t.h.weight_step() * p_.kw * row, args.w_w = t.w.weight_step() * row;
        args.taps_h = static_cast<int32_t>(t.h.taps(gh)), args.taps_w = static_cast<int32_t>(t.w.taps(gw));
        args.check = s.check;
        t.transforms(kernels_).filter_grad(args);
      });
    }
  }

  // The taps that read only padding belong to no term.
  void clear_unread_taps(int64_t channels, T* to, int64_t row) const {
    const TileAxes &h = grid_.h(), &w = grid_.w();
    if (h.taps() * w.taps() == p_.taps()) return;
    for (int64_t ic = 0; ic < channels; ++ic)
      for (int64_t kh = 0; kh < p_.kh; ++kh)
        for (int64_t kw = 0; kw < p_.kw; ++kw, to += row)
          if (!h.reads(kh) || !w.reads(kw)) std::fill_n(to, kernels_.lanes, T(0));
  }

  void reduce(T* partials, T* weight, const Context& context) const {
    const int64_t rows = ic_.channels * p_.taps(), row = partial_row();
    const EvenSplit m = EvenSplit::of_at_most(rows, kReduceRows);
    parallel_for(context.threads, p_.g * m.parts, [&](int64_t task, int) {
      const int64_t mi = take_index(task, m.parts), g = task, first = m.begin(mi), count = m.length(mi);
      T* sum = partials + (g * rows + first) * row;
      add_chunks(sum, sum + partial_count(), partial_count(), blocks_.chunks, count * row);
      store(sum, row, first, count, oc_.channels, weight + g * oc_.channels * rows);
    });
  }

  // Brings rows of sums, (ic, kh, kw) from `first` on, to the weight of so many output channels.
  void store(const T* sum, int64_t row, int64_t first, int64_t count, int64_t channels, T* weight) const {
    const int64_t taps = p_.taps(), rows = ic_.channels * taps;
    if (p_.weight_layout == Layout::kChannelsFirst) return transpose_(sum, row, count, channels, weight + first, rows);
    for (int64_t r = first; r < std::min(first + count, first + taps); ++r)
      transpose_(sum + (r - first) * row, taps * row, ceil_div(first + count - r, taps), channels,
                 weight + r % taps * ic_.channels + r / taps, rows);
  }

  void sum_output(const T* output, T* bias, int threads) const {
    if (p_.output_layout == Layout::kChannelsFirst)
      return parallel_for(threads, p_.oc, [&](int64_t oc, int) {
        const int64_t pixels = p_.output_pixels();
        bias[oc] = static_cast<T>(rows_.sum(output + oc * pixels, pixels, p_.n, p_.oc * pixels));
      });
    constexpr int64_t kChannels = 16;  // a cache line
    parallel_for(threads, ceil_div(p_.oc, kChannels), [&](int64_t task, int) {
      const int64_t c0 = task * kChannels, channels = std::min(kChannels, p_.oc - c0);
      double sums[kChannels] = {};
      for (int64_t px = 0; px < p_.n * p_.output_pixels(); ++px)
        for (int64_t c = 0; c < channels; ++c) sums[c] += output[px * p_.oc + c0 + c];
      for (int64_t c = 0; c < channels; ++c) bias[c0 + c] = static_cast<T>(sums[c]);
    });
  }

  static constexpr int64_t kReduceRows = 64;

  const ConvProblem& p_;
  Isa isa_;
  Blocks blocks_;
  const OuterProductTiles<T>& products_;
  const WinogradKernels<T>& kernels_;
  const RowKernels<T>& rows_;
  TransposeFn<T> transpose_;
  TileGrid grid_;
  LaneGroups ic_, oc_;
};

}  // namespace

extern constexpr Method kWinogradWeightGrad = method<WinogradWeightGrad>();

}  // namespace convext
