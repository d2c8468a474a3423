// Strided input gradients with few channels (the first layer of a network): the pixels of a destination row that are
// equal modulo the stride, its phases along w, are rows of one product.
//
//   stride 2, 3 taps, padding 1:        a source number is loaded once for all taps of all phases and channels that it
//                                       meets, in place of once for each tap. Where it meets but some of the phases,
//     source          s     s + 1       these adjoin: the product of those rows is added.
//     even column     tap 1
//     odd column      tap 2  tap 0      All phases along h read the same panel.
#include "algorithms/checks.h"
#include "algorithms/correlation.h"
#include "algorithms/dense/product.h"
#include "algorithms/method.h"
#include "algorithms/panel.h"
#include "algorithms/read_ahead.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class JointPhases {
 public:
  JointPhases(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : p_(p),
        c_(p),
        h_(c_.all_phases_h()),
        w_(c_.all_phases_w()),
        blocks_(blocks),
        isa_(isa),
        tiles_(outer_product<T>(isa)),
        rows_(rows<T>(isa)) {
    for (int64_t ph = 0; ph < c_.phases_h; ++ph) taps_h_ += c_.axis_h(ph).taps;
    for (int64_t i = 0; i < w_.taps; ++i) {
      const int64_t tap = first_tap(i), first = std::clamp<int64_t>(-tap, 0, c_.phases_w),
                    last = std::clamp<int64_t>(p.kw - tap, 0, c_.phases_w);
      taps_w_ += last - first;
      if (first == 0 && last == c_.phases_w) {
        if (groups_[0].columns++ == 0) groups_[0].column = i;
      } else if (first < last) {
        groups_[count_++] = {first, last - first, i, 1};
      }
    }
    if (blocks.mr > 0)
      for (int i = 0; i < count_; ++i) {
        const Tile tile = best_tile(tiles_, true, groups_[i].phases * c_.m, vectors(blocks.cols));
        groups_[i].tile = blocks, groups_[i].tile.mr = tile.mr, groups_[i].tile.nv = tile.nv;
      }
  }

  void plan(Blocks& b) const {
    const Tile tile = best_tile(tiles_, true, c_.phases_w * c_.m, vectors(std::min(w_.out, kMaxPixels)));
    b.mr = tile.mr, b.nv = tile.nv, b.packed_weights = true;

    const int64_t taps = ceil_div(c_.kernel_h, c_.phases_h) * ceil_div(c_.kernel_w, c_.phases_w);
    const int64_t steps = steps_at_once<T>(c_.k * taps);
    b.k = EvenSplit::of_at_most(c_.k, ceil_div(steps, taps)).largest();

    // The source rows of a destination row stay in L1, the panel and the result in L2.
    const int64_t size = sizeof(T), row = std::max<int64_t>(1, b.k * h_.taps * size);
    b.cols = EvenSplit::of_at_most(w_.out, std::max<int64_t>(kL1Bytes / row, kMinCols)).largest();
    const auto bytes = [&](int64_t rows) {
      return size * std::max(2 * b.k * shape(rows, b.cols).channel_pitch(), destination_rows() * rows * b.cols);
    };
    b.rows = 1;
    while (b.rows < h_.out && b.rows * b.cols < kMaxPixels && bytes(b.rows + 1) <= l2_bytes(isa_)) ++b.rows;
    b.rows = EvenSplit::of_at_most(h_.out, b.rows).largest();
  }

  KernelName kernel() const {
    return {.shape = "outer_product_packed", .mr = blocks_.mr, .nr = blocks_.nv * tiles_.lanes};
  }

  Workspace workspace() const {
    return {align_up(sizeof(T) * static_cast<size_t>(c_.g * weights())), Scratch(*this, nullptr).bytes};
  }

  void run(const Workspace& workspace, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(p_, operands);
    T* const packed = reinterpret_cast<T*>(context.shared());
    const EvenSplit k = EvenSplit::of_at_most(c_.k, blocks_.k);
    parallel_for(context.threads, c_.g * k.parts, [&](int64_t task, int) {
      const int64_t ki = take_index(task, k.parts), g = task;
      pack(packed + g * weights() + k.begin(ki) * weights() / c_.k, o.weight + g * c_.weights_per_group(), k.begin(ki),
           k.length(ki));
    });
    const EvenSplit cols = EvenSplit::of_at_most(w_.out, blocks_.cols);
    const int64_t others = c_.n * c_.g * cols.parts;
    const EvenSplit rows{h_.out, std::min(ceil_div(kTasks * context.threads, others), h_.out)};
    parallel_for(context.threads, others * rows.parts, [&](int64_t task, int thread) {
      const int64_t ri = take_index(task, rows.parts), ci = take_index(task, cols.parts), g = take_index(task, c_.g);
      compute({task, g, rows.begin(ri), rows.length(ri), cols.begin(ci), cols.length(ci)},
              Scratch(*this, context.of_thread(workspace, thread)), packed + g * weights(), o);
    });
  }

 private:
  static constexpr int64_t kMinCols = 64, kMaxPixels = 2048;
  static constexpr int64_t kTasks = 4;  // a thread, so that all are busy to the end

  // Phases that have taps at the same source columns, [column, column + columns) of those that w_ lists.
  struct Group {
    int64_t phase, phases, column, columns;
    Blocks tile = {};
  };

  struct Task {
    int64_t n, g, r0, rows, c0, cols;
  };

  // Of destination rows and columns, each of all phases.
  struct Block {
    int64_t r0, rows, c0, cols;
  };

  struct Scratch {
    int64_t* b_offset;
    T *bias, *panel, *result;
    size_t bytes;
    Scratch(const JointPhases& s, std::byte* memory) {
      const Blocks& b = s.blocks_;
      ScratchAllocator take(memory);
      b_offset = take.array<int64_t>(b.k * s.taps_h_ * s.w_.taps);
      bias = take.array<T>(s.c_.phases_w * s.c_.m);
      panel = take.array<T>(b.k * s.shape(b.rows, b.cols).channel_pitch());
      result = take.array<T>(s.destination_rows() * b.rows * b.cols);
      bytes = take.bytes();
    }
  };

  int64_t vectors(int64_t pixels) const { return ceil_div(pixels, tiles_.lanes); }
  int64_t weights() const { return c_.m * c_.k * taps_h_ * taps_w_; }
  int64_t destination_rows() const { return c_.phases_h * c_.phases_w * c_.m; }
  PanelShape<T> shape(int64_t rows, int64_t cols) const { return {h_, w_, rows, cols, Arrangement::kShifts}; }
  // The tap at which phase 0 meets source column i; the next phase meets it at the next tap.
  int64_t first_tap(int64_t i) const { return p_.pad_left - w_.offset(i) * p_.stride_w; }

  // Calls f(phase, axis, group) for each product: a phase along h, and phases along w.
  template <typename F>
  void each_product(const F& f) const {
    for (int64_t ph = 0; ph < c_.phases_h; ++ph)
      for (int i = 0; i < count_; ++i) f(ph, c_.axis_h(ph), groups_[i]);
  }

  // For each product and tile of it: [source channel][tap along h][source column][row of the tile].
  void pack(T* dst, const T* weight, int64_t k0, int64_t k) const {
    each_product([&](int64_t, const Axis& h, const Group& group) {
      const EvenSplit tiles = EvenSplit::of_at_most(group.phases * c_.m, group.tile.mr);
      tiles.each([&](int64_t first, int64_t mr) {
        for (int64_t j = k0; j < k0 + k; ++j)
          for (int64_t th = 0; th < h.taps; ++th)
            for (int64_t i = group.column; i < group.column + group.columns; ++i)
              for (int64_t r = first; r < first + mr; ++r) {
                const int64_t tap_h = h.tap0 + th * h.tap_step, tap_w = first_tap(i) + group.phase + r / c_.m;
                *dst++ = weight[j * c_.weight_k + r % c_.m * c_.weight_m + tap_h * c_.kernel_w + tap_w];
              }
      });
    });
  }

  // A task's blocks of rows, one after the other.
  void compute(const Task& t, const Scratch& s, const T* packed, const CorrelationOperands<T>& o) const {
    const T* source = o.source + (t.n * c_.g + t.g) * c_.k * c_.in_pixels();
    T* plane = o.destination + (t.n * c_.g + t.g) * c_.m * c_.out_pixels();
    if (o.bias != nullptr)
      for (int64_t r = 0; r < c_.phases_w * c_.m; ++r) s.bias[r] = o.bias[t.g * c_.m + r % c_.m];
    const EvenSplit rows = EvenSplit::of_at_most(t.rows, blocks_.rows), k = EvenSplit::of_at_most(c_.k, blocks_.k);
    for (int64_t ri = 0; ri < rows.parts; ++ri) {
      const Block block{t.r0 + rows.begin(ri), rows.length(ri), t.c0, t.cols};
      const PanelShape<T> panel = shape(block.rows, block.cols);
      list_steps(panel, s.b_offset);
      for (int64_t ki = 0; ki < k.parts; ++ki) {
        const int64_t k0 = k.begin(ki);
        panel.pack(s.panel, source + k0 * c_.in_pixels(), c_.in_h, c_.in_w, k.length(ki), block.r0, block.c0,
                   c_.padding_mode, rows_);
        const bool last = ki + 1 == k.parts;
        const int64_t next = last ? 0 : ki + 1, next_row = rows.begin(ri + (last ? 1 : 0));
        ReadAhead<T> ahead;
        if (!last || ri + 1 < rows.parts)
          ahead = read_ahead(source + k.begin(next) * c_.in_pixels(), k.length(next),
                             {t.r0 + next_row, block.rows, block.c0, block.cols});
        add_products(block, panel, k0, k.length(ki), packed + k0 * (weights() / c_.k), o.bias != nullptr, ahead, s);
      }
      scatter(block, s.result, plane);
    }
  }

  ReadAhead<T> read_ahead(const T* source, int64_t k, const Block& b) const {
    const auto rows = h_.reads(b.r0, b.rows), cols = w_.reads(b.c0, b.cols);
    const bool whole = cols.count == c_.in_w;
    const int64_t turns = b.rows * c_.phases_h * count_ * ceil_div(vectors(b.cols), blocks_.nv);
    return ReadAhead<T>({source + rows.first * c_.in_w + cols.first, k, c_.in_pixels(), whole ? 1 : rows.count, c_.in_w,
                         whole ? rows.count * c_.in_w : cols.count},
                        turns);
  }

  // All products of a block of source channels.
  void add_products(const Block& b, const PanelShape<T>& panel, int64_t k0, int64_t k, const T* packed, bool bias,
                    ReadAhead<T> ahead, const Scratch& s) const {
    const int64_t pitch = b.rows * b.cols;  // of the rows of the result
    const int64_t* b_offset = s.b_offset;
    each_product([&](int64_t ph, const Axis& h, const Group& group) {
      Product<T> product(tiles_, group.tile, group.phases * c_.m);
      const bool first = k0 == 0 && &group == groups_;
      product.start = !first ? Start::kAdd : bias ? Start::kRowBias : Start::kZero;
      product.bias = first && bias ? s.bias : nullptr;
      product.packed = packed, product.b = s.panel, product.b_offset = b_offset;
      product.c = s.result + (ph * c_.phases_w + group.phase) * c_.m * pitch;
      product.lines = b.rows, product.length = b.cols;
      product.b_line = panel.row_pitch(), product.c_line = b.cols, product.c_stride = pitch;
      product.steps = k * h.taps * group.columns;
      product.next_source = ahead;
      product.multiply();
      ahead = product.next_source;
      packed += product.steps * group.phases * c_.m, b_offset += blocks_.k * h.taps * group.columns;
    });
  }

  // Where the steps of each product read, channel by channel.
  void list_steps(const PanelShape<T>& panel, int64_t* b_offset) const {
    each_product([&](int64_t, const Axis& h, const Group& group) {
      for (int64_t j = 0; j < blocks_.k; ++j)
        for (int64_t th = 0; th < h.taps; ++th)
          for (int64_t i = group.column; i < group.column + group.columns; ++i)
            *b_offset++ = j * panel.channel_pitch() + panel.tap_offset((h.offset(th) - h_.offset0) / h_.offset_step, i);
    });
  }

  // From [phase along h][phase along w][channel][row][column] to the destination.
  void scatter(const Block& b, const T* result, T* plane) const {
    const int64_t pitch = b.rows * b.cols, first = b.c0 * w_.out_step;
    for (int64_t ph = 0; ph < c_.phases_h; ++ph)
      for (int64_t m = 0; m < c_.m; ++m) {
        const int64_t row = ph + b.r0 * h_.out_step;
        rows_.interleave({plane + m * c_.out_pixels() + row * c_.out_w + first, h_.out_step * c_.out_w,
                          result + (ph * c_.phases_w * c_.m + m) * pitch, b.cols, c_.m * pitch,
                          std::min(b.rows, ceil_div(c_.out_h - row, h_.out_step)), c_.phases_w,
                          std::min(b.cols * c_.phases_w, c_.out_w - first)});
      }
  }

  const ConvProblem& p_;
  Correlation c_;
  Axis h_, w_;  // of all phases
  Blocks blocks_;
  Isa isa_;
  const OuterProductTiles<T>& tiles_;
  const RowKernels<T>& rows_;
  Group groups_[3] = {{0, c_.phases_w, 0, 0}};  // all phases; the last ones; the first ones
  int count_ = 1;
  int64_t taps_h_ = 0, taps_w_ = 0;  // of all phases
};

constexpr Method kMethod = method<JointPhases>();
using Only = OneMethod<kMethod>;

const char* supports(const ConvProblem& p) {
  if (p.pass != Pass::kInputGrad) return "it computes input gradients only";
  if (p.dilation_w > 1 && p.kw > 1) return "dilated: the phases that read a number do not adjoin";
  return first_reason(needs_channels_first(p), needs_border_fold(p));
}

// Up to 8 channels it is 1.1 to 2 times as fast as a product for each phase, from 16 on the same (both instruction
// sets). Short rows of 8 channels fill the lanes better where several images are put together: 14x14 x0.91.
const char* profitable(const ConvProblem& p, const Policy&) {
  if (Correlation::of_patches(p).phases_w == 1) return "a single phase";
  return p.ic_per_group() > (p.iw >= 16 * p.stride_w ? 8 : 4) ? "the channels of one phase fill a tile" : nullptr;
}

}  // namespace

extern const Algorithm kJointPhases = {"joint_phases", supports, profitable, Only::plan, Only::run};

}  // namespace convext
