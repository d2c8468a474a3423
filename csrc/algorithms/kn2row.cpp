// Few destination channels: the taps of all of them are the rows of one product, which reads every source number once,
// where it lies; then the rows, each shifted by its tap, are added up (Vasudevan, Anderson & Gregg 2017, "Parallel
// multi channel convolution using general matrix multiplication": kn2row).
//
//   3 taps, padding 1:   product row of tap   0   1   2       Neither a panel nor a number of the padding is computed
//     destination j adds its columns        j-1   j  j+1      with; register tiles are full from a single channel on.
#include "algorithms/checks.h"
#include "algorithms/correlation.h"
#include "algorithms/dense/product.h"
#include "algorithms/method.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class Kn2row {
 public:
  Kn2row(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : c_(p),
        h_(c_.axis_h(0)),
        w_(c_.axis_w(0)),
        taps_(h_.taps * w_.taps),
        blocks_(blocks),
        tiles_(outer_product<T>(isa)),
        fold_(fold<T>(isa)) {}

  void plan(Blocks& b) const {
    // The product of a block stays in the L2 cache, or nearly, if neighbours then compute much twice.
    const int64_t pixels =
        std::clamp(sizeof_rows(kKept * reach(h_) * c_.in_w), kProductBytes, kMaxProductBytes) / sizeof_rows(1);
    const auto at_most = [](const Axis& axis, int64_t reads) {
      return EvenSplit::of_at_most(axis.out, std::max<int64_t>(1, reads - reach(axis))).largest();
    };
    b.cols = at_most(w_, pixels / std::min(c_.out_h + reach(h_), 2 * reach(h_) + 1));
    b.rows = at_most(h_, pixels / std::min(c_.in_w, b.cols + reach(w_)));
    b.k = EvenSplit::of_at_most(c_.k, sizeof(T) == 4 ? kMaxSteps : kMaxSteps / 2).largest();
    const Tile tile = best_tile(tiles_, true, c_.m * taps_, ceil_div(block_pixels(b), tiles_.lanes));
    b.mr = tile.mr, b.nv = tile.nv, b.packed_weights = true;
  }

  // Columns of all products.
  double cost() const {
    const auto reads = [](const Axis& axis, int64_t block) {
      return ceil_div(axis.out, block) * std::min(axis.in, block + reach(axis));
    };
    return static_cast<double>(c_.n * c_.g * reads(h_, blocks_.rows) * reads(w_, blocks_.cols));
  }

  KernelName kernel() const {
    return {.shape = "outer_product_packed", .mr = blocks_.mr, .nr = blocks_.nv * tiles_.lanes};
  }

  Workspace workspace() const {
    return {align_up(sizeof(T) * static_cast<size_t>(c_.g * weights())), Scratch(*this, nullptr).bytes};
  }

  void run(const Workspace& workspace, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(c_.problem(), operands);
    T* const packed = reinterpret_cast<T*>(context.shared());
    const EvenSplit k = EvenSplit::of_at_most(c_.k, blocks_.k);
    parallel_for(context.threads, c_.g * k.parts, [&](int64_t task, int) {
      const int64_t ki = take_index(task, k.parts), g = task;
      pack(packed + g * weights() + k.begin(ki) * c_.m * taps_,
           o.weight + g * c_.weights_per_group() + k.begin(ki) * c_.weight_k, k.length(ki));
    });
    const EvenSplit cols = EvenSplit::of_at_most(c_.out_w, blocks_.cols);
    const int64_t others = c_.n * c_.g * cols.parts;
    const EvenSplit rows{
        c_.out_h,
        std::min(std::max(ceil_div(c_.out_h, blocks_.rows), ceil_div(int64_t{context.threads}, others)), c_.out_h)};
    parallel_for(context.threads, others * rows.parts, [&](int64_t task, int thread) {
      const int64_t ri = take_index(task, rows.parts), ci = take_index(task, cols.parts), g = take_index(task, c_.g);
      const Scratch s(*this, context.of_thread(workspace, thread));
      const Block block(*this, {rows.begin(ri), rows.length(ri)}, {cols.begin(ci), cols.length(ci)});
      multiply(block, o.source + (task * c_.g + g) * c_.k * c_.in_pixels(), packed + g * weights(), s);
      add_up(block, o.bias != nullptr ? o.bias + g * c_.m : nullptr, s,
             o.destination + (task * c_.g + g) * c_.m * c_.out_pixels());
    });
  }

 private:
  static constexpr int64_t kProductBytes = 768 << 10, kMaxProductBytes = 2 * kProductBytes;
  static constexpr int64_t kKept = 16, kMaxSteps = 128;

  struct Range {
    int64_t begin, length;
  };

  // Destination rows and columns, and what they read.
  struct Block {
    Range rows, cols;
    Axis::Reads read_rows, read_cols;
    int64_t lines;  // with rows of padding
    int64_t above;  // those before the others
    Block(const Kn2row& s, Range r, Range c)
        : rows(r),
          cols(c),
          read_rows(s.h_.reads(r.begin, r.length)),
          read_cols(s.w_.reads(c.begin, c.length)),
          lines(r.length + reach(s.h_)),
          above(read_rows.count > 0 ? read_rows.first - (r.begin + s.h_.offset0) : lines) {}
  };

  struct Scratch {
    int64_t *b_offset, *kept_offset;
    FoldTap* tap;
    T *product, *kept;
    size_t bytes;
    Scratch(const Kn2row& s, std::byte* memory) {
      ScratchAllocator take(memory);
      b_offset = take.array<int64_t>(s.blocks_.k);
      kept_offset = take.array<int64_t>(s.keeps() ? s.blocks_.k : 0);
      tap = take.array<FoldTap>(s.taps_);
      product = take.array<T>(s.c_.m * s.taps_ * s.pitch(s.block_pixels(s.blocks_)));
      kept = take.array<T>(s.keeps() ? s.blocks_.k * s.blocks_.nv * s.tiles_.lanes : 0);
      bytes = take.bytes();
    }
  };

  bool keeps() const { return Product<T>::keeps(tiles_, blocks_, c_.m * taps_); }

  // What a destination position reads is so many positions apart.
  static int64_t reach(const Axis& axis) { return axis.offset(axis.taps - 1) - axis.offset0; }
  int64_t block_pixels(const Blocks& b) const { return (b.rows + reach(h_)) * std::min(c_.in_w, b.cols + reach(w_)); }
  // An odd number of vectors: rows a page apart would meet in one set of the L1 cache.
  int64_t pitch(int64_t pixels) const { return (ceil_div(pixels, tiles_.lanes) | 1) * tiles_.lanes; }
  int64_t sizeof_rows(int64_t pixels) const { return static_cast<int64_t>(sizeof(T)) * c_.m * taps_ * pixels; }
  int64_t weights() const { return c_.m * taps_ * c_.k; }

  // Of a block of source channels: [tile of rows][source channel][row], the rows being [channel][tap along h][along w].
  void pack(T* dst, const T* weight, int64_t k) const {
    EvenSplit::of_at_most(c_.m * taps_, blocks_.mr).each([&](int64_t first, int64_t mr) {
      for (int64_t j = 0; j < k; ++j)
        for (int64_t r = first; r < first + mr; ++r) {
          const int64_t th = r % taps_ / w_.taps, tw = r % w_.taps;
          *dst++ = weight[j * c_.weight_k + r / taps_ * c_.weight_m + (h_.tap0 + th * h_.tap_step) * c_.kernel_w +
                          w_.tap0 + tw * w_.tap_step];
        }
    });
  }

  // [row of the product][line][column that is read]
  void multiply(const Block& b, const T* source, const T* packed, const Scratch& s) const {
    const int64_t width = b.read_cols.count, pitch = this->pitch(b.lines * width);
    const int64_t first = b.above * width, last = first + b.read_rows.count * width;
    for (int64_t r = 0; r < c_.m * taps_; ++r) {
      T* line = s.product + r * pitch;
      std::fill(line, line + first, T(0)), std::fill(line + last, line + b.lines * width, T(0));
    }
    if (first == last) return;
    Product<T> product(tiles_, blocks_, c_.m * taps_);
    const bool whole = width == c_.in_w;
    product.lines = whole ? 1 : b.read_rows.count, product.length = (last - first) / product.lines;
    product.b_line = c_.in_w, product.c_line = width;
    product.c = s.product + first, product.c_stride = pitch;
    product.b_offset = s.b_offset, product.asks_ahead = true;
    if (keeps()) product.kept = s.kept, product.kept_offset = s.kept_offset;
    source += b.read_rows.first * c_.in_w + b.read_cols.first;
    for (int64_t j = 0; j < blocks_.k; ++j) s.b_offset[j] = j * c_.in_pixels();
    EvenSplit::of_at_most(c_.k, blocks_.k).each([&](int64_t k0, int64_t k) {
      product.packed = packed + k0 * c_.m * taps_, product.b = source + k0 * c_.in_pixels();
      product.steps = k, product.start = k0 == 0 ? Start::kZero : Start::kAdd;
      product.multiply();
    });
  }

  void add_up(const Block& b, const T* bias, const Scratch& s, T* destination) const {
    const int64_t width = b.read_cols.count, pitch = this->pitch(b.lines * width);
    for (int64_t th = 0; th < h_.taps; ++th)
      for (int64_t tw = 0; tw < w_.taps; ++tw) {
        const int64_t shift = b.cols.begin + w_.offset(tw) - b.read_cols.first, tap = th * w_.taps + tw;
        s.tap[tap] = {tap * pitch + th * h_.offset_step * width + shift, std::max<int64_t>(0, -shift),
                      std::min(b.cols.length, width - shift)};
      }
    for (int64_t m = 0; m < c_.m; ++m)
      fold_.fn({s.product + m * taps_ * pitch, width, s.tap, taps_,
                destination + m * c_.out_pixels() + b.rows.begin * c_.out_w + b.cols.begin, c_.out_w, b.rows.length,
                b.cols.length, bias != nullptr ? bias[m] : T(0)});
  }

  Correlation c_;
  Axis h_, w_;
  int64_t taps_;  // that do not read padding only
  Blocks blocks_;
  const OuterProductTiles<T>& tiles_;
  const FoldKernel<T>& fold_;
};

constexpr Method kMethod = method<Kn2row>();
using Only = OneMethod<kMethod>;

const char* supports(const ConvProblem& p) {
  if (p.pass == Pass::kWeightGrad) return "it computes outputs and input gradients";
  if (p.padding_mode != PaddingMode::kZeros) return "its padding is what no row of the product has";
  if (p.stride_h > 1 || p.stride_w > 1) return "strided: most of the product would go unread";
  const Correlation c(p);
  if (c.axis_h(0).taps * c.axis_w(0).taps == 0) return "no tap reads the source";
  return needs_channels_first(p);
}

// Input gradients without padding: `dense` multiplies that of the gradient, too; here a number costs as much as some
// source channels to add up. (Images of 8x8 to 14x14, two threads; AVX-512, AVX2: 5x5, 6 < 16 x1.2, x1.16, 10 < 20
// x1.7, x1.4, 8 < 32 x1.8, x1.3; 7x7, 6 < 24 x2.5, x2.1; 28x28 x0.88, x0.9. From 16 channels on Winograd is as fast.)
bool mostly_padding(const Correlation& c) {
  constexpr int64_t kMaxChannels = 12, kAdd = 10;
  return c.m <= kMaxChannels && 10 * c.out_pixels() * c.k > 11 * c.in_pixels() * (c.k + kAdd);
}

// Measured against `dense`, 2 threads, both instruction sets: it wins from 4 m source channels on, and the more
// destination channels there are, which fill a tile of `dense` too, up to the fewer taps: 49 of two, 25 of three, 9 to
// 15 of four. (Of five to eight it wins x1.2 to x1.6 on large planes and loses as much on short rows.)
const char* profitable(const ConvProblem& p, const Policy&) {
  constexpr int64_t kMaxChannels = 4, kMaxTaps = 240;
  const Correlation c(p);
  if (c.taps() == 1) return "a single tap";
  if (mostly_padding(c)) return nullptr;
  if (c.k <= 4 * c.m) return "few source channels: adding the rows up takes as long as the product";
  return c.m > kMaxChannels || c.m * c.m * c.taps() > kMaxTaps ? "the destination channels fill a tile" : nullptr;
}

// Blocks compute what their neighbours do too, and what no output reads. (Of 6 source pixels an output it wins x1.1 to
// x1.6, of 13 it is level, of 2500 it takes 6 times as long. A single channel fills a third of a tile of `dense`: with
// 1.1 columns an output x2.1, with 2.8 x1.2.)
const char* worthwhile(const Plan& plan) {
  constexpr double kTwice = 1.5, kTwiceOfOne = 3, kUnread = 8;
  const Correlation c(plan.problem);
  const double columns = Only::of(plan.problem).cost(plan) / static_cast<double>(c.n * c.g),
               pixels = static_cast<double>(c.m == 1 ? std::max(c.in_pixels(), c.out_pixels()) : c.in_pixels());
  if (columns > (c.m == 1 ? kTwiceOfOne : kTwice) * pixels) return "most of a block is what its neighbours compute too";
  return columns > kUnread * static_cast<double>(c.out_pixels()) ? "most of the product would go unread" : nullptr;
}

}  // namespace

extern const Algorithm kKn2row = {
    .name = "kn2row",
    .supports = supports,
    .profitable = profitable,
    .plan = Only::plan,
    .run = Only::run,
    .worthwhile = worthwhile,
};

}  // namespace convext
