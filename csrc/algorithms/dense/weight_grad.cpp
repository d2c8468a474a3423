// Weight gradient as a matrix product over pixels, with output channels in the lanes:
//
//   gradient[(ic, kh, kw)][oc]  =  sum over pixels  input[ic][pixel moved by the tap] * output[pixel][oc]
//
// A step is a pixel. The output's block is transposed to [pixel][oc] once; the input is broadcast number by
// number from where it lies, or, if a tap reads the padding, from a padded copy of the block's rows. The
// sums over chunks of pixels are kept apart, added in the order of the chunks and transposed to the weight's
// layout. The chunks follow from the problem alone, so the result does not depend on the threads.
//
// A 1x1 kernel that moves nothing is symmetric: with input and output exchanged the sums lie in the weight's layout,
// and the first chunk's are the weight's own memory.
#include "algorithms/axis_cut.h"
#include "algorithms/checks.h"
#include "algorithms/chunks.h"
#include "algorithms/dense/dense.h"
#include "algorithms/panel.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class WeightGrad {
 public:
  WeightGrad(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : exchanged_(exchange(p)),
        p_(exchanged_ ? exchanged(p) : p),
        blocks_(blocks),
        tiles_(outer_product<T>(isa)),
        transpose_(transpose<T>(isa)),
        row_kernels_(convext::rows<T>(isa)),
        icg_(p_.ic_per_group()),
        ocg_(p_.oc_per_group()),
        rows_(icg_ * p.taps()),
        h_(output_axis(PaddingMode::kReplicate, p.oh, p.ih, p.kh, p.stride_h, p.dilation_h, p.pad_top)),
        w_(output_axis(PaddingMode::kReplicate, p.ow, p.iw, p.kw, p.stride_w, p.dilation_w, p.pad_left)),
        apart_(much_padding(p.padding_mode, h_, w_)),
        padded_(!apart_ && (h_.reads_outside() || w_.reads_outside())) {}

  void plan(Blocks& b) const {
    const int64_t lanes = tiles_.lanes, vectors = ceil_div(ocg_, lanes);
    const Tile tile = best_tile(tiles_, false, rows_, vectors);
    b.mr = tile.mr, b.nv = tile.nv, b.chunks = 1;

    // Pixels: a slice [pixel][NR] of the transposed output stays in L1.
    const int64_t steps = std::min(kMaxSteps, kL1Bytes / (static_cast<int64_t>(sizeof(T)) * tile.nv * lanes));
    b.cols = cut(w_, steps).largest().length;
    b.rows = cut(h_, std::max<int64_t>(1, steps / b.cols)).largest().length;
    b.images = EvenSplit::of_at_most(p_.n, std::max<int64_t>(1, steps / (p_.oh * p_.ow))).largest();

    // Channels: the transposed block and the padded rows share L2.
    b.m = EvenSplit::of_at_most(vectors, kMaxOcVectors).largest() * lanes;
    const int64_t plane = padded_ ? b.images * panel_rows(b.rows) * panel_cols(b.cols) : 1;
    const int64_t fit = std::min(kL2Bytes / 2 / (static_cast<int64_t>(sizeof(T)) * plane), kMaxRows / p_.taps());
    b.k = EvenSplit::of_at_most(icg_, std::max<int64_t>(1, fit)).largest();

    while (WeightGrad(*this, b).workspace().thread_bytes > kMaxThreadBytes && shrink(b)) {
    }

    // Chunks: enough tasks for many threads, as long as each sums many pixels and the partial sums are few.
    const int64_t blocks = pixel_blocks(b), apart = p_.g * ceil_div(icg_, b.k) * ceil_div(ocg_, b.m);
    const int64_t wanted = ceil_div(worthwhile_tasks(p_.flops(), kMaxTasks), apart);
    const int64_t affordable =
        kMaxPartialBytes / std::max<int64_t>(1, static_cast<int64_t>(sizeof(T)) * p_.weight_count());
    const int64_t long_enough = p_.n * p_.output_pixels() / kMinChunkPixels;
    b.chunks = std::clamp<int64_t>(std::min({wanted, affordable, long_enough}), 1, std::max<int64_t>(1, blocks));
  }

  KernelName kernel() const {
    return {.shape = strided() ? "outer_product_strided" : "outer_product_rows",
            .mr = blocks_.mr,
            .nr = blocks_.nv * tiles_.lanes};
  }

  Workspace workspace() const { return {chunk_sums(nullptr, nullptr).bytes, Scratch(*this, nullptr).bytes}; }

  void run(const Workspace& workspace, const Operands& given, const Context& context) const {
    Operands o = given;
    if (exchanged_) std::swap(o.input, o.output);
    const ChunkSums<T> sums = chunk_sums(context.shared(), o.written<T>(o.weight));
    const auto [ic, oc] = channel_cut(context.threads);
    const EvenSplit chunks{pixel_blocks(blocks_), blocks_.chunks};
    parallel_for(context.threads, p_.g * ic.parts * oc.parts * chunks.parts, [&](int64_t task, int thread) {
      Task t;
      t.chunk = take_index(task, chunks.parts);
      const int64_t oi = take_index(task, oc.parts), ii = take_index(task, ic.parts);
      t.g = task;
      t.block0 = chunks.begin(t.chunk), t.block1 = t.block0 + chunks.length(t.chunk);
      t.ic0 = ic.begin(ii), t.ic1 = t.ic0 + ic.length(ii);
      t.oc0 = oc.begin(oi) * tiles_.lanes, t.oc1 = std::min(ocg_, (oc.begin(oi) + oc.length(oi)) * tiles_.lanes);
      sum_chunk(t, o, sums, Scratch(*this, context.of_thread(workspace, thread)));
    });
    reduce(sums, o, context);
  }

 private:
  // The same problem with other blocks.
  WeightGrad(const WeightGrad& other, const Blocks& blocks) : WeightGrad(other) { blocks_ = blocks; }

  // Where the channels that would then be transposed for every pixel are not so many more that this costs as much as
  // the transpose of the gradient: some five times as much for each weight as for a number of an image.
  static bool exchange(const ConvProblem& p) {
    const int64_t icg = p.ic_per_group(), ocg = p.oc_per_group();
    return moves_nothing(p) && p.n * p.output_pixels() * (icg - ocg) <= 5 * icg * ocg;
  }
  static ConvProblem exchanged(ConvProblem p) {
    std::swap(p.ic, p.oc);
    return p;
  }

  // How input channels and vectors of output channels are cut into tasks: at least as blocks_ has it, finer where that
  // keeps all threads busy to the end. No sum depends on it.
  struct ChannelCut {
    EvenSplit ic, oc;
  };
  ChannelCut channel_cut(int threads) const {
    const int64_t vectors = ceil_div(ocg_, tiles_.lanes), others = p_.g * blocks_.chunks;
    const EvenSplit ic = EvenSplit::of_at_most(icg_, blocks_.k),
                    oc = EvenSplit::of_at_most(vectors, blocks_.m / tiles_.lanes);
    ChannelCut best{ic, oc};
    double best_cost = 0;
    const int64_t most = std::max(worthwhile_tasks(p_.flops()) / others, ic.parts * oc.parts);
    for (int64_t i = ic.parts; i <= std::min(icg_, most / oc.parts); i += ceil_div(i, 4))
      for (int64_t j = oc.parts; j <= std::min(vectors, most / i); j += ceil_div(j, 4)) {
        const ChannelCut cut{{icg_, i}, {vectors, j}};
        const int64_t channels = cut.ic.largest(), columns = cut.oc.largest();
        const double cycles = product_cycles(EvenSplit::of_at_most(channels * p_.taps(), blocks_.mr),
                                             EvenSplit::of_at_most(columns, blocks_.nv)) +
                              kTransposeCycles * static_cast<double>(columns) +
                              kReadCycles * static_cast<double>(channels);
        const double cost = cycles * static_cast<double>(ceil_div(i * j * others, threads));
        if (best_cost == 0 || cost < 0.98 * best_cost) best = cut, best_cost = cost;
      }
    return best;
  }

  // Halves the block where it costs least; false if nothing is left to halve.
  static bool shrink(Blocks& b) {
    int64_t& size = b.images > 1 ? b.images : b.k > 1 ? b.k : b.rows > 1 ? b.rows : b.cols;
    if (size == 1) return false;
    size = ceil_div(size, 2);
    return true;
  }

  static constexpr int64_t kMaxOcVectors = 24;
  static constexpr int64_t kMaxRows = 1024;
  static constexpr int64_t kMaxSteps = 256;  // added one after the other: their rounding errors pile up
  static constexpr int64_t kMaxTasks = 64;
  static constexpr int64_t kMaxPartialBytes = 4 << 20;
  static constexpr int64_t kMinChunkPixels = 384;  // a partial sum costs as much as 20 pixels
  // Of a pixel: to transpose a vector of the output, to bring an input channel near.
  static constexpr double kTransposeCycles = 5, kReadCycles = 1.5;

  struct Task {
    int64_t g, chunk, block0, block1, ic0, ic1, oc0, oc1;
  };

  // Output pixels of one step: images [n0, n0 + images) x rows x columns.
  struct Block {
    int64_t n0, images;
    AxisPart h, w;
    int64_t steps() const { return images * h.length * w.length; }
    bool alike(const Block& b) const { return images == b.images && h.length == b.h.length && w.length == b.w.length; }
  };

  struct Scratch {
    int64_t *a_offset, *b_offset, *row_offset, *next_offset;
    T *transposed, *panel;
    size_t bytes;
    Scratch(const WeightGrad& w, std::byte* memory) {
      const Blocks& b = w.blocks_;
      const int64_t steps = b.images * b.rows * b.cols;
      ScratchAllocator take(memory);
      a_offset = take.array<int64_t>(steps);
      b_offset = take.array<int64_t>(steps);
      next_offset = take.array<int64_t>(steps);
      row_offset = take.array<int64_t>(b.k * w.p_.taps());
      transposed = take.array<T>(steps * b.nv * w.tiles_.lanes);
      panel = take.array<T>(w.padded_ ? b.images * b.k * w.panel_rows(b.rows) * w.panel_cols(b.cols) : 0);
      bytes = take.bytes();
    }
  };

  // A chunk's sums are [g][(ic, kh, kw)][oc].
  ChunkSums<T> chunk_sums(std::byte* memory, T* weight) const {
    return {memory, blocks_.chunks, p_.weight_count(), p_.bias ? bias_channels() : 0, exchanged_, weight};
  }

  int64_t bias_channels() const { return exchanged_ ? p_.ic : p_.oc; }

  // Input rows and columns that a block of output rows and columns reads.
  int64_t panel_rows(int64_t rows) const { return (rows - 1) * p_.stride_h + (p_.kh - 1) * p_.dilation_h + 1; }
  int64_t panel_cols(int64_t cols) const { return (cols - 1) * p_.stride_w + (p_.kw - 1) * p_.dilation_w + 1; }

  int64_t pixel_blocks(const Blocks& b) const {
    return ceil_div(p_.n, b.images) * cut(h_, b.rows).parts() * cut(w_, b.cols).parts();
  }

  Block pixel_block(int64_t i) const {
    const AxisCut h = cut(h_, blocks_.rows), w = cut(w_, blocks_.cols);
    const int64_t rows = h.parts(), cols = w.parts(), ni = i / cols / rows;
    const EvenSplit n = EvenSplit::of_at_most(p_.n, blocks_.images);
    return {n.begin(ni), n.length(ni), h.part(i / cols % rows), w.part(i % cols)};
  }

  AxisCut cut(const Axis& axis, int64_t largest) const { return {axis, apart_, largest}; }

  void sum_chunk(const Task& t, const Operands& o, const ChunkSums<T>& sums, const Scratch& s) const {
    double* bias = sums.bias_of(t.chunk);
    const bool sums_bias = p_.bias && (exchanged_ ? t.oc0 == 0 : t.ic0 == 0);
    const int64_t bias0 = exchanged_ ? t.g * icg_ + t.ic0 : t.g * ocg_ + t.oc0,
                  bias1 = exchanged_ ? t.g * icg_ + t.ic1 : t.g * ocg_ + t.oc1;
    if (sums_bias) std::fill(bias + bias0, bias + bias1, 0.0);
    T* c = sums.of(t.chunk) + (t.g * rows_ + t.ic0 * p_.taps()) * ocg_;
    if (apart_)  // a tap may meet no pixel of the first block, or of any
      for (int64_t r = 0; r < (t.ic1 - t.ic0) * p_.taps(); ++r)
        std::fill(c + r * ocg_ + t.oc0, c + r * ocg_ + t.oc1, T(0));
    Block before{};
    for (int64_t block = t.block0; block < t.block1; ++block) {
      const Block px = pixel_block(block);
      const Start start = block == t.block0 && !apart_ ? Start::kZero : Start::kAdd;
      if (!px.alike(before)) list_offsets(t, px, s);
      before = px;
      const T* base = input_block(t, px, static_cast<const T*>(o.input), s);
      if (sums_bias) add_bias(px, static_cast<const T*>(exchanged_ ? o.input : o.output), bias0, bias1, bias);
      const EvenSplit v = EvenSplit::of_at_most(ceil_div(t.oc1 - t.oc0, tiles_.lanes), blocks_.nv);
      for (int64_t vi = 0; vi < v.parts; ++vi) {
        const int64_t j0 = t.oc0 + v.begin(vi) * tiles_.lanes;
        const int64_t columns = std::min(t.oc1 - j0, v.length(vi) * tiles_.lanes);
        transpose_output(px, static_cast<const T*>(o.output) + (t.g * ocg_ + j0) * p_.output_pixels(), columns,
                         s.transposed);
        multiply(t, px, v.length(vi), columns, start, base, c + j0, s);
      }
    }
  }

  // Are the rows of tiles those of a matrix, which is read where it lies, each on a page of its own?
  bool strided() const { return moves_nothing(p_) && blocks_.images == 1; }

  int64_t slice_pitch() const { return blocks_.nv * tiles_.lanes; }

  // Where a block's input lies: in a padded copy of what it reads, or in the image.
  struct InputShape {
    int64_t height, width, pitch, plane, image;
  };
  InputShape input_shape(const Task& t, const Block& px) const {
    const int64_t height = panel_rows(px.h.length), width = panel_cols(px.w.length);
    if (!padded_) return {height, width, p_.iw, p_.input_pixels(), p_.ic * p_.input_pixels()};
    return {height, width, width, height * width, (t.ic1 - t.ic0) * height * width};
  }

  // Where the pixels of blocks like this one lie in the transposed output and, of tiles of rows, in the input, with its
  // channels and taps; of strided tiles, the cache lines of the next tile's rows.
  void list_offsets(const Task& t, const Block& px, const Scratch& s) const {
    for (int64_t i = 0; i < px.steps(); ++i) s.b_offset[i] = i * slice_pitch();
    if (strided()) {
      const int64_t line = 64 / sizeof(T), lines = blocks_.mr * (px.steps() / line + 1);
      for (int64_t i = 0; i < px.steps(); ++i)
        s.next_offset[i] = i < lines ? i % blocks_.mr * p_.input_pixels() + i / blocks_.mr * line : 0;
      return;
    }
    const InputShape in = input_shape(t, px);
    int64_t* a = s.a_offset;
    for (int64_t i = 0; i < px.images; ++i)
      for (int64_t r = 0; r < px.h.length; ++r)
        for (int64_t c = 0; c < px.w.length; ++c) *a++ = i * in.image + r * p_.stride_h * in.pitch + c * p_.stride_w;
    int64_t* row = s.row_offset;
    for (int64_t c = 0; c < t.ic1 - t.ic0; ++c)
      for (int64_t kh = 0; kh < p_.kh; ++kh)
        for (int64_t kw = 0; kw < p_.kw; ++kw)
          *row++ = c * in.plane + kh * p_.dilation_h * in.pitch + kw * p_.dilation_w;
  }

  // What input offsets are relative to: the input itself, or its padded copy, which is made here.
  const T* input_block(const Task& t, const Block& px, const T* input, const Scratch& s) const {
    const InputShape in = input_shape(t, px);
    const int64_t r0 = px.h.first * p_.stride_h - p_.pad_top, c0 = px.w.first * p_.stride_w - p_.pad_left;
    const T* first = input + (px.n0 * p_.ic + t.g * icg_ + t.ic0) * p_.input_pixels();
    if (!padded_) return first + r0 * p_.iw + c0;
    for (int64_t i = 0; i < px.images; ++i)
      for (int64_t c = 0; c < t.ic1 - t.ic0; ++c)
        copy_block(s.panel + i * in.image + c * in.plane, in.pitch,
                   {first + (i * p_.ic + c) * p_.input_pixels(), p_.ih, p_.iw, r0, 1, in.height, c0, 1, in.width},
                   p_.padding_mode, row_kernels_);
    return s.panel;
  }

  // Calls f(image, at, count, to) for pixels of the output that adjoin: those of a whole block of whole rows.
  template <typename F>
  void each_line(const Block& px, const F& f) const {
    const bool whole = px.w.length == p_.ow;
    const int64_t lines = whole ? 1 : px.h.length, count = px.h.length * px.w.length / lines;
    for (int64_t i = 0; i < px.images; ++i)
      for (int64_t r = 0; r < lines; ++r)
        f(px.n0 + i, (px.h.first + r) * p_.ow + px.w.first, count, (i * lines + r) * count);
  }

  // To [pixel][output channel].
  void transpose_output(const Block& px, const T* output, int64_t channels, T* dst) const {
    each_line(px, [&](int64_t image, int64_t at, int64_t count, int64_t to) {
      transpose_(output + image * p_.oc * p_.output_pixels() + at, p_.output_pixels(), channels, count,
                 dst + to * slice_pitch(), slice_pitch());
    });
  }

  // All taps of all channels are the rows of one product; where the block has taps of its own, each tap's channels.
  void multiply(const Task& t, const Block& px, int64_t nv, int64_t columns, Start start, const T* base, T* c,
                const Scratch& s) const {
    const T* rows[kOuterProductMaxMr];
    OuterProductArgs<T> args{};
    args.rows = rows, args.a_offset = s.a_offset, args.b = s.transposed, args.b_offset = s.b_offset;
    args.steps = px.steps(), args.columns = columns, args.start = start;
    args.a_row = p_.input_pixels(), args.a_step = 1, args.next_offset = s.next_offset;
    const auto& kernels = (strided() ? tiles_.strided : tiles_.rows)[nv - 1];
    const auto product = [&](int64_t row0, int64_t step, int64_t count) {
      args.c_stride = step * ocg_;
      EvenSplit::of_at_most(count, blocks_.mr).each([&](int64_t first, int64_t mr) {
        if (strided()) {
          args.a = base + first * args.a_row;
          args.next = first + mr < count ? args.a + mr * args.a_row : base + px.steps();  // the next block's
        } else {
          for (int64_t r = 0; r < mr; ++r) rows[r] = base + s.row_offset[row0 + (first + r) * step];
        }
        args.c = c + (row0 + first * step) * ocg_;
        kernels[mr - 1](args);
      });
    };
    const int64_t channels = t.ic1 - t.ic0;
    if (!apart_) return product(0, 1, channels * p_.taps());
    for (int64_t kh = px.h.tap; kh < px.h.tap + px.h.taps; ++kh)
      for (int64_t kw = px.w.tap; kw < px.w.tap + px.w.taps; ++kw) product(kh * p_.kw + kw, p_.taps(), channels);
  }

  void add_bias(const Block& px, const T* output, int64_t first, int64_t last, double* sums) const {
    each_line(px, [&](int64_t image, int64_t at, int64_t count, int64_t) {
      for (int64_t c = first; c < last; ++c)
        sums[c] += row_kernels_.sum(output + (image * bias_channels() + c) * p_.output_pixels() + at, count, 1, 0);
    });
  }

  // Adds the chunks and transposes [(ic, kh, kw)][oc] to the weight's layout.
  void reduce(const ChunkSums<T>& sums, const Operands& o, const Context& context) const {
    T* weight = o.written<T>(o.weight);
    const EvenSplit m = EvenSplit::of_at_most(rows_, kReduceRows);
    if (!exchanged_ || blocks_.chunks > 1)
      parallel_for(context.threads, p_.g * m.parts, [&](int64_t task, int) {
        const int64_t mi = take_index(task, m.parts), g = task, first = m.begin(mi), count = m.length(mi);
        const int64_t at = (g * rows_ + first) * ocg_;
        T* sum = sums.first + at;
        add_chunks(sum, sums.others + at, sums.count, blocks_.chunks, count * ocg_);
        if (!exchanged_) transpose_(sum, ocg_, count, ocg_, weight + g * rows_ * ocg_ + first, rows_);
      });
    if (p_.bias) add_bias_chunks(o.written<T>(o.bias), sums.bias, blocks_.chunks, bias_channels());
  }

  static constexpr int64_t kReduceRows = 64;

  const bool exchanged_;  // are input and output?
  const ConvProblem p_;
  Blocks blocks_;
  const OuterProductTiles<T>& tiles_;
  TransposeFn<T> transpose_;
  const RowKernels<T>& row_kernels_;
  int64_t icg_, ocg_, rows_;
  Axis h_, w_;
  bool apart_;   // do blocks have taps of their own, none of which reads padding?
  bool padded_;  // is the block's input copied?
};

}  // namespace

extern constexpr Method kDenseWeightGrad = method<WeightGrad>();

}  // namespace convext
