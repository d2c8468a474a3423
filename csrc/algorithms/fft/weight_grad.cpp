// Weight gradient: a row of taps holds the correlation of two signals, the output's gradient and the input,
//
//   gradient[oc][ic][t]  =  sum over images, rows and ow  output[oc][ow] * input[ic][ow + t - pad]
//
// in which segments of both are transformed and multiplied, and their products are added up before they are
// transformed back, once for all segments of a chunk; the lanes are added last. Chunks follow from the problem.
#include <cmath>

#include "algorithms/chunks.h"
#include "algorithms/fft/fft.h"
#include "algorithms/fft/segments.h"
#include "core/parallel.h"

namespace convext {
namespace {

template <typename T>
class FftWeightGrad {
 public:
  FftWeightGrad(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : p_(p),
        blocks_(blocks),
        icg_(p.ic_per_group()),
        ocg_(p.oc_per_group()),
        axis_(output_axis(PaddingMode::kReplicate, p.ow, p.iw, p.kw, 1, 1, p.pad_left)),
        fft_(fft<T>(isa)),
        rows_(rows<T>(isa)),
        input_loader_(isa, p.padding_mode),
        output_loader_(isa, PaddingMode::kZeros),
        s_(p.n * p.oh, axis_, std::max<int64_t>(1, blocks.cols), fft_.lanes) {}

  void plan(Blocks& b) const {
    double best = 0;
    each_fft_length(axis_, [&](int64_t points) {
      const Segments s(p_.n * p_.oh, axis_, Segments::longest(axis_, points), fft_.lanes);
      if (const double ns = nanoseconds(s); best == 0 || ns < best) best = ns, b.cols = s.cuts.largest();
    });
    const Segments s(p_.n * p_.oh, axis_, b.cols, fft_.lanes);
    const Tiles tiles(*this, s);
    b.m = tiles.m, b.k = tiles.k;
    const int64_t apart = p_.g * ceil_div(ocg_, b.m) * ceil_div(steps(), b.k);
    const int64_t affordable =
        kMaxPartialBytes / std::max<int64_t>(1, static_cast<int64_t>(sizeof(T)) * p_.weight_count());
    b.chunks = std::clamp<int64_t>(std::min(ceil_div(kTasks, apart), affordable), 1, std::max<int64_t>(1, s.blocks()));
  }

  double cost() const { return nanoseconds(s_); }

  KernelName kernel() const { return {.shape = "fft_forward", .mr = 1, .nr = fft_.lanes}; }

  Workspace workspace() const { return {Shared(*this, nullptr).bytes, Scratch(*this, nullptr).bytes}; }

  void run(const Workspace& workspace, const Operands& o, const Context& context) const {
    const Shared shared(*this, context.shared());
    fill_roots(shared.roots, s_.points);
    const EvenSplit m = EvenSplit::of_at_most(ocg_, blocks_.m), k = EvenSplit::of_at_most(steps(), blocks_.k),
                    chunks{s_.blocks(), blocks_.chunks};
    parallel_for(context.threads, p_.g * m.parts * k.parts * chunks.parts, [&](int64_t task, int thread) {
      const int64_t chunk = take_index(task, chunks.parts), ki = take_index(task, k.parts),
                    mi = take_index(task, m.parts), g = task;
      compute({g, m.begin(mi), m.length(mi), k.begin(ki), k.length(ki)}, chunks, chunk, o, shared,
              Scratch(*this, context.of_thread(workspace, thread)));
    });
    parallel_for(context.threads, p_.oc, [&](int64_t oc, int) {
      for (int64_t ic = 0; ic < icg_; ++ic) finish(oc, ic, o, shared);
      if (p_.bias) o.written<T>(o.bias)[oc] = sum_of_output(oc, o);
    });
  }

 private:
  static constexpr int64_t kScratchBytes = 1 << 20;
  static constexpr int64_t kTasks = 8;
  static constexpr int64_t kMaxPartialBytes = 1 << 20;

  // Output channels and steps (input channels and parts of their taps) of one task.
  struct Tiles {
    int64_t m, k;
    Tiles(const FftWeightGrad& f, const Segments& s) {
      const int64_t bytes = static_cast<int64_t>(sizeof(T)) * s.block_size();
      const auto fits = [&](int64_t m, int64_t k) { return (m * k + m + 1) * bytes <= kScratchBytes; };
      m = k = 1;
      for (bool grown = true; grown;) {
        grown = false;
        if (m < f.ocg_ && fits(m + 1, k)) ++m, grown = true;
        if (k < f.steps() && fits(m, k + 1)) ++k, grown = true;
      }
      m = EvenSplit::of_at_most(f.ocg_, m).largest();
      k = EvenSplit::of_at_most(f.steps(), k).largest();
    }
  };

  struct Tile {
    int64_t g, m0, m, k0, k;
  };

  // Shared by all threads: roots, and the weights of each chunk.
  struct Shared {
    T *roots, *weights;
    size_t bytes;
    Shared(const FftWeightGrad& f, std::byte* memory) {
      ScratchAllocator take(memory);
      roots = take.array<T>(2 * f.s_.points);
      weights = take.array<T>(f.blocks_.chunks * f.p_.weight_count());
      bytes = take.bytes();
    }
  };

  struct Scratch {
    T *panel, *outputs, *input, *products;
    size_t bytes;
    Scratch(const FftWeightGrad& f, std::byte* memory) {
      ScratchAllocator take(memory);
      panel = take.array<T>(LaneLoader<T>::panel_size(f.s_));
      outputs = take.array<T>(f.blocks_.m * f.s_.block_size());
      input = take.array<T>(f.s_.block_size());
      products = take.array<T>(f.blocks_.m * f.blocks_.k * f.s_.block_size());
      bytes = take.bytes();
    }
  };

  int64_t steps() const { return icg_ * s_.parts.parts; }

  double nanoseconds(const Segments& s) const {
    const Tiles tiles(*this, s);
    const double pairs = static_cast<double>(ocg_ * steps()),
                 transforms = pairs / static_cast<double>(tiles.m) + pairs / static_cast<double>(tiles.k);
    const double block = transforms * transform_nanoseconds(s.points) + pairs * product_nanoseconds(s.points);
    return static_cast<double>(p_.g) *
           (static_cast<double>(s.blocks()) * block + pairs * transform_nanoseconds(s.points));
  }

  void compute(const Tile& t, const EvenSplit& chunks, int64_t chunk, const Operands& o, const Shared& shared,
               const Scratch& s) const {
    const int64_t size = s_.block_size();
    for (int64_t block = chunks.begin(chunk); block < chunks.begin(chunk + 1); ++block) {
      for (int64_t i = 0; i < t.m; ++i) {
        output_loader_.load(
            s_, block,
            {static_cast<const T*>(o.output) + (t.g * ocg_ + t.m0 + i) * p_.output_pixels(), p_.oc * p_.output_pixels(),
             p_.oh, p_.ow},
            [](int64_t begin, int64_t length) { return Window{begin, length}; }, s.panel, s.outputs + i * size);
        fft_.forward(s.outputs + i * size, s_.points, shared.roots);
      }
      for (int64_t j = 0; j < t.k; ++j) {
        const int64_t ic = (t.k0 + j) / s_.parts.parts, part = (t.k0 + j) % s_.parts.parts;
        input_loader_.load(
            s_, block,
            {static_cast<const T*>(o.input) + (t.g * icg_ + ic) * p_.input_pixels(), p_.ic * p_.input_pixels(), p_.ih,
             p_.iw},
            [&](int64_t begin, int64_t length) {
              return Window{begin + axis_.offset(s_.parts.begin(part)), length + s_.parts.length(part) - 1};
            },
            s.panel, s.input);
        fft_.forward(s.input, s_.points, shared.roots);
        for (int64_t i = 0; i < t.m; ++i)
          fft_.correlate(s.input, s.outputs + i * size, s.products + (i * t.k + j) * size, s_.points,
                         block > chunks.begin(chunk));
      }
    }
    T* weights = shared.weights + chunk * p_.weight_count();
    for (int64_t i = 0; i < t.m; ++i)
      for (int64_t j = 0; j < t.k; ++j) {
        const int64_t ic = (t.k0 + j) / s_.parts.parts, part = (t.k0 + j) % s_.parts.parts;
        T* lanes = s.products + (i * t.k + j) * size;
        fft_.backward(lanes, s_.points, shared.roots);
        T* w = weights + ((t.g * ocg_ + t.m0 + i) * icg_ + ic) * p_.kw + s_.parts.begin(part);
        for (int64_t tap = 0; tap < s_.parts.length(part); ++tap)
          w[tap] =
              static_cast<T>(rows_.sum(lanes + tap * s_.per_block, fft_.lanes, 1, 0) / static_cast<double>(s_.points));
      }
  }

  // Adds the chunks of one row of taps. A number that is not finite reaches the whole row; then the row is summed
  // directly.
  void finish(int64_t oc, int64_t ic, const Operands& o, const Shared& shared) const {
    const int64_t at = (oc * icg_ + ic) * p_.kw;
    T* w = o.written<T>(o.weight) + at;
    std::copy_n(shared.weights + at, p_.kw, w);
    add_chunks(w, shared.weights + p_.weight_count() + at, p_.weight_count(), blocks_.chunks, p_.kw);
    if (!std::isfinite(rows_.sum(w, p_.kw, 1, 0))) sum_directly(oc, ic, o, w);
  }

  void sum_directly(int64_t oc, int64_t ic, const Operands& o, T* w) const {
    std::fill_n(w, p_.kw, T(0));
    for (int64_t row = 0; row < s_.rows; ++row) {
      const int64_t n = row / p_.oh, h = row % p_.oh;
      const T* y = static_cast<const T*>(o.output) + ((n * p_.oc + oc) * p_.oh + h) * p_.ow;
      const T* x = static_cast<const T*>(o.input) + ((n * p_.ic + oc / ocg_ * icg_ + ic) * p_.ih + h) * p_.iw;
      for (int64_t t = 0; t < p_.kw; ++t)
        for (int64_t ow = 0; ow < p_.ow; ++ow)
          if (const int64_t at = source_index(p_.padding_mode, ow + axis_.offset(t), p_.iw); at >= 0)
            w[t] += y[ow] * x[at];
    }
  }

  T sum_of_output(int64_t oc, const Operands& o) const {
    const int64_t pixels = p_.output_pixels();
    return static_cast<T>(rows_.sum(static_cast<const T*>(o.output) + oc * pixels, pixels, p_.n, p_.oc * pixels));
  }

  const ConvProblem& p_;
  Blocks blocks_;
  int64_t icg_, ocg_;
  Axis axis_;
  const FftKernels<T>& fft_;
  const RowKernels<T>& rows_;
  LaneLoader<T> input_loader_, output_loader_;
  Segments s_;
};

}  // namespace

extern constexpr Method kFftWeightGrad = method<FftWeightGrad>();

}  // namespace convext
