// Output pass and input gradient by F(4, 3) along every axis that has more than one tap. Channels are in the lanes
// of all three transforms; between them each frequency is a matrix product, tiles x destination channels, summed
// over source channels (and over groups of three taps). A task owns a block of tiles and of destination channels:
// for each block of source channels it brings the tiles into the panel, transforms them and multiplies, so the
// transformed source and the sums stay in the L2 cache, and neither is ever in memory as a whole.
#include <new>

#include "algorithms/channel_panel.h"
#include "algorithms/correlation.h"
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
        grid_(kernels_.lanes, c_.n, c_.axis_h(0), c_.axis_w(0)),
        transforms_(grid_.square() ? kernels_.square : kernels_.line),
        k_lanes_{c_.k, kernels_.lanes},
        m_lanes_{c_.m, kernels_.lanes} {}

  void plan(Blocks& b) const {
    int64_t tiles = grid_.square() ? kSquareTiles : kLineTiles;
    cut(b, tiles);
    while (WinogradCorrelation(*this, b).workspace().thread_bytes > kMaxThreadBytes && tiles > 1)
      cut(b, tiles = tiles * 3 / 4);
  }

  // Of the whole problem, on one thread. A transform takes about a cycle an instruction, as does what moves a vector.
  double cost() const {
    constexpr double kMoved = 7, kCall = 30;  // a vector transposed and copied; a call of a register tile
    const double source = grid_.square() ? 150 : 20, destination = grid_.square() ? 140 : 20,
                 filter = grid_.square() ? 180 : 20;
    const auto number = [](int64_t x) { return static_cast<double>(x); };
    const Blocks& b = blocks_;
    const EvenSplit rows = EvenSplit::of_at_most(grid_.block_tiles(b), b.mr), slices = slices_of_all();
    const double blocks = number(grid_.blocks(b)), tiles = number(grid_.block_tiles(b)),
                 m_vectors = number(m_lanes_.count());
    const double m_tasks = number(ceil_div(m_lanes_.count() * kernels_.lanes, b.m));
    const double products = number(grid_.points() * grid_.groups() * c_.k) *
                            product_cycles(rows, EvenSplit::of_at_most(m_lanes_.count(), b.nv));
    const double calls = number(grid_.points() * rows.parts * slices.parts * EvenSplit::of_at_most(c_.k, b.k).parts) *
                         (kCall + 2 * number(rows.largest() * slices.largest()));
    const double sources =
        m_tasks * number(k_lanes_.count()) *
        (tiles * number(grid_.groups()) * source + number(b.images * h().span(b.rows) * w().span(b.cols)) * kMoved);
    const double destinations = m_vectors * (tiles * destination + number(b.images * b.rows * b.cols) * kMoved);
    const double filters =
        m_vectors * number(c_.k) * (number(grid_.groups()) * filter + number(c_.taps()) * 2 * kMoved);
    return number(c_.g) * (blocks * (products + calls + sources + destinations) +
                           (b.packed_weights ? filters + (1 + blocks) * streamed_cycles() : blocks * filters));
  }

  KernelName kernel() const {
    return {.shape = "outer_product_rows", .mr = blocks_.mr, .nr = blocks_.nv * kernels_.lanes};
  }

  Workspace workspace() const {
    return {align_up(sizeof(FiniteFlag)) +
                (blocks_.packed_weights ? align_up(sizeof(T) * static_cast<size_t>(c_.g * filter_offset(c_.k, 0))) : 0),
            Scratch(*this, nullptr).bytes};
  }

  void run(const Workspace& workspace, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(p_, operands);
    FiniteFlag& finite = *new (context.shared()) FiniteFlag(true);
    T* filters = reinterpret_cast<T*>(context.shared() + align_up(sizeof(FiniteFlag)));
    if (blocks_.packed_weights) transform_filters(o.weight, filters, workspace, context);
    const int64_t pixel_tasks = grid_.blocks(blocks_) * c_.g;
    const EvenSplit slices = slices_of_all();
    const EvenSplit m = {slices.parts,
                         std::min(slices.parts, std::max(ceil_div(m_lanes_.count(), blocks_.m / kernels_.lanes),
                                                         ceil_div(context.threads, pixel_tasks)))};
    parallel_for(context.threads, pixel_tasks * m.parts, [&](int64_t task, int thread) {
      const int64_t mi = task % m.parts, g = task / m.parts % c_.g;
      const TileBlock block = grid_.block(blocks_, task / m.parts / c_.g);
      const Slices part{m.begin(mi), m.begin(mi + 1)};
      Scratch s(*this, context.of_thread(workspace, thread));
      if (!compute(block, g, part, filters, o, s)) finite.store(false, std::memory_order_relaxed);
    });
    if (!finite.load()) sum_directly(p_, isa_, operands, context);
  }

 private:
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
          panel(s.h().positions(), s.w().positions(), s.c_.in_h, s.c_.in_w, PaddingMode::kZeros, s.isa_,
                s.h().span(s.blocks_.rows), s.w().span(s.blocks_.cols), take) {
      const Blocks& b = s.blocks_;
      const int64_t lanes = s.kernels_.lanes, count = s.grid_.block_tiles(b), steps = s.grid_.groups() * b.k;
      tiles = take.array<WinogradTile>(count / b.images);
      a_offset = take.array<int64_t>(steps);
      b_offset = take.array<int64_t>(steps);
      source = take.array<T>(s.grid_.points() * s.grid_.frequency_pitch(count, steps));
      sums = take.array<T>(s.grid_.points() * s.grid_.frequency_pitch(count, s.task_lanes()));
      result = take.array<T>(b.rows * b.cols * lanes);
      weight = take.array<T>(b.k * s.c_.taps() * lanes);
      filter = take.array<T>(b.packed_weights ? 0 : s.grid_.points() * steps * b.nv * lanes);
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
    const int64_t lanes = kernels_.lanes;
    grid_.cut(b, tiles);
    b.k = lane_blocks(k_lanes_, kSteps / grid_.groups()).largest() * lanes;
    b.m = lane_blocks(m_lanes_, kTaskChannels).largest() * lanes;
    const Tile tile = best_tile(tiles_, false, grid_.block_tiles(b), m_lanes_.count());
    b.mr = tile.mr, b.nv = tile.nv;
    b.packed_weights = grid_.blocks(b) > 1;  // else each filter is transformed where it is used, and never stored
  }

  // To write or read the transformed filters beyond the L2 cache.
  double streamed_cycles() const {
    constexpr double kBytesPerCycle = 10;
    const double bytes = static_cast<double>(filter_offset(c_.k, 0)) * sizeof(T);
    return bytes > 4 * kL2Bytes ? bytes / kBytesPerCycle : 0;
  }

  const TileAxis& h() const { return grid_.h(); }
  const TileAxis& w() const { return grid_.w(); }
  EvenSplit slices_of_all() const { return EvenSplit::of_at_most(m_lanes_.count(), blocks_.nv); }
  // Destination channels of a task, with those that fill the last vector.
  int64_t task_lanes() const {
    const EvenSplit slices = slices_of_all();
    return std::min(m_lanes_.count(),
                    ceil_div(slices.parts, ceil_div(m_lanes_.count(), blocks_.m / kernels_.lanes)) * slices.largest()) *
           kernels_.lanes;
  }

  // Where the transformed filters of a group begin that belong to source channel k on (a block's first) and, within the
  // block of `channels` channels, to the slice that begins at vector `vector`: [f][step][lane] there.
  int64_t filter_offset(int64_t k, int64_t channels, int64_t vector = 0) const {
    return grid_.points() * grid_.groups() * kernels_.lanes * (k * m_lanes_.count() + channels * vector);
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
      gather_weights(weight, k0, channels, v, s.weight);
      for (int64_t gh = 0; gh < h().groups(); ++gh)
        for (int64_t gw = 0; gw < w().groups(); ++gw) {
          const int64_t group = gh * w().groups() + gw;
          WinogradFilterArgs<T> args{};
          args.w = s.weight + (h().weight_tap(gh) * c_.kernel_w + w().weight_tap(gw)) * lanes;
          args.w_filter = taps * lanes, args.w_h = h().weight_step() * c_.kernel_w * lanes,
          args.w_w = w().weight_step() * lanes;
          args.taps_h = static_cast<int32_t>(h().taps(gh)), args.taps_w = static_cast<int32_t>(w().taps(gw));
          if (!w().transformed()) args.w_w = args.w_h, args.taps_w = args.taps_h, args.taps_h = 1;
          args.count = channels;
          args.u = to + group * channels * width, args.u_filter = width,
          args.u_frequency = grid_.groups() * channels * width;
          transforms_.filter(args);
        }
    }
  }

  // [channel][tap][lane] of a vector of destination channels.
  void gather_weights(const T* weight, int64_t k0, int64_t channels, int64_t vector, T* to) const {
    const int64_t lanes = kernels_.lanes, taps = c_.taps(), m0 = m_lanes_.begin(vector),
                  count = m_lanes_.length(vector);
    if (count < lanes) std::fill_n(to, channels * taps * lanes, T(0));
    if (p_.weight_layout == Layout::kChannelsLast) {
      const int64_t icg = p_.ic_per_group(), row = taps * icg;
      for (int64_t tap = 0; tap < taps; ++tap, weight += icg, to += lanes)
        if (c_.output_pass)
          transpose_(weight + m0 * row + k0, row, count, channels, to, taps * lanes);
        else
          rows_.copy({to, taps * lanes, weight + k0 * row + m0, row, channels, 0, 1, count, count});
      return;
    }
    const T* from = weight + m0 * c_.weight_m + k0 * c_.weight_k;
    if (c_.output_pass)
      transpose_(from, c_.weight_m, count, channels * taps, to, lanes);
    else
      for (int64_t i = 0; i < channels; ++i)
        transpose_(from + i * c_.weight_k, c_.weight_m, count, taps, to + i * taps * lanes, lanes);
  }

  bool compute(const TileBlock& block, int64_t g, const Slices& part, const T* filters, const CorrelationOperands<T>& o,
               Scratch& s) const {
    s.panel.prepare(block.r0, h().span(block.r1 - block.r0), block.c0, w().span(block.c1 - block.c0));
    const int64_t count = grid_.list(block, s.panel.pitch(), s.tiles);
    const EvenSplit k = EvenSplit::of_at_most(c_.k, blocks_.k);
    for (int64_t ki = 0; ki < k.parts; ++ki) {
      transform_source(block, g, k.begin(ki), k.length(ki), count, o, s);
      multiply(block.images * count, g, k.begin(ki), k.length(ki), part, filters, o, s);
    }
    return transform_sums(block, g, part, count, o, s);
  }

  // [f][tile][group of taps][channel] of the block of source channels.
  void transform_source(const TileBlock& b, int64_t g, int64_t k0, int64_t channels, int64_t count,
                        const CorrelationOperands<T>& o, const Scratch& s) const {
    const int64_t lanes = kernels_.lanes, padded = round_up(channels, lanes), steps = grid_.groups() * padded;
    const TileStrides strides = grid_.strides(s.panel.pitch());
    const ChannelView<const T> source(o.source, p_.input_layout, c_.g * c_.k, c_.in_pixels());
    for (int64_t i = 0; i < b.images; ++i)
      for (int64_t c = 0; c < channels; c += lanes) {
        s.panel.fill(source, b.n0 + i, g * c_.k + k0 + c, std::min(lanes, channels - c));
        for (int64_t gh = 0; gh < h().groups(); ++gh)
          for (int64_t gw = 0; gw < w().groups(); ++gw) {
            WinogradSourceArgs<T> args{};
            args.x = s.panel.data() + gh * h().group_step() * s.panel.pitch() + gw * w().group_step() * lanes;
            args.x_h = strides.h, args.x_w = strides.w;
            args.tiles = s.tiles, args.count = count;
            args.v = s.source + i * count * steps + (gh * w().groups() + gw) * padded + c;
            args.v_tile = steps, args.v_frequency = grid_.frequency_pitch(b.images * count, steps);
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
    args.steps = grid_.groups() * channels, args.c_stride = pitch, args.start = k0 == 0 ? Start::kZero : Start::kAdd;
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
      for (int64_t f = 0; f < grid_.points(); ++f) {
        const T* source = s.source + f * grid_.frequency_pitch(count, grid_.groups() * padded);
        T* sums =
            s.sums + f * grid_.frequency_pitch(count, pitch) + (slices.begin(slice) - slices.begin(part.begin)) * lanes;
        args.b = filter + f * args.steps * width;
        for (int64_t i = 0; i < rows.parts; ++i) {
          const int64_t first = rows.begin(i), mr = rows.length(i);
          for (int64_t r = 0; r < mr; ++r) row[r] = source + (first + r) * grid_.groups() * padded;
          args.c = sums + first * pitch;
          tiles_.rows[nv - 1][mr - 1](args);
        }
      }
    }
  }

  bool transform_sums(const TileBlock& b, int64_t g, const Slices& part, int64_t count, const CorrelationOperands<T>& o,
                      const Scratch& s) const {
    const EvenSplit slices = slices_of_all();
    const int64_t lanes = kernels_.lanes, pitch = task_lanes(), cols = b.c1 - b.c0, first = slices.begin(part.begin);
    const TileStrides strides = grid_.strides(cols * lanes);
    const ChannelView<T> destination(o.destination, p_.input_layout, c_.g * c_.m, c_.out_pixels());
    std::fill_n(s.check, lanes, T(0));
    for (int64_t v = first; v < slices.begin(part.end); ++v) {
      const int64_t m0 = m_lanes_.begin(v), channels = m_lanes_.length(v);
      std::fill_n(s.bias, lanes, T(0));
      if (o.bias != nullptr) std::copy_n(o.bias + g * c_.m + m0, channels, s.bias);
      for (int64_t i = 0; i < b.images; ++i) {
        WinogradDestinationArgs<T> args{};
        args.m = s.sums + i * count * pitch + (v - first) * lanes;
        args.m_tile = pitch, args.m_frequency = grid_.frequency_pitch(b.images * count, pitch);
        args.tiles = s.tiles, args.count = count, args.bias = s.bias, args.check = s.check;
        args.y = s.result, args.y_h = strides.h, args.y_w = strides.w;
        transforms_.destination(args);
        T* to = destination.at(b.n0 + i, g * c_.m + m0, b.r0 * c_.out_w + b.c0);
        const bool whole = cols == c_.out_w;  // rows adjoin
        const int64_t lines = whole ? 1 : b.r1 - b.r0, length = whole ? (b.r1 - b.r0) * cols : cols;
        for (int64_t r = 0; r < lines; ++r, to += c_.out_w * destination.pixel) {
          const T* from = s.result + r * length * lanes;
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
  const WinogradTransforms<T>& transforms_;
  LaneGroups k_lanes_, m_lanes_;
};

}  // namespace

extern constexpr Half kWinogradCorrelation = half<WinogradCorrelation>();

}  // namespace convext
