// Weight gradient:
//
//   gradient[oc][tap][ic]  =  sum over pixels  output[pixel][oc] * input[pixel moved by the tap][ic]
//
// A step is a pixel: numbers of the one image are broadcast, the other's fill the lanes. With input channels in
// the lanes the sums are in the gradient's order; with output channels, for few input channels (stems), they are
// transposed in the end. A task sums some blocks of pixels, each for all of its channels before the next, so
// that memory is met in the order in which it lies, and asks for the next block. A slice of the lanes' image is
// copied, so that what a tile reads stays in L1. Where taps read much padding, pixels for which they do are left out.
#include "algorithms/axis_cut.h"
#include "algorithms/channels_last/asked_pixels.h"
#include "algorithms/channels_last/channels_last.h"
#include "algorithms/channels_last/pixel_panel.h"
#include "algorithms/chunks.h"
#include "algorithms/read_ahead.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class PixelWeightGrad {
 public:
  PixelWeightGrad(const ConvProblem& problem, Isa isa, const Blocks& blocks)
      : p_(as_one_image(problem)),
        blocks_(blocks),
        tiles_(outer_product<T>(isa)),
        transpose_(transpose<T>(isa)),
        row_kernels_(convext::rows<T>(isa)),
        input_{output_axis(PaddingMode::kReplicate, p_.oh, p_.ih, p_.kh, p_.stride_h, p_.dilation_h, p_.pad_top),
               output_axis(PaddingMode::kReplicate, p_.ow, p_.iw, p_.kw, p_.stride_w, p_.dilation_w, p_.pad_left),
               p_.ih, p_.iw, p_.ic},
        output_{{.out = p_.oh, .in = p_.oh, .taps = 1}, {.out = p_.ow, .in = p_.ow, .taps = 1}, p_.oh, p_.ow, p_.oc},
        input_in_lanes_(cycles(output_, input_) <= kTransposed * cycles(input_, output_)),
        row_(input_in_lanes_ ? output_ : input_),
        lane_(input_in_lanes_ ? input_ : output_),
        row_channels_(row_.channels / p_.g),
        lane_channels_(lane_.channels / p_.g),
        leaves_out_(!spread() && much_padding(p_.padding_mode, lane_.h, lane_.w)) {}

  PixelWeightGrad(const PixelWeightGrad&) = delete;

  // ---- planning
  void plan(Blocks& b) {
    const Tile tile = this->tile(row_, lane_);
    b.mr = tile.mr, b.nv = tile.nv, b.chunks = 1;
    const int64_t steps = std::min(kMaxSteps, kL1Bytes / (static_cast<int64_t>(sizeof(T)) * tile.nv * tiles_.lanes));
    b.cols = EvenSplit::of_at_most(p_.ow, steps).largest();
    b.rows = EvenSplit::of_at_most(p_.oh, std::max<int64_t>(1, steps / b.cols)).largest();
    b.images = EvenSplit::of_at_most(p_.n, std::max<int64_t>(1, steps / (b.rows * b.cols))).largest();
    if (b.rows < p_.oh) b.images = 1;

    const int64_t panel = static_cast<int64_t>(sizeof(T)) * b.images * row_.panel(b.rows, b.cols, 1).size();
    const int64_t fit = row_.in_place() ? row_channels_ : kL2Bytes / 2 / panel;
    b.k = EvenSplit::of_at_most(row_channels_,
                                std::clamp<int64_t>(fit, 1, std::max(kFewChannels, ceil_div(kMaxRows, row_.taps()))))
              .largest();
    blocks_ = b;
    while (workspace().thread_bytes > kMaxThreadBytes && shrink(b)) blocks_ = b;

    // Enough tasks for many threads: by chunks, as long as the partial sums are few, and fewer than what they are
    // summed from, or tasks would be very few; then by slices of the lanes.
    const int64_t count = PixelBlocks(p_, b).count();
    const int64_t wanted = worthwhile_tasks(p_.flops(), kMaxTasks);
    int64_t apart = p_.g * row_blocks().parts;
    const int64_t least = ceil_div(std::min(kFewTasks, wanted), apart * slices().parts),
                  most = std::min(
                      ceil_div(wanted, apart),
                      kMaxPartialBytes / std::max<int64_t>(1, static_cast<int64_t>(sizeof(T)) * p_.weight_count()));
    b.chunks = std::clamp<int64_t>(std::min(std::max(count / kMinBlocks, least), most), 1, count);
    apart *= b.chunks;
    b.slices = ceil_div(slices().parts, std::min(slices().parts, ceil_div(wanted, apart)));
    blocks_ = b;
  }

  KernelName kernel() const {
    return {.shape = strided() ? "outer_product_strided" : "outer_product_rows",
            .mr = blocks_.mr,
            .nr = blocks_.nv * tiles_.lanes};
  }

  Workspace workspace() const { return {chunk_sums(nullptr, nullptr).bytes, Scratch(*this, nullptr).bytes}; }

  // ---- running
  void run(const Workspace& workspace, const Operands& o, const Context& context) const {
    const EvenSplit chunks{PixelBlocks(p_, blocks_).count(), blocks_.chunks};
    const ChunkSums<T> sums = chunk_sums(context.shared(), o.written<T>(o.weight));
    parallel_for(context.threads, p_.g * slice_parts().parts * row_blocks().parts * chunks.parts,
                 [&](int64_t task, int thread) {
                   Task t;
                   t.chunk = take_index(task, chunks.parts);
                   const int64_t part = take_index(task, slice_parts().parts);
                   t.slice0 = slice_parts().begin(part), t.slice1 = slice_parts().begin(part + 1);
                   t.rows = take_index(task, row_blocks().parts), t.g = task;
                   t.block0 = chunks.begin(t.chunk), t.block1 = chunks.begin(t.chunk + 1);
                   sum_chunk(t, o, sums, Scratch(*this, context.of_thread(workspace, thread)));
                 });
    reduce(o, sums, context);
  }

 private:
  static constexpr double kTransposed = 1.1;  // what sums in another order than the gradient's cost
  static constexpr double kCopied = 5;        // a vector of the lanes' image, unless a slice is a whole pixel
  static constexpr int64_t kMaxRows = 1024;
  static constexpr int64_t kFewChannels = 4;  // are one block: those of a patch adjoin in the gradient
  static constexpr int64_t kMaxSteps = 256;   // added one after the other: their rounding errors pile up
  static constexpr int64_t kMaxTasks = 64, kFewTasks = 16;
  static constexpr int64_t kMinBlocks = 4;  // of a chunk
  static constexpr int64_t kMaxPartialBytes = 4 << 20;

  // One of the two images that are multiplied: how its taps read it.
  struct Side {
    Axis h, w;
    int64_t height, width, channels;
    int64_t taps() const { return h.taps * w.taps; }
    bool in_place() const { return !h.reads_outside() && !w.reads_outside(); }
    PixelPanel in_place_panel() const { return PixelPanel(h, w, PixelImages<T>{nullptr, height, width, channels}); }
    PixelPanel panel(int64_t rows, int64_t cols, int64_t panel_channels) const {
      return PixelPanel(h, w, rows, cols, panel_channels);
    }
    PixelImages<T> images(const void* data) const { return {static_cast<const T*>(data), height, width, channels}; }
  };

  struct Task {
    int64_t g, slice0, slice1, rows, chunk, block0, block1;
  };

  struct Scratch {
    int64_t *a_offset, *b_offset, *row_offset, *at_start;
    T *row_panel, *lane_panel, *gathered, *bias;
    AskedPixels<T> next_rows, next_lanes;
    size_t bytes;
    Scratch(const PixelWeightGrad& w, std::byte* memory) : Scratch(w, ScratchAllocator(memory)) {}
    Scratch(const PixelWeightGrad& w, ScratchAllocator take) : Scratch(w, take, w.strided() ? w.steps() : 0) {}
    Scratch(const PixelWeightGrad& w, ScratchAllocator& take, int64_t asked)
        : next_rows(asked, asked, take), next_lanes(asked, asked, take) {
      const Blocks& b = w.blocks_;
      const int64_t steps = w.steps(), width = b.nv * w.tiles_.lanes;
      a_offset = take.array<int64_t>(steps);
      b_offset = take.array<int64_t>(steps);
      row_offset = take.array<int64_t>(b.k * w.row_.taps());
      at_start = take.array<int64_t>(w.p_.bias ? steps : 0);
      row_panel = take.array<T>(w.row_.in_place() ? 0 : b.images * w.row_.panel(b.rows, b.cols, b.k).size());
      lane_panel = take.array<T>(w.lanes_in_place() ? 0 : b.images * w.lane_.panel(b.rows, b.cols, width).size());
      gathered = take.array<T>(w.spread() ? steps * width : 0);
      bias = take.array<T>(w.p_.bias ? width : 0);
      bytes = take.bytes();
    }
  };

  // The sums of each chunk, shared by all threads: [g][block of row channels][tap][row channel][lane channel], or
  // [g][oc][tap][ic] like the gradient, which then takes the first chunk's; and [oc].
  ChunkSums<T> chunk_sums(std::byte* memory, T* gradient) const {
    return {memory, blocks_.chunks, p_.weight_count(), p_.bias ? p_.oc : 0, input_in_lanes_, gradient};
  }

  bool shrink(Blocks& b) const {
    int64_t& size = b.images > 1 ? b.images : b.rows > 1 ? b.rows : b.k > 1 ? b.k : b.cols;
    if (size == 1) return false;
    size = ceil_div(size, 2);
    return true;
  }

  Tile tile(const Side& row, const Side& lane) const {
    return best_tile(tiles_, false, row.taps() * row.channels / p_.g, ceil_div(lane.channels / p_.g, tiles_.lanes));
  }

  // Of one pixel.
  double cycles(const Side& row, const Side& lane) const {
    const Tile t = tile(row, lane);
    const int64_t vectors = ceil_div(lane.channels / p_.g, tiles_.lanes);
    const bool copied = !lane.in_place() || p_.g > 1 || vectors > t.nv;
    return static_cast<double>(lane.taps()) *
               product_cycles(EvenSplit::of_at_most(row.taps() * row.channels / p_.g, t.mr),
                              EvenSplit::of_at_most(vectors, t.nv)) +
           (copied ? kCopied * static_cast<double>(vectors) : 0);
  }

  int64_t steps() const { return blocks_.images * blocks_.rows * blocks_.cols; }

  // Are the rows of tiles adjoining numbers of pixels that adjoin too? (A block is of whole rows, or of one.)
  bool strided() const {
    return !leaves_out_ && row_.taps() == 1 && row_.in_place() && row_.h.in == row_.h.out && row_.w.in == row_.w.out;
  }

  PixelImages<T> row_images(const Operands& o) const { return row_.images(input_in_lanes_ ? o.output : o.input); }
  PixelImages<T> lane_images(const Operands& o) const { return lane_.images(input_in_lanes_ ? o.input : o.output); }

  // Whether a slice is a whole pixel, or is copied for each tap.
  bool lanes_in_place() const { return lane_.in_place() && (spread() || p_.g * slices().parts == 1); }

  EvenSplit slices() const { return EvenSplit::of_at_most(ceil_div(lane_channels_, tiles_.lanes), blocks_.nv); }
  EvenSplit slice_parts() const { return EvenSplit::of_at_most(slices().parts, blocks_.slices); }
  EvenSplit row_blocks() const { return EvenSplit::of_at_most(row_channels_, blocks_.k); }

  void sum_chunk(const Task& t, const Operands& o, const ChunkSums<T>& sums, const Scratch& s) const {
    const int64_t i0 = row_blocks().begin(t.rows), channels = row_blocks().length(t.rows);
    const PixelImages<T> row = row_images(o);
    const bool bias = p_.bias && t.slice0 == 0 && t.rows == 0;
    double* bias_sums = bias ? sums.bias_of(t.chunk) + t.g * p_.oc_per_group() : nullptr;
    if (bias) std::fill_n(bias_sums, p_.oc_per_group(), 0.0);

    T* c = sums.of(t.chunk) + t.g * (p_.weight_count() / p_.g) + i0 * row_.taps() * lane_.taps() * lane_channels_;
    Ahead next = ahead(t, s);
    for (int64_t block = t.block0; block < t.block1; ++block) {
      const PixelBlock px = PixelBlocks(p_, blocks_)[block];
      if (bias) add_bias(t, px, o, bias_sums, s);
      const PixelPanel rows =
          row_.in_place() ? PixelPanel(row_.h, row_.w, row) : row_.panel(px.rows, px.cols, channels);
      const T* a = rows.block(row, px, t.g * row_channels_ + i0, p_.padding_mode, row_kernels_, s.row_panel);
      if (!strided()) rows.list_pixels(px, s.a_offset), set_rows(rows, channels, s);
      const Start start = block == t.block0 ? Start::kZero : Start::kAdd;
      read_ahead(t, PixelBlocks(p_, blocks_)[std::min(block + 1, t.block1 - 1)], o, next);
      for (int64_t slice = t.slice0; slice < t.slice1; ++slice)
        add_slice(t, slice, px, a, channels, start, c, o, next, s);
    }
  }

  // What is read of the next block: by strided tiles, every other one, or before each tile.
  struct Ahead {
    AskedPixels<T> asked[2];
    ReadAhead<T> lanes;
    int64_t tile = 0;
  };

  // Products of a block, and channels that they read of the lanes' image.
  int64_t tiles(const Task& t) const {
    return (t.slice1 - t.slice0) * lane_.taps() *
           EvenSplit::of_at_most(row_blocks().length(t.rows) * row_.taps(), blocks_.mr).parts;
  }
  int64_t lanes(const Task& t) const {
    return std::min(slices().begin(t.slice1) * tiles_.lanes, lane_channels_) - slices().begin(t.slice0) * tiles_.lanes;
  }

  Ahead ahead(const Task& t, const Scratch& s) const {
    Ahead next{{s.next_rows, s.next_lanes}, {}};
    if (!strided()) return next;
    const PixelBlock block{0, blocks_.images, 0, blocks_.rows, 0, blocks_.cols};
    const int64_t others = tiles(t) / 2;
    next.asked[0].list(row_.in_place_panel(), block, row_blocks().length(t.rows), tiles(t) - others, steps());
    next.asked[1].list(lane_.in_place_panel(), block, lanes(t), std::max<int64_t>(1, others), steps());
    return next;
  }

  void read_ahead(const Task& t, const PixelBlock& px, const Operands& o, Ahead& next) const {
    const T *row = row_images(o).at(px.n0, px.r0 * row_.h.stride, px.c0 * row_.w.stride) + t.g * row_channels_ +
                   row_blocks().begin(t.rows),
            *lane = lane_images(o).at(px.n0, px.r0 * lane_.h.stride, px.c0 * lane_.w.stride) + t.g * lane_channels_ +
                    slices().begin(t.slice0) * tiles_.lanes;
    next.tile = 0;
    if (strided()) return next.asked[0].start(row), next.asked[1].start(lane);
    // More at once than there are buffers for lines on their way would be waited for.
    constexpr int64_t kLine = 64 / sizeof(T), kBuffers = 16;
    if (px.pixels() * ceil_div(lanes(t), kLine) <= kBuffers * tiles(t))
      next.lanes = ReadAhead<T>({lane, px.rows, lane_.h.stride * lane_.width * lane_.channels, px.cols,
                                 lane_.w.stride * lane_.channels, lanes(t)},
                                tiles(t));
  }

  // The products of a block's rows with a slice of the lanes, for all taps of these.
  void add_slice(const Task& t, int64_t slice, const PixelBlock& px, const T* a, int64_t channels, Start start, T* c,
                 const Operands& o, Ahead& next, const Scratch& s) const {
    const int64_t j0 = slices().begin(slice) * tiles_.lanes, nv = slices().length(slice),
                  columns = std::min(nv * tiles_.lanes, lane_channels_ - j0);
    const PixelImages<T> lane = lane_images(o);
    const PixelPanel lanes =
        lanes_in_place() ? PixelPanel(lane_.h, lane_.w, lane) : lane_.panel(px.rows, px.cols, columns);
    const T* b = lanes.block(lane, px, t.g * lane_channels_ + j0, p_.padding_mode, row_kernels_, s.lane_panel);
    if (spread())
      for (int64_t i = 0; i < px.pixels(); ++i) s.b_offset[i] = i * columns;
    else
      lanes.list_pixels(px, s.b_offset);
    OuterProductArgs<T> args{};
    args.a_offset = s.a_offset, args.b_offset = s.b_offset, args.steps = px.pixels(), args.columns = columns;
    args.start = start, args.c_stride = lane_.taps() * lane_channels_;
    for (int64_t th = 0; th < lane_.h.taps; ++th)
      for (int64_t tw = 0; tw < lane_.w.taps; ++tw) {
        args.b = b + lanes.tap_offset(th, tw);
        if (spread()) args.b = gather(args.b, lanes, px, columns, s);
        if (leaves_out_) args.steps = lanes.list_inside(px, th, tw, s.b_offset, row_.in_place_panel(), s.a_offset);
        if (args.steps == 0 && start == Start::kAdd) continue;
        multiply(args, a, channels * row_.taps(), c + j0 + (th * lane_.w.taps + tw) * lane_channels_, nv, next, s);
      }
  }

  // Do a tile's pixels in the lanes lie apart? Over a stride they would fall on few sets of the L1 cache.
  bool spread() const { return lane_.w.stride > 1; }

  // Brings the pixels that a tap reads together.
  const T* gather(const T* from, const PixelPanel& lanes, const PixelBlock& px, int64_t columns,
                  const Scratch& s) const {
    T* dst = s.gathered;
    const int64_t pitch = lanes.pixel_offset(0, 0, 1);
    for (int64_t i = 0; i < px.images; ++i)
      for (int64_t r = 0; r < px.rows; ++r, dst += px.cols * columns)
        row_kernels_.copy({dst, columns, from + lanes.pixel_offset(i, r, 0), pitch, px.cols, 0, 1, columns, columns});
    return s.gathered;
  }

  void set_rows(const PixelPanel& rows, int64_t channels, const Scratch& s) const {
    int64_t* row = s.row_offset;
    for (int64_t th = 0; th < row_.h.taps; ++th)
      for (int64_t tw = 0; tw < row_.w.taps; ++tw)
        for (int64_t i = 0, at = rows.tap_offset(th, tw); i < channels; ++i) *row++ = at + i;
  }

  void multiply(OuterProductArgs<T>& args, const T* a, int64_t count, T* c, int64_t nv, Ahead& next,
                const Scratch& s) const {
    const T* rows[kOuterProductMaxMr];
    args.rows = rows, args.a_row = 1, args.a_step = row_.channels;
    const EvenSplit tiles = EvenSplit::of_at_most(count, blocks_.mr);
    for (int64_t i = 0; i < tiles.parts; ++i) {
      const int64_t first = tiles.begin(i), mr = tiles.length(i);
      args.c = c + first * args.c_stride;
      if (strided()) {
        args.a = a + first;
        next.asked[next.tile++ % 2].ask(args);
        tiles_.strided[nv - 1][mr - 1](args);
      } else {
        for (int64_t r = 0; r < mr; ++r) rows[r] = a + s.row_offset[first + r];
        next.lanes.turn();
        tiles_.rows[nv - 1][mr - 1](args);
      }
    }
  }

  // Sums the pixels of a block as a product with a row of ones, and the blocks in double.
  void add_bias(const Task& t, const PixelBlock& px, const Operands& o, double* sums, const Scratch& s) const {
    const PixelImages<T> output = output_.images(o.output);
    const PixelPanel pixels(output_.h, output_.w, output);
    pixels.list_pixels(px, s.b_offset);
    std::fill_n(s.at_start, px.pixels(), 0);
    const T one = 1;
    const T* rows[] = {&one};
    OuterProductArgs<T> args{};
    args.rows = rows, args.a_offset = s.at_start, args.b_offset = s.b_offset, args.steps = px.pixels();
    args.c = s.bias, args.start = Start::kZero;
    const int64_t ocg = p_.oc_per_group(), width = blocks_.nv * tiles_.lanes;
    for (int64_t j = 0; j < ocg; j += width) {
      args.b = pixels.block(output, px, t.g * ocg + j, p_.padding_mode, row_kernels_, s.bias);
      args.columns = std::min(width, ocg - j);
      tiles_.rows[ceil_div(args.columns, tiles_.lanes) - 1][0](args);
      for (int64_t i = 0; i < args.columns; ++i) sums[j + i] += s.bias[i];
    }
  }

  // Adds the chunks, and brings the sums into the gradient's order.
  void reduce(const Operands& o, const ChunkSums<T>& sums, const Context& context) const {
    const int64_t count = p_.weight_count() / p_.g;
    const EvenSplit pieces = EvenSplit::of_at_most(p_.weight_count(), kReducedAtOnce);
    if (blocks_.chunks > 1)
      parallel_for(context.threads, pieces.parts, [&](int64_t piece, int) {
        const int64_t first = pieces.begin(piece);
        add_chunks(sums.first + first, sums.others + first, sums.count, blocks_.chunks, pieces.length(piece));
      });
    if (!input_in_lanes_) {
      // Rows that adjoin in the gradient too: those of a tap, or all if they are one block.
      const EvenSplit blocks = row_blocks();
      const int64_t row = p_.taps() * row_channels_,
                    parts = blocks.parts > 1 ? p_.taps() : ceil_div(row, kTransposedAtOnce);
      parallel_for(context.threads, p_.g * blocks.parts * parts, [&](int64_t task, int) {
        const int64_t part = take_index(task, parts), block = take_index(task, blocks.parts), g = task,
                      ic = blocks.begin(block);
        const EvenSplit rows{p_.taps() * blocks.length(block), parts};
        transpose_(
            sums.first + g * count + (p_.taps() * ic + rows.begin(part)) * lane_channels_, lane_channels_,
            rows.length(part), lane_channels_,
            o.written<T>(o.weight) + g * count + (blocks.parts > 1 ? part * row_channels_ + ic : rows.begin(part)),
            row);
      });
    }
    if (p_.bias) add_bias_chunks(o.written<T>(o.bias), sums.bias, blocks_.chunks, p_.oc);
  }

  static constexpr int64_t kReducedAtOnce = 1 << 14, kTransposedAtOnce = 64;

  const ConvProblem p_;
  Blocks blocks_;
  const OuterProductTiles<T>& tiles_;
  TransposeFn<T> transpose_;
  const RowKernels<T>& row_kernels_;
  const Side input_, output_;
  const bool input_in_lanes_;
  const Side &row_, &lane_;  // broadcast, and in the lanes
  const int64_t row_channels_, lane_channels_;
  const bool leaves_out_;  // pixels for which a tap reads padding
};

}  // namespace

extern constexpr Method kPixelWeightGrad = method<PixelWeightGrad>();

}  // namespace convext
