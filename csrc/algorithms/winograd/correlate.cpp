// Output pass and input gradient by F(4, 3) along every axis that has more than one tap. Channels are in the lanes
// of all three transforms; between them each frequency is a matrix product, tiles x destination channels, summed
// over source channels (and over groups of three taps). A task owns a block of tiles and of destination channels:
// for each block of source channels it brings the tiles into the panel, transforms them and multiplies, so the
// transformed source and the sums stay in the L2 cache, and neither is ever in memory as a whole.
#include <atomic>
#include <new>

#include "algorithms/correlation.h"
#include "algorithms/depthwise/channel_panel.h"
#include "algorithms/tiling.h"
#include "algorithms/winograd/tile_axis.h"
#include "algorithms/winograd/winograd.h"
#include "core/parallel.h"

namespace convext {
namespace {

template <typename T>
class WinogradCorrelation {
 public:
  WinogradCorrelation(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : c_(p),
        isa_(isa),
        blocks_(blocks),
        tiles_(outer_product<T>(isa)),
        kernels_(winograd<T>(isa)),
        transpose_(transpose<T>(isa)),
        h_(c_.axis_h(0)),
        w_(c_.axis_w(0)),
        transforms_(h_.transformed() && w_.transformed() ? kernels_.square : kernels_.line),
        k_lanes_{c_.k, kernels_.lanes},
        m_lanes_{c_.m, kernels_.lanes} {}

  void plan(Blocks& b) const {
    int64_t tiles = square() ? kSquareTiles : kLineTiles;
    cut(b, tiles);
    while (WinogradCorrelation(*this, b).workspace().thread_bytes > kMaxThreadBytes && tiles > 1)
      cut(b, tiles = tiles * 3 / 4);
  }

  // Of the whole problem, on one thread. A transform takes about a cycle an instruction, as does what moves a vector.
  double cycles() const {
    constexpr double kMoved = 7, kCall = 30;  // a vector transposed and copied; a call of a register tile
    const double source = square() ? 150 : 20, destination = square() ? 140 : 20, filter = square() ? 180 : 20;
    const auto number = [](int64_t x) { return static_cast<double>(x); };
    const Blocks& b = blocks_;
    const EvenSplit rows = EvenSplit::of_at_most(block_tiles(b), b.mr), slices = slices_of_all();
    const double blocks = number(pixel_blocks(b)), tiles = number(block_tiles(b)), m_vectors = number(m_lanes_.count());
    const double m_tasks = number(ceil_div(m_lanes_.count() * kernels_.lanes, b.m));
    const double products =
        number(points() * groups() * c_.k) * product_cycles(rows, EvenSplit::of_at_most(m_lanes_.count(), b.nv));
    const double calls = number(points() * rows.parts * slices.parts * EvenSplit::of_at_most(c_.k, b.k).parts) *
                         (kCall + 2 * number(rows.largest() * slices.largest()));
    const double sources =
        m_tasks * number(k_lanes_.count()) *
        (tiles * number(groups()) * source + number(b.images * span(h_, b.rows) * span(w_, b.cols)) * kMoved);
    const double destinations = m_vectors * (tiles * destination + number(b.images * b.rows * b.cols) * kMoved);
    const double filters = m_vectors * number(c_.k) * (number(groups()) * filter + number(c_.taps()) * 2 * kMoved);
    return number(c_.g) * (blocks * (products + calls + sources + destinations) +
                           (b.packed_weights ? filters + (1 + blocks) * streamed_cycles() : blocks * filters));
  }

  Workspace workspace() const {
    return {align_up(sizeof(Flag)) +
                (blocks_.packed_weights ? align_up(sizeof(T) * static_cast<size_t>(c_.g * filter_offset(c_.k, 0))) : 0),
            Scratch(*this, nullptr).bytes};
  }

  // False if a result is not finite: transforms spread an infinity over its tile, and may overflow.
  bool run(const Workspace& workspace, const CorrelationOperands<T>& o, const Context& context) const {
    Flag& finite = *new (context.shared()) Flag(true);
    T* filters = reinterpret_cast<T*>(context.shared() + align_up(sizeof(Flag)));
    if (blocks_.packed_weights) transform_filters(o.weight, filters, workspace, context);
    const EvenSplit images = EvenSplit::of_at_most(c_.n, blocks_.images), rows = periods(h_, blocks_.rows),
                    cols = periods(w_, blocks_.cols);
    const int64_t pixel_tasks = images.parts * rows.parts * cols.parts * c_.g;
    const EvenSplit slices = slices_of_all();
    const EvenSplit m = {slices.parts,
                         std::min(slices.parts, std::max(ceil_div(m_lanes_.count(), blocks_.m / kernels_.lanes),
                                                         ceil_div(context.threads, pixel_tasks)))};
    parallel_for(context.threads, pixel_tasks * m.parts, [&](int64_t task, int thread) {
      const auto take = [&task](int64_t parts) {
        const int64_t part = task % parts;
        task /= parts;
        return part;
      };
      const int64_t mi = take(m.parts), ci = take(cols.parts), ri = take(rows.parts), ni = take(images.parts);
      const Block block{images.begin(ni),
                        images.length(ni),
                        rows.begin(ri) * h_.period(),
                        std::min(h_.out(), rows.begin(ri + 1) * h_.period()),
                        cols.begin(ci) * w_.period(),
                        std::min(w_.out(), cols.begin(ci + 1) * w_.period())};
      const Slices part{m.begin(mi), m.begin(mi + 1)};
      Scratch s(*this, context.of_thread(workspace, thread));
      if (!compute(block, task, part, filters, o, s)) finite.store(false, std::memory_order_relaxed);
    });
    return finite.load();
  }

 private:
  using Flag = std::atomic<bool>;

  // Tiles of some images: the output positions [r0, r1) x [c0, c1).
  struct Block {
    int64_t n0, images, r0, r1, c0, c1;
  };
  // Slices of destination channels, as wide as a register tile.
  struct Slices {
    int64_t begin, end;
  };

  struct Scratch {
    ScratchAllocator take;
    ChannelPanel<T> panel;
    WinogradTile* tiles;
    int64_t *a_offset, *b_offset;
    T *source, *sums, *result, *weight, *filter, *bias, *check;
    size_t bytes;
    Scratch(const WinogradCorrelation& s, std::byte* memory)
        : take(memory),
          panel(s.h_.positions(), s.w_.positions(), s.c_.in_h, s.c_.in_w, PaddingMode::kZeros, s.isa_,
                s.span(s.h_, s.blocks_.rows), s.span(s.w_, s.blocks_.cols), take) {
      const Blocks& b = s.blocks_;
      const int64_t lanes = s.kernels_.lanes, count = s.block_tiles(b), steps = s.groups() * b.k;
      tiles = take.array<WinogradTile>(count / b.images);
      a_offset = take.array<int64_t>(steps);
      b_offset = take.array<int64_t>(steps);
      source = take.array<T>(s.points() * s.frequency_pitch(count, steps));
      sums = take.array<T>(s.points() * s.frequency_pitch(count, s.task_lanes()));
      result = take.array<T>(b.rows * b.cols * lanes);
      weight = take.array<T>(b.k * s.c_.taps() * lanes);
      filter = take.array<T>(b.packed_weights ? 0 : s.points() * steps * b.nv * lanes);
      bias = take.array<T>(lanes);
      check = take.array<T>(lanes);
      bytes = take.bytes();
    }
  };

  // The same problem with other blocks.
  WinogradCorrelation(const WinogradCorrelation& other, const Blocks& blocks) : WinogradCorrelation(other) {
    blocks_ = blocks;
  }

  // Tiles of a block, source channels (times groups of taps) of a product, destination channels of a task. Sizes
  // from half to twice these were within 7 %; these take up to 1.9 MiB a thread.
  static constexpr int64_t kSquareTiles = 64, kLineTiles = 128, kSteps = 64, kTaskChannels = 128;

  // Blocks of at most about `tiles` tiles: whole images, or whole rows of tiles, or parts of one.
  void cut(Blocks& b, int64_t tiles) const {
    const auto at_most = [](int64_t size, int64_t most) {
      return EvenSplit::of_at_most(size, std::max<int64_t>(1, most)).largest();
    };
    const int64_t lanes = kernels_.lanes, row = w_.tiles(0, w_.out());
    const int64_t band = h_.tiles(0, std::min(h_.out(), h_.period())) * row, image = h_.tiles(0, h_.out()) * row;
    b.images = at_most(c_.n, tiles / image);
    b.rows = std::min(h_.out(), h_.period() * at_most(h_.periods(), image <= tiles ? h_.periods() : tiles / band));
    b.cols = std::min(w_.out(),
                      w_.period() * at_most(w_.periods(), band <= tiles ? w_.periods() : tiles * w_.periods() / band));
    b.k = at_most(k_lanes_.count(), kSteps / groups() / lanes) * lanes;
    b.m = at_most(m_lanes_.count(), kTaskChannels / lanes) * lanes;
    const Tile tile = best_tile(tiles_, false, block_tiles(b), m_lanes_.count());
    b.mr = tile.mr, b.nv = tile.nv;
    b.packed_weights = pixel_blocks(b) > 1;  // else each filter is transformed where it is used, and never stored
  }

  // To write or read the transformed filters beyond the L2 cache.
  double streamed_cycles() const {
    constexpr double kBytesPerCycle = 10;
    const double bytes = static_cast<double>(filter_offset(c_.k, 0)) * sizeof(T);
    return bytes > 4 * kL2Bytes ? bytes / kBytesPerCycle : 0;
  }

  static int64_t round_up(int64_t x, int64_t to) { return ceil_div(x, to) * to; }
  static EvenSplit periods(const TileAxis& axis, int64_t length) {
    return EvenSplit::of_at_most(axis.periods(), ceil_div(length, axis.period()));
  }
  static int64_t span(const TileAxis& axis, int64_t length) { return axis.span(round_up(length, axis.period())); }

  bool square() const { return h_.transformed() && w_.transformed(); }
  int64_t points() const { return h_.points() * w_.points(); }
  int64_t groups() const { return h_.groups() * w_.groups(); }
  int64_t block_tiles(const Blocks& b) const { return b.images * h_.tiles(0, b.rows) * w_.tiles(0, b.cols); }
  int64_t pixel_blocks(const Blocks& b) const {
    return ceil_div(c_.n, b.images) * periods(h_, b.rows).parts * periods(w_, b.cols).parts;
  }
  EvenSplit slices_of_all() const { return EvenSplit::of_at_most(m_lanes_.count(), blocks_.nv); }
  // Destination channels of a task, with those that fill the last vector.
  int64_t task_lanes() const {
    const EvenSplit slices = slices_of_all();
    return std::min(m_lanes_.count(),
                    ceil_div(slices.parts, ceil_div(m_lanes_.count(), blocks_.m / kernels_.lanes)) * slices.largest()) *
           kernels_.lanes;
  }
  // From one frequency to the next: never a multiple of a page, or all would meet in one set of the L1 cache.
  int64_t frequency_pitch(int64_t tiles, int64_t channels) const { return tiles * channels + kernels_.lanes; }

  // Where the transformed filters of a group begin that belong to source channel k on (a block's first) and, within the
  // block of `channels` channels, to the slice that begins at vector `vector`: [f][step][lane] there.
  int64_t filter_offset(int64_t k, int64_t channels, int64_t vector = 0) const {
    return points() * groups() * kernels_.lanes * (k * m_lanes_.count() + channels * vector);
  }

  void transform_filters(const T* weight, T* filters, const Workspace& workspace, const Context& context) const {
    const EvenSplit k = EvenSplit::of_at_most(c_.k, blocks_.k), slices = slices_of_all();
    parallel_for(context.threads, c_.g * k.parts * slices.parts, [&](int64_t task, int thread) {
      const int64_t vi = task % slices.parts, ki = task / slices.parts % k.parts, g = task / slices.parts / k.parts;
      const Scratch s(*this, context.of_thread(workspace, thread));
      transform_slice(weight + g * c_.weights_per_group(), k.begin(ki), k.length(ki), vi,
                      filters + g * filter_offset(c_.k, 0) + filter_offset(k.begin(ki), k.length(ki), slices.begin(vi)),
                      s);
    });
  }

  // The filters [f][step][lane] of one slice of destination channels and of `channels` source channels from k0 on.
  void transform_slice(const T* weight, int64_t k0, int64_t channels, int64_t slice, T* to, const Scratch& s) const {
    const EvenSplit slices = slices_of_all();
    const int64_t lanes = kernels_.lanes, taps = c_.taps(), width = slices.length(slice) * lanes;
    for (int64_t v = slices.begin(slice); v < slices.begin(slice + 1); ++v, to += lanes) {
      const int64_t m0 = m_lanes_.begin(v), count = m_lanes_.length(v);
      if (count < lanes) std::fill_n(s.weight, channels * taps * lanes, T(0));
      const T* from = weight + m0 * c_.weight_m + k0 * c_.weight_k;
      if (c_.output_pass)
        transpose_(from, c_.weight_m, count, channels * taps, s.weight, lanes);
      else
        for (int64_t i = 0; i < channels; ++i)
          transpose_(from + i * c_.weight_k, c_.weight_m, count, taps, s.weight + i * taps * lanes, lanes);
      for (int64_t gh = 0; gh < h_.groups(); ++gh)
        for (int64_t gw = 0; gw < w_.groups(); ++gw) {
          const int64_t group = gh * w_.groups() + gw;
          WinogradFilterArgs<T> args{};
          args.w = s.weight + (h_.weight_tap(gh) * c_.kernel_w + w_.weight_tap(gw)) * lanes;
          args.w_filter = taps * lanes, args.w_h = h_.weight_step() * c_.kernel_w * lanes,
          args.w_w = w_.weight_step() * lanes;
          args.taps_h = static_cast<int32_t>(h_.taps(gh)), args.taps_w = static_cast<int32_t>(w_.taps(gw));
          if (!w_.transformed()) args.w_w = args.w_h, args.taps_w = args.taps_h, args.taps_h = 1;
          args.count = channels;
          args.u = to + group * channels * width, args.u_filter = width, args.u_frequency = groups() * channels * width;
          transforms_.filter(args);
        }
    }
  }

  bool compute(const Block& block, int64_t g, const Slices& part, const T* filters, const CorrelationOperands<T>& o,
               Scratch& s) const {
    const int64_t count = list_tiles(block, s);
    const EvenSplit k = EvenSplit::of_at_most(c_.k, blocks_.k);
    for (int64_t ki = 0; ki < k.parts; ++ki) {
      transform_source(block, g, k.begin(ki), k.length(ki), count, o, s);
      multiply(block.images * count, g, k.begin(ki), k.length(ki), part, filters, o, s);
    }
    return transform_sums(block, g, part, count, o, s);
  }

  // Prepares the panel and lists the tiles of one image; returns how many there are.
  int64_t list_tiles(const Block& b, Scratch& s) const {
    const int64_t lanes = kernels_.lanes;
    s.panel.prepare(b.r0, span(h_, b.r1 - b.r0), b.c0, span(w_, b.c1 - b.c0));
    WinogradTile* tile = s.tiles;
    h_.each_tile(b.r0, b.r1, [&](int64_t r, int64_t rows) {
      w_.each_tile(b.c0, b.c1, [&](int64_t c, int64_t cols) {
        *tile = {(r - b.r0) * s.panel.pitch() + (c - b.c0) * lanes, ((r - b.r0) * (b.c1 - b.c0) + c - b.c0) * lanes,
                 static_cast<int32_t>(rows), static_cast<int32_t>(cols)};
        if (!w_.transformed()) std::swap(tile->rows, tile->cols);
        ++tile;
      });
    });
    return tile - s.tiles;
  }

  // [f][tile][group of taps][channel] of the block of source channels.
  void transform_source(const Block& b, int64_t g, int64_t k0, int64_t channels, int64_t count,
                        const CorrelationOperands<T>& o, const Scratch& s) const {
    const int64_t lanes = kernels_.lanes, padded = round_up(channels, lanes), steps = groups() * padded;
    const ChannelView<const T> source(o.source, Layout::kChannelsFirst, c_.g * c_.k, c_.in_pixels());
    for (int64_t i = 0; i < b.images; ++i)
      for (int64_t c = 0; c < channels; c += lanes) {
        s.panel.fill(source, b.n0 + i, g * c_.k + k0 + c, std::min(lanes, channels - c));
        for (int64_t gh = 0; gh < h_.groups(); ++gh)
          for (int64_t gw = 0; gw < w_.groups(); ++gw) {
            WinogradSourceArgs<T> args{};
            args.x = s.panel.data() + gh * h_.group_step() * s.panel.pitch() + gw * w_.group_step() * lanes;
            args.x_h = h_.step() * s.panel.pitch(), args.x_w = w_.transformed() ? w_.step() * lanes : args.x_h;
            args.tiles = s.tiles, args.count = count;
            args.v = s.source + i * count * steps + (gh * w_.groups() + gw) * padded + c;
            args.v_tile = steps, args.v_frequency = frequency_pitch(b.images * count, steps);
            transforms_.source(args);
          }
      }
  }

  // Adds the block's products to the sums [f][tile][destination channel of the task].
  void multiply(int64_t count, int64_t g, int64_t k0, int64_t channels, const Slices& part, const T* filters,
                const CorrelationOperands<T>& o, const Scratch& s) const {
    const EvenSplit slices = slices_of_all(), rows = EvenSplit::of_at_most(count, blocks_.mr);
    const int64_t lanes = kernels_.lanes, padded = round_up(channels, lanes), pitch = task_lanes();
    const T* row[kOuterProductMaxMr];
    OuterProductArgs<T> args{};
    args.rows = row, args.a_offset = s.a_offset, args.b_offset = s.b_offset;
    args.steps = groups() * channels, args.c_stride = pitch, args.start = k0 == 0 ? Start::kZero : Start::kAdd;
    for (int64_t i = 0; i < args.steps; ++i) s.a_offset[i] = i / channels * padded + i % channels;
    for (int64_t slice = part.begin; slice < part.end; ++slice) {
      const int64_t nv = slices.length(slice), width = nv * lanes;
      const T* filter = s.filter;
      if (blocks_.packed_weights)
        filter = filters + g * filter_offset(c_.k, 0) + filter_offset(k0, channels, slices.begin(slice));
      else
        transform_slice(o.weight + g * c_.weights_per_group(), k0, channels, slice, s.filter, s);
      for (int64_t i = 0; i < args.steps; ++i) s.b_offset[i] = i * width;
      args.columns = width;
      for (int64_t f = 0; f < points(); ++f) {
        const T* source = s.source + f * frequency_pitch(count, groups() * padded);
        T* sums = s.sums + f * frequency_pitch(count, pitch) + (slices.begin(slice) - slices.begin(part.begin)) * lanes;
        args.b = filter + f * args.steps * width;
        for (int64_t i = 0; i < rows.parts; ++i) {
          const int64_t first = rows.begin(i), mr = rows.length(i);
          for (int64_t r = 0; r < mr; ++r) row[r] = source + (first + r) * groups() * padded;
          args.c = sums + first * pitch;
          tiles_.rows[nv - 1][mr - 1](args);
        }
      }
    }
  }

  bool transform_sums(const Block& b, int64_t g, const Slices& part, int64_t count, const CorrelationOperands<T>& o,
                      const Scratch& s) const {
    const EvenSplit slices = slices_of_all();
    const int64_t lanes = kernels_.lanes, pitch = task_lanes(), cols = b.c1 - b.c0, first = slices.begin(part.begin);
    const ChannelView<T> destination(o.destination, Layout::kChannelsFirst, c_.g * c_.m, c_.out_pixels());
    std::fill_n(s.check, lanes, T(0));
    for (int64_t v = first; v < slices.begin(part.end); ++v) {
      const int64_t m0 = m_lanes_.begin(v), channels = m_lanes_.length(v);
      std::fill_n(s.bias, lanes, T(0));
      if (o.bias != nullptr) std::copy_n(o.bias + g * c_.m + m0, channels, s.bias);
      for (int64_t i = 0; i < b.images; ++i) {
        WinogradDestinationArgs<T> args{};
        args.m = s.sums + i * count * pitch + (v - first) * lanes;
        args.m_tile = pitch, args.m_frequency = frequency_pitch(b.images * count, pitch);
        args.tiles = s.tiles, args.count = count, args.bias = s.bias, args.check = s.check;
        args.y = s.result, args.y_h = h_.step() * cols * lanes,
        args.y_w = w_.transformed() ? w_.step() * lanes : args.y_h;
        transforms_.destination(args);
        T* to = destination.at(b.n0 + i, g * c_.m + m0, b.r0 * c_.out_w + b.c0);
        const bool whole = cols == c_.out_w;  // rows adjoin
        const int64_t lines = whole ? 1 : b.r1 - b.r0, length = whole ? (b.r1 - b.r0) * cols : cols;
        for (int64_t r = 0; r < lines; ++r)
          transpose_(s.result + r * length * lanes, lanes, length, channels, to + r * c_.out_w, destination.channel);
      }
    }
    return std::none_of(s.check, s.check + lanes, [](T x) { return x != x; });
  }

  Correlation c_;
  Isa isa_;
  Blocks blocks_;
  const OuterProductTiles<T>& tiles_;
  const WinogradKernels<T>& kernels_;
  TransposeFn<T> transpose_;
  TileAxis h_, w_;
  const WinogradTransforms<T>& transforms_;
  LaneGroups k_lanes_, m_lanes_;
};

}  // namespace

template <typename T>
Plan plan_winograd_correlation(const ConvProblem& p, Isa isa) {
  Plan plan;
  WinogradCorrelation<T>(p, isa, {}).plan(plan.blocks);
  plan.workspace = WinogradCorrelation<T>(p, isa, plan.blocks).workspace();
  plan.isa = isa;
  plan.kernel = {"outer_product_rows", p.dtype, plan.blocks.mr, plan.blocks.nv * outer_product<T>(isa).lanes, isa};
  return plan;
}

template <typename T>
double winograd_correlation_cycles(const ConvProblem& p, const Plan& plan) {
  return WinogradCorrelation<T>(p, plan.isa, plan.blocks).cycles();
}

template <typename T>
bool run_winograd_correlation(const ConvProblem& p, const Plan& plan, const Operands& operands,
                              const Context& context) {
  return WinogradCorrelation<T>(p, plan.isa, plan.blocks)
      .run(plan.workspace, CorrelationOperands<T>(p, operands), context);
}

template Plan plan_winograd_correlation<float>(const ConvProblem&, Isa);
template Plan plan_winograd_correlation<double>(const ConvProblem&, Isa);
template bool run_winograd_correlation<float>(const ConvProblem&, const Plan&, const Operands&, const Context&);
template double winograd_correlation_cycles<float>(const ConvProblem&, const Plan&);
template double winograd_correlation_cycles<double>(const ConvProblem&, const Plan&);
template bool run_winograd_correlation<double>(const ConvProblem&, const Plan&, const Operands&, const Context&);

}  // namespace convext
