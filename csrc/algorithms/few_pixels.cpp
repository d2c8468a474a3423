// 1x1 convolution of images with few pixels, output pass and input gradient, with destination channels in the lanes:
//
//   destination[pixel][m]  =  sum over k  source[k][pixel] * weight[k][m]
//
// Lanes are lost to channels that do not fill the last vector, not to pixels (of 7x7 images 49 of 64). The weights of a
// slice of channels are copied as an input gradient has them in memory, or transposed for an output pass, in place of
// being cut into tiles of few rows, and stay in L1 while all pixels meet them. The sums are transposed at the end.
#include "algorithms/algorithm.h"
#include "algorithms/checks.h"
#include "algorithms/correlation.h"
#include "algorithms/method.h"
#include "algorithms/read_ahead.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

constexpr int64_t kMaxPixels = 1024;  // of a task; and of all images, if these are not small
constexpr int64_t kSmallImage = 64;

template <typename T>
class FewPixels {
 public:
  FewPixels(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : p_(p),
        c_(p),
        blocks_(blocks),
        tiles_(outer_product<T>(isa)),
        rows_(rows<T>(isa)),
        transpose_(transpose<T>(isa)),
        pixels_(p.input_pixels()) {}

  void plan(Blocks& b) const {
    const Tile tile = best_tile(tiles_, false, pixels_, ceil_div(c_.m, tiles_.lanes));
    b.mr = tile.mr, b.nv = tile.nv;
    const int64_t fit = kL1Bytes / (static_cast<int64_t>(sizeof(T)) * b.nv * tiles_.lanes);  // of weights
    b.k = EvenSplit::of_at_most(c_.k, std::min(steps_at_once<T>(c_.k), fit)).largest();
    b.tiles = EvenSplit::of_at_most(p_.n * pixel_tiles(b).parts, std::max<int64_t>(1, kMaxPixels / b.mr)).largest();
  }

  KernelName kernel() const {
    return {.shape = "outer_product_strided", .mr = blocks_.mr, .nr = blocks_.nv * tiles_.lanes};
  }

  Workspace workspace() const { return {0, Scratch(*this, nullptr).bytes}; }

  void run(const Workspace& workspace, const Operands& o, const Context& context) const {
    const EvenSplit slices = EvenSplit::of_at_most(ceil_div(c_.m, tiles_.lanes), blocks_.nv),
                    runs = runs_of_tiles(p_.g * slices.parts, context.threads);
    parallel_for(context.threads, p_.g * slices.parts * runs.parts, [&](int64_t task, int thread) {
      const int64_t si = take_index(task, slices.parts), ri = take_index(task, runs.parts), g = task;
      const int64_t j0 = slices.begin(si) * tiles_.lanes, nv = slices.length(si);
      compute({g, runs.begin(ri), runs.begin(ri + 1), j0, std::min(c_.m - j0, nv * tiles_.lanes), nv}, o,
              Scratch(*this, context.of_thread(workspace, thread)));
    });
  }

 private:
  static constexpr int64_t kCopyPixels = 24;  // copying a step of a slice of weights takes as long as so many pixels

  // Tiles [first, last) of all images, destination channels [j0, j0 + columns) of a group.
  struct Task {
    int64_t g, first, last, j0, columns, nv;
  };

  struct Scratch {
    int64_t *b_offset, *next_offset;
    T *weight, *sums;
    size_t bytes;
    Scratch(const FewPixels& s, std::byte* memory) {
      const Blocks& b = s.blocks_;
      const int64_t pitch = b.nv * s.tiles_.lanes;
      ScratchAllocator take(memory);
      b_offset = take.array<int64_t>(b.k);
      next_offset = take.array<int64_t>(b.k);
      weight = take.array<T>(b.k * pitch);
      sums = take.array<T>(b.tiles * b.mr * pitch);
      bytes = take.bytes();
    }
  };

  // Of an image.
  EvenSplit pixel_tiles(const Blocks& b) const { return EvenSplit::of_at_most(pixels_, b.mr); }

  // The tiles of all images in as many parts as keep all threads busy to the end. Each part copies the weights.
  EvenSplit runs_of_tiles(int64_t others, int threads) const {
    const int64_t tiles = p_.n * pixel_tiles(blocks_).parts, least = ceil_div(tiles, blocks_.tiles);
    EvenSplit best{tiles, least};
    int64_t best_cost = 0;
    for (int64_t parts = least; parts <= std::min(tiles, least + 2 * threads); ++parts) {
      const EvenSplit runs{tiles, parts};
      const int64_t cost = ceil_div(others * parts, threads) * (runs.largest() * blocks_.mr + kCopyPixels);
      if (best_cost == 0 || cost < best_cost) best = runs, best_cost = cost;
    }
    return best;
  }

  // As they lie in memory.
  Spans<T> weight_rows(const T* weight, int64_t steps, int64_t columns) const {
    return c_.weight_m == 1 ? Spans<T>{weight, 1, 0, steps, c_.weight_k, columns}
                            : Spans<T>{weight, 1, 0, columns, c_.weight_m, steps};
  }

  // To [step][column].
  void copy_weights(const T* weight, int64_t steps, int64_t columns, T* to, int64_t pitch) const {
    if (c_.weight_m == 1)
      rows_.copy({to, pitch, weight, c_.weight_k, steps, 0, 1, columns, columns});
    else
      transpose_(weight, c_.weight_m, columns, steps, to, pitch);
  }

  void compute(const Task& t, const Operands& operands, const Scratch& s) const {
    const CorrelationOperands<T> o(p_, operands);
    const T* source = o.source + t.g * c_.k * pixels_;
    const T* weight = o.weight + t.g * c_.weights_per_group() + t.j0 * c_.weight_m;
    const int64_t pitch = t.nv * tiles_.lanes;
    for (int64_t k = 0; k < blocks_.k; ++k) s.b_offset[k] = k * pitch, s.next_offset[k] = k * pixels_;

    const EvenSplit k = EvenSplit::of_at_most(c_.k, blocks_.k), m = pixel_tiles(blocks_);
    OuterProductArgs<T> args{};
    args.b = s.weight, args.b_offset = s.b_offset, args.next_offset = s.next_offset;
    args.a_row = 1, args.a_step = pixels_, args.c_stride = pitch, args.columns = t.columns;
    args.bias = o.bias == nullptr ? nullptr : o.bias + t.g * c_.m + t.j0;
    for (int64_t ki = 0; ki < k.parts; ++ki) {
      const int64_t k0 = k.begin(ki);
      args.steps = k.length(ki);
      args.start = ki > 0 ? Start::kAdd : o.bias != nullptr ? Start::kColumnBias : Start::kZero;
      copy_weights(weight + k0 * c_.weight_k, args.steps, t.columns, s.weight, pitch);
      ReadAhead<T> next_weights;
      if (ki + 1 < k.parts)
        next_weights = {weight_rows(weight + k.begin(ki + 1) * c_.weight_k, k.length(ki + 1), t.columns),
                        t.last - t.first};
      const auto tile = [&](int64_t i) {
        return source + (i / m.parts * c_.g * c_.k + k0) * pixels_ + m.begin(i % m.parts);
      };
      args.a = tile(t.first), args.c = s.sums;
      for (int64_t i = t.first; i < t.last; ++i) {
        const int64_t mr = m.length(i % m.parts);
        next_weights.turn();
        args.next = i + 1 < t.last ? tile(i + 1) : tile(t.first) + k.length(ki) * pixels_;
        tiles_.strided[t.nv - 1][mr - 1](args);
        args.a = args.next, args.c += mr * pitch;
      }
    }

    T* destination = o.destination + (t.g * c_.m + t.j0) * pixels_;
    const T* sums = s.sums;
    for (int64_t i = t.first; i < t.last;) {  // image by image
      const int64_t image = i / m.parts, last = std::min(t.last, (image + 1) * m.parts), first = m.begin(i % m.parts),
                    count = m.begin(last - image * m.parts) - first;
      transpose_(sums, pitch, count, t.columns, destination + image * c_.g * c_.m * pixels_ + first, pixels_);
      sums += count * pitch, i = last;
    }
  }

  const ConvProblem& p_;
  Correlation c_;
  Blocks blocks_;
  const OuterProductTiles<T>& tiles_;
  const RowKernels<T>& rows_;
  TransposeFn<T> transpose_;
  int64_t pixels_;
};

constexpr Method kMethod = method<FewPixels>();
using Only = OneMethod<kMethod>;

const char* supports(const ConvProblem& p) {
  if (p.pass == Pass::kWeightGrad) return "it computes no weight gradients";
  return moves_nothing(p) ? needs_channels_first(p) : "not a 1x1 kernel that keeps every pixel in its place";
}

// Multiply-adds of whole vectors a pixel, and what else takes as long as so many, against `pointwise`, whose lanes are
// pixels. (Two threads, 7x7, 8x8 and 14x14 images, batch 4: x1.03 to x1.25 where this one has fewer.)
const char* profitable(const ConvProblem& p, const Policy& policy) {
  const int64_t all = p.n * p.input_pixels();
  if (p.input_pixels() == 1) return "images of one pixel are rows of a matrix";
  if (all > kMaxPixels && p.input_pixels() > kSmallImage) return "many pixels";
  const Correlation c(p);
  const auto number = [](int64_t i) { return static_cast<double>(i); };
  const int64_t lanes =
      p.dtype == DType::kFloat32 ? outer_product<float>(policy.isa).lanes : outer_product<double>(policy.isa).lanes;
  const double transpose = 2 + number(lanes) / 2, copy = 4, cut = 2;  // of a vector; of a number
  const double k = number(c.k), m = number(c.m), vectors = number(ceil_div(c.m, lanes));
  const int64_t apart = p.n * ceil_div(p.input_pixels(), lanes), together = ceil_div(all, lanes);
  const bool copies = p.input_pixels() <= kSmallImage && together < apart;
  const double here = vectors * (k + transpose + k * (c.output_pass ? transpose : copy) / number(all)),
               there = k * m * number(copies ? together : apart) / number(all) +
                       k * m * (c.output_pass ? transpose / number(lanes) : cut) / number(all) +
                       (copies ? (k + m) / 2 : 0);
  return here < there ? nullptr : "pixels fill the lanes as well";
}

}  // namespace

extern const Algorithm kFewPixels = {"few_pixels", supports, profitable, Only::plan, Only::run};

}  // namespace convext
