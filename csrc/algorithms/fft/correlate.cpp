// Output pass and input gradient by overlap-save: a segment of a row and the taps that it meets are transformed,
// multiplied (summed over channels and parts of the taps) and transformed back. The spectra of the taps are made
// once a call; all segments and images share them.
#include <cmath>

#include "algorithms/correlation.h"
#include "algorithms/fft/fft.h"
#include "algorithms/fft/segments.h"
#include "core/parallel.h"

namespace convext {
namespace {

template <typename T>
class FftCorrelate {
 public:
  FftCorrelate(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : c_(p),
        blocks_(blocks),
        axis_(c_.axis_w(0)),
        fft_(fft<T>(isa)),
        rows_(rows<T>(isa)),
        transposes_(transposes<T>(isa)),
        loader_(isa, p.padding_mode),
        s_(c_.n * c_.out_h, axis_, std::max<int64_t>(1, blocks.cols), fft_.lanes) {}

  void plan(Blocks& b) const {
    double best = 0;
    each_fft_length(axis_, [&](int64_t points) {
      const Segments s(c_.n * c_.out_h, axis_, Segments::longest(axis_, points), fft_.lanes);
      if (const double ns = nanoseconds(s); best == 0 || ns < best) best = ns, b.cols = s.cuts.largest();
    });
    const Segments s(c_.n * c_.out_h, axis_, b.cols, fft_.lanes);
    const Tiles tiles(*this, s);
    b.m = tiles.m, b.k = tiles.k;
  }

  double cost() const { return nanoseconds(s_); }

  KernelName kernel() const { return {.shape = "fft_forward", .mr = 1, .nr = fft_.lanes}; }

  Workspace workspace() const { return {Shared(*this, nullptr).bytes, Scratch(*this, nullptr).bytes}; }

  void run(const Workspace& workspace, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(c_.problem(), operands);
    const Shared shared(*this, context.shared());
    fill_roots(shared.roots, s_.points);
    const EvenSplit m = EvenSplit::of_at_most(c_.m, blocks_.m);
    const auto first_channel = [&](int64_t tile) { return tile / m.parts * c_.m + m.begin(tile % m.parts); };
    for (int64_t tile = 0; tile < c_.g * m.parts; tile += batch()) {
      const int64_t tiles = std::min(batch(), c_.g * m.parts - tile);
      const int64_t first = first_channel(tile) * steps(), kernels = first_channel(tile + tiles) * steps() - first;
      parallel_for(context.threads, ceil_div(kernels, fft_.lanes), [&](int64_t task, int thread) {
        const int64_t done = task * fft_.lanes;
        transform_taps(first + done, std::min<int64_t>(fft_.lanes, kernels - done), o, shared,
                       shared.spectra + done * 2 * s_.points, Scratch(*this, context.of_thread(workspace, thread)));
      });
      parallel_for(context.threads, tiles * s_.blocks(), [&](int64_t task, int thread) {
        const int64_t block = task % s_.blocks(), t = tile + task / s_.blocks(), mi = t % m.parts;
        compute(t / m.parts, m.begin(mi), m.length(mi), block, o, shared,
                shared.spectra + (first_channel(t) * steps() - first) * 2 * s_.points,
                Scratch(*this, context.of_thread(workspace, thread)));
      });
    }
  }

 private:
  static constexpr int64_t kScratchBytes = 1 << 20;
  static constexpr int64_t kSpectraBytes = 8 << 20;

  // Output channels and steps (input channels and parts of their taps) that a task takes at once.
  struct Tiles {
    int64_t m, k;
    Tiles(const FftCorrelate& f, const Segments& s) {
      const int64_t blocks = std::max<int64_t>(2, kScratchBytes / (static_cast<int64_t>(sizeof(T)) * s.block_size()));
      const int64_t affordable = kSpectraBytes / (static_cast<int64_t>(sizeof(T)) * f.steps() * 2 * s.points);
      m = EvenSplit::of_at_most(f.c_.m, std::clamp<int64_t>(affordable, 1, blocks / 2)).largest();
      k = EvenSplit::of_at_most(f.steps(), blocks - m).largest();
    }
  };
  // Tiles of output channels whose taps are transformed together, before any of them is used.
  int64_t batch() const {
    const int64_t bytes = static_cast<int64_t>(sizeof(T)) * blocks_.m * steps() * 2 * s_.points;
    return std::clamp<int64_t>(kSpectraBytes / bytes, 1, c_.g * ceil_div(c_.m, blocks_.m));
  }

  // Shared by all threads: roots, and the spectra of a batch: [output channel][k][part] of 2 * points numbers.
  struct Shared {
    T *roots, *spectra;
    size_t bytes;
    Shared(const FftCorrelate& f, std::byte* memory) {
      ScratchAllocator take(memory);
      roots = take.array<T>(2 * f.s_.points);
      spectra = take.array<T>(f.batch() * f.blocks_.m * f.steps() * 2 * f.s_.points);
      bytes = take.bytes();
    }
  };

  struct Scratch {
    T *panel, *sources, *results;
    int64_t* place;
    size_t bytes;
    Scratch(const FftCorrelate& f, std::byte* memory) {
      ScratchAllocator take(memory);
      panel = take.array<T>(LaneLoader<T>::panel_size(f.s_));
      place = take.array<int64_t>(f.s_.per_block);
      sources = take.array<T>(f.blocks_.k * f.s_.block_size());
      results = f.in_place() ? sources : take.array<T>(f.blocks_.m * f.s_.block_size());
      bytes = take.bytes();
    }
  };

  int64_t steps() const { return c_.k * s_.parts.parts; }
  bool in_place() const { return steps() == 1 && c_.m == 1; }

  double nanoseconds(const Segments& s) const {
    const Tiles tiles(*this, s);
    const double transforms = static_cast<double>(steps() * ceil_div(c_.m, tiles.m) + c_.m),
                 products = static_cast<double>(steps() * c_.m),
                 kernels = static_cast<double>(ceil_div(c_.g * c_.m * steps(), fft_.lanes));
    // Taps go into the lanes one by one, which takes as long again as their transform.
    const double block = transforms * transform_nanoseconds(s.points) + products * product_nanoseconds(s.points);
    return static_cast<double>(c_.g * s.blocks()) * block + 2 * kernels * transform_nanoseconds(s.points);
  }

  // Tap j reads j points further on: it is point -j of what a source is convolved with.
  void transform_taps(int64_t first, int64_t count, const CorrelationOperands<T>& o, const Shared& shared, T* spectra,
                      const Scratch& s) const {
    T* block = s.sources;
    std::fill_n(block, s_.block_size(), T(0));
    const T scale = T(1) / static_cast<T>(s_.points);
    for (int64_t lane = 0; lane < count; ++lane) {
      const int64_t i = first + lane, part = i % s_.parts.parts, k = i / s_.parts.parts % c_.k, m = i / steps() % c_.m,
                    g = i / steps() / c_.m;
      const T* weight = o.weight + g * c_.weights_per_group() + m * c_.weight_m + k * c_.weight_k;
      if (axis_.taps == 0) continue;  // all of them read padding
      for (int64_t j = 0; j < s_.parts.length(part); ++j)
        block[(s_.points - j) % s_.points * s_.per_block + lane] =
            scale * weight[axis_.tap0 + (s_.parts.begin(part) + j) * axis_.tap_step];
    }
    fft_.forward(block, s_.points, shared.roots);
    for (int64_t part = 0; part < 2; ++part)
      transposes_.block(block + part * fft_.lanes, s_.per_block, s_.points, count, spectra + part * s_.points,
                        2 * s_.points);
  }

  // Channels [m0, m0 + m) of a group, for the signals of a block.
  void compute(int64_t g, int64_t m0, int64_t m, int64_t block, const CorrelationOperands<T>& o, const Shared& shared,
               const T* spectra, const Scratch& s) const {
    for (int64_t step = 0; step < steps(); step += blocks_.k) {
      const int64_t count = std::min(blocks_.k, steps() - step);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t k = (step + i) / s_.parts.parts, part = (step + i) % s_.parts.parts;
        T* lanes = s.sources + i * s_.block_size();
        loader_.load(
            s_, block, {o.source + (g * c_.k + k) * c_.in_pixels(), c_.g * c_.k * c_.in_pixels(), c_.in_h, c_.in_w},
            [&](int64_t begin, int64_t length) {
              return Window{begin + axis_.offset(s_.parts.begin(part)), length + s_.parts.length(part) - 1};
            },
            s.panel, lanes);
        fft_.forward(lanes, s_.points, shared.roots);
      }
      fft_.multiply({s.results, s_.block_size(), s.sources, s_.block_size(), spectra + step * 2 * s_.points,
                     steps() * 2 * s_.points, 2 * s_.points, m, count, s_.points, step > 0});
    }
    for (int64_t i = 0; i < m; ++i) {
      T* lanes = s.results + i * s_.block_size();
      if (o.bias != nullptr)  // frequency 0
        for (int64_t l = 0; l < s_.per_block; ++l) lanes[l] += o.bias[g * c_.m + m0 + i];
      fft_.backward(lanes, s_.points, shared.roots);
      store(g, m0 + i, block, lanes, o, s);
    }
  }

  void store(int64_t g, int64_t m, int64_t block, const T* lanes, const CorrelationOperands<T>& o,
             const Scratch& s) const {
    const int64_t shortest = s_.cuts.size / s_.cuts.parts;
    s_.each(block, [&](int64_t i, int64_t row, int64_t cut) {
      s.place[i] = (row / c_.out_h * c_.g * c_.m + g * c_.m + m) * c_.out_pixels() + row % c_.out_h * c_.out_w +
                   s_.cuts.begin(cut);
    });
    constexpr int64_t kPoints = LaneLoader<T>::kPanelPoints;
    for (int64_t p = 0; p < shortest; p += kPoints) {
      const int64_t points = std::min(kPoints, shortest - p);
      transposes_.block(lanes + p * s_.per_block, s_.per_block, points, s_.per_block, s.panel, kPoints);
      s_.each(block, [&](int64_t i, int64_t, int64_t) {
        std::copy_n(s.panel + i * kPoints, points, o.destination + s.place[i] + p);
      });
    }
    s_.each(block, [&](int64_t i, int64_t row, int64_t cut) {
      T* y = o.destination + s.place[i];
      const int64_t length = s_.cuts.length(cut);
      if (length > shortest) y[shortest] = lanes[shortest * s_.per_block + i];
      if (!std::isfinite(rows_.sum(y, length, 1, 0))) sum_directly(g, m, row, s_.cuts.begin(cut), length, o, y);
    });
  }

  // A number that is not finite reaches all results of its transform. Here it reaches those that it belongs to.
  void sum_directly(int64_t g, int64_t m, int64_t row, int64_t begin, int64_t length, const CorrelationOperands<T>& o,
                    T* y) const {
    std::fill_n(y, length, o.bias == nullptr ? T(0) : o.bias[g * c_.m + m]);
    for (int64_t k = 0; k < c_.k; ++k) {
      const T* source = o.source + ((row / c_.in_h * c_.g + g) * c_.k + k) * c_.in_pixels() + row % c_.in_h * c_.in_w;
      const T* weight = o.weight + g * c_.weights_per_group() + m * c_.weight_m + k * c_.weight_k;
      for (int64_t t = 0; t < axis_.taps; ++t)
        for (int64_t j = 0; j < length; ++j)
          if (const int64_t at = source_index(c_.padding_mode, begin + j + axis_.offset(t), c_.in_w); at >= 0)
            y[j] += source[at] * weight[axis_.tap0 + t * axis_.tap_step];
    }
  }

  Correlation c_;
  Blocks blocks_;
  Axis axis_;
  const FftKernels<T>& fft_;
  const RowKernels<T>& rows_;
  const TransposeKernels<T>& transposes_;
  LaneLoader<T> loader_;
  Segments s_;
};

}  // namespace

extern constexpr Method kFftCorrelate = method<FftCorrelate>();

}  // namespace convext
