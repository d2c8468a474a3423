// Output pass and input gradient by F(4, 2), F(4, 3) and F(4, 4) along every axis that has more than one tap. Channels
// are in the lanes of all three transforms; between them each frequency is a matrix product, tiles x destination
// channels, summed over source channels (and over groups of taps). A task owns a block of tiles, of all terms, and of
// destination channels: for each block of source channels it brings the tiles into the panel, transforms them and
// multiplies, so the transformed source and the sums stay in the L2 cache, and neither is ever in memory as a whole.
#include <new>
#include <span>

#include "algorithms/channel_panel.h"
#include "algorithms/correlation.h"
#include "algorithms/winograd/filters.h"
#include "algorithms/winograd/tile_grid.h"
#include "algorithms/winograd/winograd.h"
#include "core/parallel.h"

namespace convext {
namespace {

template <typename T>
class WinogradCorrelation {
 public:
  WinogradCorrelation(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : p_(p),
        c_(p),
        isa_(isa),
        blocks_(blocks),
        tiles_(outer_product<T>(isa)),
        kernels_(winograd<T>(isa)),
        transpose_(transpose<T>(isa)),
        rows_(rows<T>(isa)),
        grid_(TileGrid::of(c_)),
        k_lanes_{c_.k, kernels_.lanes},
        m_lanes_{c_.m, kernels_.lanes} {}

  void plan(Blocks& b) const {
    int64_t outputs = kOutputs;
    cut(b, outputs);
    while (WinogradCorrelation(*this, b).workspace().thread_bytes > kMaxThreadBytes && outputs > 1)
      cut(b, outputs = outputs * 3 / 4);
  }

  // Of the whole problem, on one thread. A transform takes about a cycle an instruction, as does what moves a vector.
  double cost() const {
    constexpr double kMoved = 7, kCall = 30;         // a vector transposed and copied; a call of a register tile
    constexpr double kSource = 4, kDestination = 4;  // of a frequency
    const auto number = [](int64_t x) { return static_cast<double>(x); };
    const Blocks& b = blocks_;
    const TileBlock block = grid_.first_block(b);
    const WinogradFilters<T> filters = this->filters();
    const EvenSplit& slices = filters.slices();
    const double m_vectors = number(m_lanes_.count());
    const double products = grid_.sum([&](const TileTerm& t) {
      return t.sum_of_frequencies(t.kinds(block), [&](int64_t image_tiles) {
        const EvenSplit rows = EvenSplit::of_at_most(b.images * image_tiles, b.mr);
        return number(t.groups() * c_.k) * product_cycles(rows, EvenSplit::of_at_most(m_lanes_.count(), b.nv)) +
               number(rows.parts * slices.parts * filters.k().parts) *
                   (kCall + 2 * number(rows.largest() * slices.largest()));
      });
    });
    const auto transforms = [&](const auto& groups) {
      return number(b.images) *
             grid_.sum([&](const TileTerm& t) { return number(t.image_tiles(block) * t.points() * groups(t)); });
    };
    const double sources = kSource * transforms([](const TileTerm& t) { return t.groups(); }) +
                           kMoved * number(b.images * panel_vectors(block));
    const double destinations =
        kDestination * transforms([](const TileTerm&) { return 1; }) +
        kMoved * number(b.images * b.rows * b.cols * grid_.h().out_step() * grid_.w().out_step());
    const double blocks = number(grid_.blocks(b)), m_tasks = number(ceil_div(m_lanes_.count() * kernels_.lanes, b.m));
    return number(c_.g) *
           (filters.cost(grid_.blocks(b), b.packed_weights) +
            blocks * (products + m_tasks * number(k_lanes_.count()) * sources + m_vectors * destinations));
  }

  KernelName kernel() const {
    return {.shape = "outer_product_rows", .mr = blocks_.mr, .nr = blocks_.nv * kernels_.lanes};
  }

  Workspace workspace() const {
    return {
        align_up(sizeof(FiniteFlag)) +
            (blocks_.packed_weights ? align_up(sizeof(T) * static_cast<size_t>(c_.g * filters().group_count())) : 0),
        Scratch(*this, nullptr).bytes};
  }

  void run(const Workspace& workspace, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(p_, operands);
    FiniteFlag& finite = *new (context.shared()) FiniteFlag(true);
    T* packed = reinterpret_cast<T*>(context.shared() + align_up(sizeof(FiniteFlag)));
    if (blocks_.packed_weights)
      filters().transform_all(o.weight, packed, context.threads,
                              [&](int thread) { return Scratch(*this, context.of_thread(workspace, thread)).weight; });
    const int64_t pixel_tasks = grid_.blocks(blocks_) * c_.g;
    const EvenSplit slices = filters().slices();
    const EvenSplit m = {slices.parts,
                         std::min(slices.parts, std::max(ceil_div(m_lanes_.count(), blocks_.m / kernels_.lanes),
                                                         ceil_div(context.threads, pixel_tasks)))};
    parallel_for(context.threads, pixel_tasks * m.parts, [&](int64_t task, int thread) {
      const int64_t mi = take_index(task, m.parts), g = take_index(task, c_.g);
      const TileBlock block = grid_.block(blocks_, task);
      const Slices part{m.begin(mi), m.begin(mi + 1)};
      Scratch s(*this, context.of_thread(workspace, thread));
      if (!compute(block, g, part, packed, o, s)) finite.store(false, std::memory_order_relaxed);
    });
    if (!finite.load()) sum_directly(p_, isa_, operands, context);
  }

 private:
  // Slices of destination channels, as wide as a register tile.
  struct Slices {
    int64_t begin, end;
  };

  // A term of a block: parts h and w; the tiles of an image; its matrices.
  struct Term {
    TileTerm tiles;
    WinogradTile* list;
    TileKinds kinds;
    int64_t h, w;
    T *source, *sums;
  };

  struct Scratch {
    ScratchAllocator take;
    ChannelPanel<T> panel;
    Term* terms;
    WinogradTile* tiles;
    int64_t *a_offset, *b_offset;
    T *source, *sums, *result, *weight, *filter, *bias, *check;
    size_t bytes;
    Scratch(const WinogradCorrelation& s, std::byte* memory)
        : take(memory),
          panel(s.h().positions(), s.w().positions(), s.c_.in_h, s.c_.in_w, PaddingMode::kZeros, s.isa_,
                s.h().span(s.blocks_.rows), s.w().span(s.blocks_.cols), take) {
      const Blocks& b = s.blocks_;
      const TileBlock block = s.grid_.first_block(b);
      const int64_t lanes = s.kernels_.lanes;
      const auto matrices = [&](const auto& channels) {
        return s.grid_.sum([&](const TileTerm& t) {
          return t.points() * frequency_pitch(b.images * t.image_tiles(block), channels(t), lanes);
        });
      };
      const int64_t groups = s.grid_.most_groups();
      terms = take.array<Term>(s.grid_.terms());
      tiles = take.array<WinogradTile>(s.grid_.sum([&](const TileTerm& t) { return t.image_tiles(block); }));
      a_offset = take.array<int64_t>(groups * b.k);
      b_offset = take.array<int64_t>(groups * b.k);
      source = take.array<T>(matrices([&](const TileTerm& t) { return t.groups() * b.k; }));
      sums = take.array<T>(matrices([&](const TileTerm&) { return s.task_lanes(); }));
      result = take.array<T>(s.result_pitch(b.cols) * b.rows * s.h().out_step());
      weight = take.array<T>(b.k * s.c_.taps() * lanes);
      filter = take.array<T>(b.packed_weights ? 0 : s.filters().slice_count());
      bias = take.array<T>(lanes);
      check = take.array<T>(lanes);
      bytes = take.bytes();
    }
  };

  // The same problem with other blocks.
  WinogradCorrelation(const WinogradCorrelation& other, const Blocks& blocks) : WinogradCorrelation(other) {
    blocks_ = blocks;
  }

  // Positions of a block, source channels (times groups of taps) of a product, destination channels of a task. Sizes
  // from half to twice these were within 7 %; these take up to 1.9 MiB a thread.
  static constexpr int64_t kOutputs = 1024, kSteps = 64, kStepsOfTerms = 32, kTaskChannels = 128;

  // Blocks of at most about so many positions: whole images, or whole rows of tiles, or parts of one.
  void cut(Blocks& b, int64_t outputs) const {
    const int64_t lanes = kernels_.lanes;
    grid_.cut(b, outputs);
    const TileTerm largest = grid_.largest();
    b.k = lane_blocks(k_lanes_, (grid_.terms() > 1 ? kStepsOfTerms : kSteps) / grid_.most_groups()).largest() * lanes;
    b.m = lane_blocks(m_lanes_, kTaskChannels).largest() * lanes;
    const Tile tile = best_tile(tiles_, false, b.images * largest.image_tiles(grid_.first_block(b)), m_lanes_.count());
    b.mr = tile.mr, b.nv = tile.nv;
    const int64_t blocks = grid_.blocks(b);
    const WinogradFilters<T> filters(p_, c_, grid_, b, isa_);
    b.packed_weights = filters.cost(blocks, true) < filters.cost(blocks, false);
  }

  int64_t panel_vectors(const TileBlock& b) const {
    return ChannelPanel<T>::vectors(h().positions(), w().positions(), h().span(b.r1 - b.r0), w().span(b.c1 - b.c0));
  }

  // It refers to members of this object, and is made where it is used.
  WinogradFilters<T> filters() const { return {p_, c_, grid_, blocks_, isa_}; }

  const TileAxes& h() const { return grid_.h(); }
  const TileAxes& w() const { return grid_.w(); }
  // A row of the result's block: the positions of all phases.
  int64_t result_pitch(int64_t cols) const { return cols * w().out_step() * kernels_.lanes; }
  // Destination channels of a task, with those that fill the last vector.
  int64_t task_lanes() const {
    const EvenSplit slices = filters().slices();
    return std::min(m_lanes_.count(),
                    ceil_div(slices.parts, ceil_div(m_lanes_.count(), blocks_.m / kernels_.lanes)) * slices.largest()) *
           kernels_.lanes;
  }

  bool compute(const TileBlock& block, int64_t g, const Slices& part, const T* packed, const CorrelationOperands<T>& o,
               Scratch& s) const {
    s.panel.prepare(block.r0, h().span(block.r1 - block.r0), block.c0, w().span(block.c1 - block.c0));
    list_terms(block, s);
    const EvenSplit k = filters().k();
    for (int64_t ki = 0; ki < k.parts; ++ki) {
      transform_source(block, g, k.begin(ki), k.length(ki), o, s);
      multiply(block.images, g, ki, part, packed, o, s);
    }
    return transform_sums(block, g, part, o, s);
  }

  void list_terms(const TileBlock& b, const Scratch& s) const {
    WinogradTile* list = s.tiles;
    T *source = s.source, *sums = s.sums;
    for (int64_t i = 0; i < grid_.terms(); ++i) {
      const TileTerm tiles = grid_.term(i);
      tiles.list(b, s.panel.pitch(), result_pitch(b.c1 - b.c0), kernels_.lanes, list);
      const Term& t =
          *new (&s.terms[i]) Term{tiles, list, tiles.kinds(b), i / w().count(), i % w().count(), source, sums};
      list += t.kinds.all();
      source +=
          t.tiles.points() * frequency_pitch(b.images * t.kinds.all(), t.tiles.groups() * blocks_.k, kernels_.lanes);
      sums += t.tiles.points() * frequency_pitch(b.images * t.kinds.all(), task_lanes(), kernels_.lanes);
    }
  }

  // [f][tile][group of taps][channel] of the block of source channels, term by term.
  void transform_source(const TileBlock& b, int64_t g, int64_t k0, int64_t channels, const CorrelationOperands<T>& o,
                        const Scratch& s) const {
    const int64_t lanes = kernels_.lanes, padded = round_up(channels, lanes);
    const ChannelView<const T> source(o.source, p_.input_layout, c_.g * c_.k, c_.in_pixels());
    for (int64_t i = 0; i < b.images; ++i)
      for (int64_t c = 0; c < channels; c += lanes) {
        s.panel.fill(source, b.n0 + i, g * c_.k + k0 + c, std::min(lanes, channels - c));
        for (const Term& t : std::span(s.terms, static_cast<size_t>(grid_.terms()))) {
          const int64_t steps = t.tiles.groups() * padded;
          const TileStrides strides = t.tiles.source_strides(s.panel.pitch(), lanes);
          t.tiles.each_group([&](int64_t group, int64_t gh, int64_t gw) {
            WinogradSourceArgs<T> args{};
            args.x = s.panel.data() +
                     s.panel.tap_offset(h().first_class(t.h) + t.tiles.h.group_class(gh),
                                        w().first_class(t.w) + t.tiles.w.group_class(gw)) +
                     (h().shift(t.h) + t.tiles.h.group_shift(gh)) * s.panel.pitch() +
                     (w().shift(t.w) + t.tiles.w.group_shift(gw)) * lanes;
            args.x_h = strides.h, args.x_w = strides.w;
            args.v_tile = steps, args.v_frequency = frequency_pitch(b.images * t.kinds.all(), steps, lanes);
            t.kinds.each(b.images, i, [&](int64_t tile, int64_t row, int64_t count) {
              args.tiles = t.list + tile, args.count = count;
              args.v = t.source + row * steps + group * padded + c;
              t.tiles.transforms(kernels_).source(args);
            });
          });
        }
      }
  }

  // Adds the block's products to the sums [f][tile][destination channel of the task], term by term.
  void multiply(int64_t images, int64_t g, int64_t ki, const Slices& part, const T* packed,
                const CorrelationOperands<T>& o, const Scratch& s) const {
    const WinogradFilters<T> filters = this->filters();
    const EvenSplit& slices = filters.slices();
    const int64_t lanes = kernels_.lanes, pitch = task_lanes(), channels = filters.k().length(ki),
                  padded = round_up(channels, lanes);
    const T* row[kOuterProductMaxMr];
    OuterProductArgs<T> args{};
    args.rows = row, args.a_offset = s.a_offset, args.b_offset = s.b_offset;
    args.c_stride = pitch, args.start = ki == 0 ? Start::kZero : Start::kAdd;
    for (int64_t slice = part.begin; slice < part.end; ++slice) {
      const int64_t nv = slices.length(slice), width = nv * lanes;
      args.b = s.filter, args.columns = width;
      if (blocks_.packed_weights)
        args.b = packed + g * filters.group_count() + filters.offset(ki, slice);
      else
        filters.transform(o.weight, g, ki, slice, s.filter, s.weight);
      for (const Term& t : std::span(s.terms, static_cast<size_t>(grid_.terms()))) {
        const int64_t count = images * t.kinds.all(), groups = t.tiles.groups();
        args.steps = groups * channels;
        for (int64_t i = 0; i < args.steps; ++i) {
          s.a_offset[i] = i / channels * padded + i % channels;
          s.b_offset[i] = i * width;
        }
        t.tiles.each_frequency(t.kinds, [&](int64_t f, const TileKinds::Range& image_tiles) {
          const T* source = t.source + f * frequency_pitch(count, groups * padded, lanes);
          T* sums = t.sums + f * frequency_pitch(count, pitch, lanes) +
                    (slices.begin(slice) - slices.begin(part.begin)) * lanes;
          EvenSplit::of_at_most(images * (image_tiles.end - image_tiles.begin), blocks_.mr)
              .each([&](int64_t begin, int64_t mr) {
                const int64_t first = images * image_tiles.begin + begin;
                for (int64_t r = 0; r < mr; ++r) row[r] = source + (first + r) * groups * padded;
                args.c = sums + first * pitch;
                if (mr > 0) tiles_.rows[nv - 1][mr - 1](args);
              });
          args.b += filters.pitch(t.tiles, channels, slice);
        });
      }
    }
  }

  bool transform_sums(const TileBlock& b, int64_t g, const Slices& part, const CorrelationOperands<T>& o,
                      const Scratch& s) const {
    const EvenSplit slices = filters().slices();
    const int64_t lanes = kernels_.lanes, pitch = task_lanes(), first = slices.begin(part.begin);
    const int64_t row = result_pitch(b.c1 - b.c0), r0 = b.r0 * h().out_step(), c0 = b.c0 * w().out_step();
    const int64_t rows = std::min(b.r1 * h().out_step(), c_.out_h) - r0,
                  cols = std::min(b.c1 * w().out_step(), c_.out_w) - c0;
    const ChannelView<T> destination(o.destination, p_.input_layout, c_.g * c_.m, c_.out_pixels());
    std::fill_n(s.check, lanes, T(0));
    for (int64_t v = first; v < slices.begin(part.end); ++v) {
      const int64_t m0 = m_lanes_.begin(v), channels = m_lanes_.length(v);
      std::fill_n(s.bias, lanes, T(0));
      if (o.bias != nullptr) std::copy_n(o.bias + g * c_.m + m0, channels, s.bias);
      for (int64_t i = 0; i < b.images; ++i) {
        for (int64_t term = 0; term < grid_.terms(); ++term) {
          const Term& t = s.terms[term];
          const TileStrides strides = t.tiles.destination_strides(row, lanes);
          WinogradDestinationArgs<T> args{};
          args.m_tile = pitch, args.m_frequency = frequency_pitch(b.images * t.kinds.all(), pitch, lanes);
          args.check = s.check;
          args.bias = c_.output_pass && term > 0 ? nullptr : s.bias;
          args.y = s.result, args.y_h = strides.h, args.y_w = strides.w;
          t.kinds.each(b.images, i, [&](int64_t tile, int64_t at, int64_t count) {
            args.tiles = t.list + tile, args.count = count;
            args.m = t.sums + at * pitch + (v - first) * lanes;
            t.tiles.transforms(kernels_).destination(args);
          });
        }
        T* to = destination.at(b.n0 + i, g * c_.m + m0, r0 * c_.out_w + c0);
        const bool whole = cols == c_.out_w && cols * lanes == row;  // rows adjoin
        const int64_t lines = whole ? 1 : rows, length = whole ? rows * cols : cols;
        for (int64_t r = 0; r < lines; ++r, to += c_.out_w * destination.pixel) {
          const T* from = s.result + r * row;
          if (destination.channel == 1)
            rows_.copy({to, destination.pixel, from, lanes, length, 0, 1, channels, channels});
          else
            transpose_(from, lanes, length, channels, to, destination.channel);
        }
      }
    }
    return std::none_of(s.check, s.check + lanes, [](T x) { return x != x; });
  }

  const ConvProblem& p_;
  Correlation c_;
  Isa isa_;
  Blocks blocks_;
  const OuterProductTiles<T>& tiles_;
  const WinogradKernels<T>& kernels_;
  TransposeFn<T> transpose_;
  const RowKernels<T>& rows_;
  TileGrid grid_;
  LaneGroups k_lanes_, m_lanes_;
};

}  // namespace

extern constexpr Method kWinogradCorrelation = method<WinogradCorrelation>();

}  // namespace convext
