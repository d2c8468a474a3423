// Output pass and input gradient as an implicit matrix product: destination channels x pixels, summed over
// source channels x taps. A task owns a block of pixels and of destination channels; for each block of source
// channels it packs a panel (and the weights, where that pays) and runs every register tile over it, so the
// panel is read from L2 and each of its NR-wide slices from L1, however many destination channels there are.
// (A source that one tap reads as it lies is its own panel.)
#include "algorithms/dense/dense.h"
#include "algorithms/dense/pack_weights.h"
#include "algorithms/dense/plan_correlation.h"
#include "algorithms/dense/product.h"
#include "algorithms/dense/task_grid.h"
#include "algorithms/panel.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class Correlate {
 public:
  Correlate(const ConvProblem& p, Isa isa, const Blocks& blocks)
      : c_(Correlation::of_patches(p)),
        apart_(!scattered() && much_padding(p.padding_mode, c_.axis_h(0), c_.axis_w(0))),
        blocks_(blocks),
        isa_(isa),
        tiles_(outer_product<T>(isa)),
        rows_(rows<T>(isa)) {}

  void plan(Blocks& b) const {
    b = CorrelationPlan<T>(c_, apart_, isa_).blocks();
    while (Correlate(*this, b).workspace().thread_bytes > kMaxThreadBytes && CorrelationPlan<T>::shrink(b)) {
    }
  }

  Workspace workspace() const {
    Workspace w;
    if (packed_once()) w.shared_bytes = align_up(sizeof(T) * static_cast<size_t>(c_.g * c_.weights_per_group()));
    w.thread_bytes = Scratch(*this, nullptr).bytes;
    return w;
  }

  // ---- running
  KernelName kernel() const {
    return {.shape = blocks_.packed_weights ? "outer_product_packed" : "outer_product_rows",
            .mr = blocks_.mr,
            .nr = blocks_.nv * tiles_.lanes};
  }

  void run(const Workspace& workspace, const Operands& operands, const Context& context) const {
    const CorrelationOperands<T> o(c_.problem(), operands);
    const TaskGrid grid(c_, blocks_, apart_, tiles_.lanes, context.threads);
    T* const packed = packed_once() ? reinterpret_cast<T*>(context.shared()) : nullptr;
    if (packed != nullptr)
      packing().pack_all(packed, o.weight, grid.m(), blocks_, context.threads, [&](int thread) {
        const Scratch s(*this, context.of_thread(workspace, thread));
        return std::pair(s.a_offset, s.unused);
      });
    parallel_for(context.threads, grid.count(), [&](int64_t i, int thread) {
      const Task task = grid[i];
      if (task.rows.length > 0) compute(grid, task, Scratch(*this, context.of_thread(workspace, thread)), packed, o);
    });
  }

 private:
  using Task = TaskGrid::Task;
  using Group = TaskGrid::Group;

  // The same problem with other blocks.
  Correlate(const Correlate& other, const Blocks& blocks) : Correlate(other) { blocks_ = blocks; }

  bool in_place() const { return blocks_.arrangement == Arrangement::kInPlace; }
  // Do tiles ask for the source that the next columns read? (AVX2, whose columns take 1.5 cache lines: x0.9 to x1.07.)
  bool asks_ahead() const { return in_place() && blocks_.packed_weights && isa_ == Isa::kAvx512; }
  bool keeps() const { return Product<T>::keeps(tiles_, blocks_, blocks_.m); }

  bool scattered() const { return c_.phases_h * c_.phases_w > 1; }
  // Does the result pass through memory of the thread, from where it goes to several places of the destination?
  bool gathered() const {
    return scattered() || shuffled() || blocks_.images > 1 || (apart_ && !in_rows(blocks_.arrangement));
  }
  bool shuffled() const { return c_.shuffle_h * c_.shuffle_w > 1; }
  int64_t result_row() const { return blocks_.images * blocks_.rows * blocks_.cols; }
  int64_t result_count() const { return block_channels(c_, blocks_) * result_row(); }

  struct Scratch {
    int64_t *a_offset, *b_offset, *kept_offset, *taps;  // taps: of each phase along w
    T *result, *bias, *weights, *unused, *panel, *kept;
    size_t bytes;
    Scratch(const Correlate& s, std::byte* memory) {
      const Correlation& c = s.c_;
      const Axis w = c.all_phases_w();
      int64_t panel_pitch = 0, taps_h = 0;
      for (int64_t ph = 0; ph < c.phases_h; ++ph) {
        const Axis h = c.axis_h(ph);
        const PanelShape<T> panel(h, w, s.blocks_.rows, s.blocks_.cols, s.blocks_.arrangement, s.blocks_.images);
        panel_pitch = std::max(panel_pitch, panel.channel_pitch());
        taps_h = std::max(taps_h, h.taps);
      }
      ScratchAllocator take(memory);
      a_offset = take.array<int64_t>(std::max<int64_t>(s.blocks_.k, 2) * c.taps());
      b_offset = take.array<int64_t>(s.blocks_.k * c.taps());
      kept_offset = take.array<int64_t>(s.keeps() ? s.blocks_.k * c.taps() : 0);
      taps = take.array<int64_t>(c.phases_w);
      result = take.array<T>(s.gathered() ? c.phases_w * s.result_count() : 0);
      bias = take.array<T>(s.shuffled() ? block_channels(c, s.blocks_) : 0);
      weights = take.array<T>(s.blocks_.packed_weights && !s.packed_once()
                                  ? block_channels(c, s.blocks_) * s.blocks_.k * taps_h * c.kernel_w
                                  : 0);
      unused = take.array<T>(kOuterProductMaxMr);
      panel = take.array<T>(s.in_place() ? 0 : panel_pitch * s.blocks_.k);
      kept = take.array<T>(s.keeps() ? s.blocks_.k * c.taps() * s.blocks_.nv * s.tiles_.lanes : 0);
      bytes = take.bytes();
    }
  };

  WeightPacking<T> packing() const { return {c_, isa_}; }

  // Weights that several blocks of pixels meet are packed before the run; else a task packs what it needs, and
  // they come from memory once.
  bool packed_once() const {
    constexpr int64_t kFew = 2;
    const int64_t pixel_blocks = ceil_div(c_.n, blocks_.images) * ceil_div(c_.axis_h(0).out, blocks_.rows) *
                                 ceil_div(c_.axis_w(0).out, blocks_.cols);
    return blocks_.packed_weights && pixel_blocks > kFew;
  }

  void compute(const TaskGrid& grid, const Task& t, const Scratch& s, const T* packed,
               const CorrelationOperands<T>& o) const {
    PanelShape<T> panel(t.h, t.w, t.rows.length, t.cols.length, blocks_.arrangement, 0);
    Product<T> product(tiles_, blocks_, t.m);
    product.weight_m = c_.weight_m;
    product.c_stride = gathered() ? result_row() : c_.out_pixels();
    product.c_line = gathered() ? t.cols.length : c_.out_w;
    product.b = s.panel, product.asks_ahead = asks_ahead();
    if (keeps()) product.kept = s.kept, product.kept_offset = s.kept_offset;
    for (int64_t i = t.first_group, images = 0; i < t.last_group; ++i) {
      const Group group = grid.group(i);
      if (group.images != images) {
        images = group.images;
        panel = PanelShape<T>(t.h, t.w, t.rows.length, t.cols.length, blocks_.arrangement, images);
        product.lines = panel.lines(), product.length = panel.line_length(), product.b_line = panel.row_pitch();
        list_steps(t, panel, s);
      }
      compute(t, group, panel, product, s, packed, o);
    }
  }

  void compute(const Task& t, const Group& group, const PanelShape<T>& panel, Product<T>& product, const Scratch& s,
               const T* packed, const CorrelationOperands<T>& o) const {
    const T* source = o.source + (group.n0 * c_.g + group.g) * c_.k * c_.in_pixels();
    const T* weight = o.weight + group.g * c_.weights_per_group() + t.m0 * c_.weight_m;
    T* plane = o.destination + (group.n0 * c_.g + group.g) * c_.channels() * c_.out_pixels();
    product.bias = bias_of(t, group.g, s, o.bias);
    const EvenSplit k = EvenSplit::of_at_most(c_.k, blocks_.k);
    for (int64_t ki = 0; ki < k.parts; ++ki) {
      const int64_t k0 = k.begin(ki), channels = k.length(ki);
      if (in_place())
        product.b = source + k0 * c_.in_pixels() + t.cols.first;
      else
        for (int64_t i = 0; i < group.images; ++i)
          panel.pack(s.panel, source + (i * c_.g * c_.k + k0) * c_.in_pixels(), c_.in_h, c_.in_w, channels,
                     t.rows.first, t.cols.first, c_.padding_mode, rows_, i);
      product.start = ki > 0 ? Start::kAdd : product.bias != nullptr ? Start::kRowBias : Start::kZero;
      product.weight = weight + k0 * c_.weight_k;
      if (packed != nullptr) {
        product.packed = packed + packing().offset(group.g, t.phase_h, t.m0, t.m, k0);
      } else if (blocks_.packed_weights) {
        packing().pack(s.weights, product.weight, product.tiles, channels, t.h, s.a_offset, s.unused);
        product.packed = s.weights;
      }
      product.next_source = product.next_weights = {};
      if (ki + 1 < k.parts)
        read_ahead(product, t, group.images, source, weight, k.begin(ki + 1), k.length(ki + 1));
      else if (scattered() && ki == 0)
        read_ahead_result(product, t, plane);
      product.a_offset = s.a_offset, product.b_offset = s.b_offset;
      for (int64_t pw = 0; pw < c_.phases_w; ++pw) {
        product.steps = channels * s.taps[pw];
        product.c = gathered() ? s.result + pw * result_count()
                               : plane + t.m0 * c_.out_pixels() + t.rows.first * c_.out_w + t.cols.first;
        product.multiply();
        if (blocks_.packed_weights) product.packed += t.m * product.steps;
        product.a_offset += blocks_.k * s.taps[pw], product.b_offset += blocks_.k * s.taps[pw];
      }
    }
    if (gathered()) scatter(t, group.images, s.result, plane);
  }

  // Where the steps of a block of source channels read, channel by channel; of each phase along w.
  void list_steps(const Task& t, const PanelShape<T>& panel, const Scratch& s) const {
    const Axis &h = t.h, &all_w = t.w;
    int64_t step = 0;
    for (int64_t pw = 0; pw < c_.phases_w; ++pw) {
      const Axis w = apart_ ? all_w : c_.axis_w(pw);
      const int64_t shift = c_.phases_w > 1 ? w.offset0 - all_w.offset0 : 0;
      const int64_t shift_step = c_.phases_w > 1 ? w.offset_step : 1;
      const int64_t taps = h.taps * w.taps, end = step + blocks_.k * taps;
      for (int64_t th = 0; th < h.taps; ++th)
        for (int64_t tw = 0; tw < w.taps; ++tw, ++step) {
          s.b_offset[step] = panel.tap_offset(th, shift + tw * shift_step);
          s.a_offset[step] = (h.tap0 + th * h.tap_step) * c_.kernel_w + w.tap0 + tw * w.tap_step;
        }
      for (; step < end; ++step) {
        s.b_offset[step] = s.b_offset[step - taps] + panel.channel_pitch();
        s.a_offset[step] = s.a_offset[step - taps] + c_.weight_k;
      }
      s.taps[pw] = taps;
    }
  }

  // What the next block of source channels, k of them from k0 on, will read: rows of planes, if tiles do not ask
  // for them, and weights that are read here only. (Weights of phases, and of taps that other blocks leave
  // out: others read the same lines, and it lost 8 % and 3 %.)
  void read_ahead(Product<T>& p, const Task& t, int64_t images, const T* source, const T* weight, int64_t k0,
                  int64_t k) const {
    const int64_t turns = c_.phases_w * p.turns();
    const auto rows = t.h.reads(t.rows.first, t.rows.length), cols = t.w.reads(t.cols.first, t.cols.length);
    const bool one_row = rows.count == 1;
    if (!asks_ahead())
      p.next_source = {{source + k0 * c_.in_pixels() + rows.first * c_.in_w + (one_row ? cols.first : 0), images,
                        c_.g * c_.k * c_.in_pixels(), k, c_.in_pixels(), one_row ? cols.count : rows.count * c_.in_w},
                       turns};
    if (packed_once() || scattered() || apart_) return;
    const T* next = weight + k0 * c_.weight_k;
    p.next_weights = c_.weight_m < c_.weight_k ? ReadAhead<T>({next, 1, 0, k, c_.weight_k, t.m * c_.weight_m}, turns)
                                               : ReadAhead<T>({next, 1, 0, t.m, c_.weight_m, k * c_.weight_k}, turns);
  }

  // Where the phases of a row of few source channels will go: the product takes no longer than these writes.
  void read_ahead_result(Product<T>& p, const Task& t, const T* plane) const {
    p.next_source = {{plane + t.m0 * c_.out_pixels() + (t.h.out0 + t.rows.first * t.h.out_step) * c_.out_w +
                          t.cols.first * c_.phases_w,
                      t.m, c_.out_pixels(), t.rows.length, t.h.out_step * c_.out_w, t.cols.length * c_.phases_w},
                     c_.phases_w * p.turns()};
  }

  // The biases of a task's channels.
  const T* bias_of(const Task& t, int64_t g, const Scratch& s, const T* bias) const {
    if (bias == nullptr) return nullptr;
    bias += g * c_.channels();
    if (!shuffled()) return bias + t.m0;
    for (int64_t m = 0; m < t.m; ++m) s.bias[m] = bias[(t.m0 + m) / (c_.shuffle_h * c_.shuffle_w)];
    return s.bias;
  }

  // From [phase][channel][image][row][column] to the destination: brings the columns of all phases together.
  void scatter(const Task& t, int64_t images, const T* result, T* plane) const {
    const int64_t phases = c_.phases_w * c_.shuffle_w,
                  columns = std::min(t.cols.length * phases, c_.out_w - t.cols.first * phases);
    const bool whole = phases == 1 && t.cols.length == c_.out_w && t.h.out_step == 1;  // rows adjoin: an image is one
    for (int64_t i = 0; i < images; ++i)
      for (int64_t m = 0; m < t.m; m += c_.shuffle_w) {
        const int64_t line = (t.m0 + m) / c_.shuffle_w, out0 = t.h.out0 + line % c_.shuffle_h;
        const int64_t inside = std::min(t.rows.length, ceil_div(c_.out_h - out0, t.h.out_step) - t.rows.first);
        rows_.interleave({plane + (i * c_.g * c_.channels() + line / c_.shuffle_h) * c_.out_pixels() +
                              (out0 + t.rows.first * t.h.out_step) * c_.out_w + t.cols.first * phases,
                          t.h.out_step * c_.out_w, result + m * result_row() + i * t.rows.length * t.cols.length,
                          t.cols.length, shuffled() ? result_row() : result_count(), whole ? 1 : inside, phases,
                          whole ? t.rows.length * t.cols.length : columns});
      }
  }

  Correlation c_;
  bool apart_;  // do blocks have taps of their own, none of which reads padding?
  Blocks blocks_;
  Isa isa_;
  const OuterProductTiles<T>& tiles_;
  const RowKernels<T>& rows_;
};

}  // namespace

extern constexpr Method kDenseCorrelation = method<Correlate>();

}  // namespace convext
