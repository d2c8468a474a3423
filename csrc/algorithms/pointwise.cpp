// 1x1 convolution that moves nothing: products of matrices that lie in memory as they are needed.
//
// An image with many pixels is the dense algorithm's with one tap: its channels x pixels are a row-major
// matrix. Images of one pixel (squeeze-and-excitation, a linear layer in disguise) make matrices of the batch:
//
//   output[n][oc]   =  sum over ic  input[n][ic]  * weight[oc][ic]     inner products, channels in the lanes
//   input[n][ic]    =  sum over oc  output[n][oc] * weight[oc][ic]     outer products, input channels in the lanes
//   weight[oc][ic]  =  sum over n   output[n][oc] * input[n][ic]       likewise
#include "algorithms/checks.h"
#include "algorithms/dense/dense.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class OnePixel {
 public:
  OnePixel(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : p_(p),
        blocks_(blocks),
        outer_(outer_product<T>(isa)),
        inner_(inner_product<T>(isa)),
        icg_(p.ic_per_group()),
        ocg_(p.oc_per_group()) {}

  void plan(Blocks& b) const {
    if (p_.pass == Pass::kOutput) {
      b.mr = static_cast<int>(EvenSplit::of_at_most(p_.n, kInnerProductMaxMr).largest());
      b.nv = static_cast<int>(EvenSplit::of_at_most(ocg_, inner_.max_nr[b.mr - 1]).largest());
      return;
    }
    const int64_t rows = p_.pass == Pass::kInputGrad ? p_.n : ocg_, sum = p_.pass == Pass::kInputGrad ? ocg_ : p_.n;
    const Tile tile = best_tile(outer_, false, rows, ceil_div(icg_, outer_.lanes));
    b.mr = tile.mr, b.nv = tile.nv;
    b.k = EvenSplit::of_at_most(sum, kMaxSteps).largest();
  }

  KernelName kernel() const {
    if (p_.pass == Pass::kOutput) return {.shape = "inner_product", .mr = blocks_.mr, .nr = blocks_.nv};
    return {.shape = "outer_product_rows", .mr = blocks_.mr, .nr = blocks_.nv * outer_.lanes};
  }

  Workspace workspace() const { return {Offsets(*this, nullptr).bytes, 0}; }

  void run(const Workspace&, const Operands& o, const Context& context) const {
    const T* input = static_cast<const T*>(o.input);
    const T* weight = static_cast<const T*>(o.weight);
    const T* output = static_cast<const T*>(o.output);
    const T* bias = static_cast<const T*>(o.bias);
    if (p_.pass == Pass::kOutput) return inner_products(input, weight, bias, o.written<T>(o.output), context.threads);
    const Offsets offsets(*this, context.shared());
    if (p_.pass == Pass::kInputGrad)
      return outer_products({output, p_.oc, ocg_, 1}, {weight, ocg_ * icg_, icg_}, {o.written<T>(o.input), icg_, p_.ic},
                            p_.n, ocg_, bias, offsets, context.threads);
    outer_products({output, 1, ocg_, p_.oc}, {input, icg_, p_.ic}, {o.written<T>(o.weight), ocg_ * icg_, icg_}, ocg_,
                   p_.n, nullptr, offsets, context.threads);
    if (p_.bias) sum_images(output, o.written<T>(o.bias));
  }

 private:
  static constexpr int64_t kMaxSteps = 512;
  // A task costs 0.1 us, and a second thread pays from a few of them on. With one a thread, one that starts late holds
  // up all: x0.9 to x1.0 of 4.
  static constexpr int64_t kTasksPerThread = 4;
  static constexpr double kFlopsPerTask = 1 << 17;

  // Where the steps of a block of the sum lie.
  struct Offsets {
    int64_t *a, *b;
    size_t bytes;
    Offsets(const OnePixel& s, std::byte* memory) {
      ScratchAllocator take(memory);
      a = take.array<int64_t>(s.blocks_.k);
      b = take.array<int64_t>(s.blocks_.k);
      bytes = take.bytes();
    }
  };

  // The operands of a product of each group: rows and steps of A, steps of B, rows of C.
  struct MatrixA {
    const T* data;
    int64_t row, group, step;
  };
  struct MatrixB {
    const T* data;
    int64_t group, step;
  };
  struct MatrixC {
    T* data;
    int64_t group, row;
  };

  void outer_products(const MatrixA& a, const MatrixB& b, const MatrixC& c, int64_t rows, int64_t steps, const T* bias,
                      const Offsets& offsets, int threads) const {
    for (int64_t k = 0; k < blocks_.k; ++k) offsets.a[k] = k * a.step, offsets.b[k] = k * b.step;
    const EvenSplit m = EvenSplit::of_at_most(rows, blocks_.mr), k = EvenSplit::of_at_most(steps, blocks_.k),
                    v = EvenSplit::of_at_most(ceil_div(icg_, outer_.lanes), blocks_.nv);
    // A weight gradient by rows, which are written side by side; else by columns, which are read once.
    EvenSplit tiles = shares(m.parts, p_.g, threads), columns = shares(v.parts, p_.g, threads);
    if (p_.pass == Pass::kWeightGrad)
      columns = shares(v.parts, p_.g * tiles.parts, threads);
    else
      tiles = shares(m.parts, p_.g * columns.parts, threads);
    parallel_for(threads, p_.g * columns.parts * tiles.parts, [&](int64_t task, int) {
      const int64_t ti = take_index(task, tiles.parts), ci = take_index(task, columns.parts), g = task;
      const T* row[kOuterProductMaxMr];
      OuterProductArgs<T> args{};
      args.rows = row, args.a_offset = offsets.a, args.b_offset = offsets.b, args.c_stride = c.row;
      for (int64_t ki = 0; ki < k.parts; ++ki) {
        args.steps = k.length(ki);
        args.start = ki > 0 ? Start::kAdd : bias != nullptr ? Start::kColumnBias : Start::kZero;
        for (int64_t vi = columns.begin(ci); vi < columns.begin(ci + 1); ++vi) {
          const int64_t j0 = v.begin(vi) * outer_.lanes;
          args.b = b.data + g * b.group + k.begin(ki) * b.step + j0;
          args.bias = bias == nullptr ? nullptr : bias + g * icg_ + j0;
          args.columns = std::min(icg_ - j0, v.length(vi) * outer_.lanes);
          for (int64_t mi = tiles.begin(ti); mi < tiles.begin(ti + 1); ++mi) {
            for (int64_t r = 0; r < m.length(mi); ++r)
              row[r] = a.data + g * a.group + (m.begin(mi) + r) * a.row + k.begin(ki) * a.step;
            args.c = c.data + g * c.group + m.begin(mi) * c.row + j0;
            outer_.rows[v.length(vi) - 1][m.length(mi) - 1](args);
          }
        }
      }
    });
  }

  void inner_products(const T* input, const T* weight, const T* bias, T* output, int threads) const {
    const EvenSplit m = EvenSplit::of_at_most(p_.n, blocks_.mr), n = EvenSplit::of_at_most(ocg_, blocks_.nv),
                    columns = shares(n.parts, p_.g, threads), tiles = shares(m.parts, p_.g * columns.parts, threads);
    parallel_for(threads, p_.g * columns.parts * tiles.parts, [&](int64_t task, int) {
      const int64_t ti = take_index(task, tiles.parts), ci = take_index(task, columns.parts), g = task;
      const int64_t at_start = 0;
      const T *a[kInnerProductMaxMr], *b[kInnerProductMaxNr];
      InnerProductArgs<T> args{};
      args.a = a, args.b = b, args.a_segments = args.b_segments = &at_start;
      args.segments = 1, args.length = icg_, args.c_row = p_.oc, args.c_column = 1;
      for (int64_t ni = columns.begin(ci); ni < columns.begin(ci + 1); ++ni) {
        const int64_t first = g * ocg_ + n.begin(ni), count = n.length(ni);
        for (int64_t j = 0; j < count; ++j) b[j] = weight + (first + j) * icg_;
        args.bias = bias == nullptr ? nullptr : bias + first;
        for (int64_t mi = tiles.begin(ti); mi < tiles.begin(ti + 1); ++mi) {
          for (int64_t r = 0; r < m.length(mi); ++r) a[r] = input + (m.begin(mi) + r) * p_.ic + g * icg_;
          args.c = output + m.begin(mi) * p_.oc + first;
          inner_.fn[m.length(mi) - 1][count - 1](args);
        }
      }
    });
  }

  // `parts` in as many shares as make enough tasks for all threads, with `others` of them for each share.
  EvenSplit shares(int64_t parts, int64_t others, int threads) const {
    const int64_t wanted = std::min(kTasksPerThread * threads, 1 + static_cast<int64_t>(p_.flops() / kFlopsPerTask));
    return {parts, std::clamp<int64_t>(ceil_div(wanted, others), 1, parts)};
  }

  void sum_images(const T* output, T* bias) const {
    for (int64_t oc = 0; oc < p_.oc; ++oc) {
      double sum = 0;
      for (int64_t n = 0; n < p_.n; ++n) sum += output[n * p_.oc + oc];
      bias[oc] = static_cast<T>(sum);
    }
  }

  const ConvProblem& p_;
  Blocks blocks_;
  const OuterProductTiles<T>& outer_;
  const InnerProductTiles<T>& inner_;
  int64_t icg_, ocg_;
};

bool one_pixel(const ConvProblem& p) { return p.output_pixels() == 1; }

const char* supports(const ConvProblem& p) {
  return moves_nothing(p) ? needs_channels_first(p) : "not a 1x1 kernel that keeps every pixel in its place";
}

const char* profitable(const ConvProblem&, const Policy&) { return nullptr; }

constexpr Method kOnePixel = method<OnePixel>();

const Method& method_of(const ConvProblem& p) { return one_pixel(p) ? kOnePixel : Dense::of(p); }

using Pointwise = MethodsBy<method_of>;

}  // namespace

extern const Algorithm kPointwise = {"pointwise", supports, profitable, Pointwise::plan, Pointwise::run};

}  // namespace convext
