// Output pass and input gradient:
//
//   destination[pixel][m]  =  sum over taps, source channels k  source[pixel moved by the tap][k] * weight[tap, k][m]
//
// A task owns a block of pixels. The weights of a tile's width of destination channels are packed to
// [tap, k][m]; a slice of them stays in L1 while all tiles of the block's pixels run over it.
#include "algorithms/channels_last/channels_last.h"
#include "algorithms/channels_last/pixel_panel.h"
#include "algorithms/correlation.h"
#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace convext {
namespace {

template <typename T>
class PixelCorrelation {
 public:
  PixelCorrelation(const ConvProblem& problem, Isa isa, const Blocks& blocks)
      : p_(as_one_image(problem)),
        c_(p_),
        blocks_(blocks),
        tiles_(outer_product<T>(isa)),
        transpose_(transpose<T>(isa)),
        rows_(rows<T>(isa)),
        all_h_(c_.all_phases_h()),
        all_w_(c_.all_phases_w()),
        in_place_(!all_h_.reads_outside() && !all_w_.reads_outside()) {}

  PixelCorrelation(const PixelCorrelation&) = delete;

  // ---- planning
  void plan(Blocks& b) {
    const int64_t taps = std::max<int64_t>(1, all_h_.taps * all_w_.taps);
    b.cols = std::min(all_w_.out, kMaxPixels);
    b.rows = b.cols < all_w_.out ? 1 : std::clamp<int64_t>(kMaxPixels / b.cols, 1, all_h_.out);
    b.images = b.rows < all_h_.out ? 1 : std::clamp<int64_t>(kMaxPixels / (b.rows * b.cols), 1, c_.n);
    b.cols = EvenSplit::of_at_most(all_w_.out, b.cols).largest();
    b.rows = EvenSplit::of_at_most(all_h_.out, b.rows).largest();
    b.images = EvenSplit::of_at_most(c_.n, b.images).largest();

    const auto channels = [&] {
      const int64_t pixels = std::max<int64_t>(1, b.images * panel(b, 1).size());
      const int64_t fit = kL2Bytes / 2 / (static_cast<int64_t>(sizeof(T)) * pixels);
      return EvenSplit::of_at_most(c_.k, std::max({fit, ceil_div(kMaxSteps, taps), kMinChannels})).largest();
    };
    b.k = channels();
    const bool flat = b.cols == all_w_.out && c_.phases_h * c_.phases_w == 1;
    const Tile tile = best_tile(tiles_, false, flat ? b.images * b.rows * b.cols : b.cols, vectors());
    b.mr = tile.mr, b.nv = tile.nv;
    b.packed_weights = b.images < c_.n || b.rows < all_h_.out || b.cols < all_w_.out;
    blocks_ = b;
    while (workspace().thread_bytes > kMaxThreadBytes && shrink(b)) blocks_ = b;
  }

  Workspace workspace() const {
    const int64_t weights = c_.g * c_.k * c_.taps() * vectors() * tiles_.lanes;
    return {blocks_.packed_weights ? align_up(static_cast<size_t>(weights) * sizeof(T)) : 0,
            Scratch(*this, nullptr).bytes};
  }

  // ---- running
  void run(const Workspace& workspace, const CorrelationOperands<T>& o, const Context& context) const {
    T* packed = blocks_.packed_weights ? reinterpret_cast<T*>(context.shared()) : nullptr;
    if (packed != nullptr) pack_weights(o.weight, packed, context.threads);
    const EvenSplit images = EvenSplit::of_at_most(c_.n, blocks_.images),
                    rows = EvenSplit::of_at_most(all_h_.out, blocks_.rows),
                    cols = EvenSplit::of_at_most(all_w_.out, blocks_.cols);
    const int64_t pixel_blocks = images.parts * rows.parts * cols.parts;
    const EvenSplit m{slices().parts, slice_parts(pixel_blocks * c_.g, context.threads)};
    parallel_for(context.threads, pixel_blocks * c_.g * m.parts, [&](int64_t task, int thread) {
      const auto take = [&task](int64_t parts) {
        const int64_t part = task % parts;
        task /= parts;
        return part;
      };
      const int64_t mi = take(m.parts), ci = take(cols.parts), ri = take(rows.parts), ni = take(images.parts);
      compute({images.begin(ni), images.length(ni), rows.begin(ri), rows.length(ri), cols.begin(ci), cols.length(ci)},
              task, m.begin(mi), m.begin(mi + 1), Scratch(*this, context.of_thread(workspace, thread)), packed, o);
    });
  }

 private:
  static constexpr int64_t kMaxPixels = 256;
  static constexpr int64_t kMinChannels = 16;  // a cache line
  static constexpr int64_t kMinSteps = 32, kMaxSteps = sizeof(T) == 4 ? 144 : 72;

  struct Scratch {
    int64_t *a_offset, *b_offset, *pixel_offset;
    T *packed, *panel;
    size_t bytes;
    Scratch(const PixelCorrelation& s, std::byte* memory) {
      const Blocks& b = s.blocks_;
      ScratchAllocator take(memory);
      a_offset = take.array<int64_t>(b.k * s.c_.taps());
      b_offset = take.array<int64_t>(s.max_steps());
      pixel_offset = take.array<int64_t>(b.images * b.rows * b.cols);
      packed = take.array<T>(b.packed_weights ? 0 : s.max_steps() * b.nv * s.tiles_.lanes);
      panel = take.array<T>(s.in_place_ ? 0 : b.images * s.panel(b, b.k).size());
      bytes = take.bytes();
    }
  };

  // A phase of the destination and its part of the packed weights.
  struct Phase {
    Axis h, w;
    int64_t packed;
    int64_t taps() const { return h.taps * w.taps; }
    int64_t tap(int64_t th, int64_t tw, int64_t kernel_w) const {
      return (h.tap0 + th * h.tap_step) * kernel_w + w.tap0 + tw * w.tap_step;
    }
  };

  // Source channels [k0, k0 + count) and the taps of a phase, cut into sums of few steps: added in one go their
  // rounding errors would pile up.
  struct Steps {
    int64_t k0, channels;
    EvenSplit sums;
  };

  bool shrink(Blocks& b) const {
    int64_t& size = b.images > 1 ? b.images : b.rows > 1 ? b.rows : b.cols > 1 ? b.cols : b.k;
    if (size == 1) return false;
    size = ceil_div(size, 2);
    b.packed_weights = true;
    return true;
  }

  int64_t vectors() const { return ceil_div(c_.m, tiles_.lanes); }
  EvenSplit slices() const { return EvenSplit::of_at_most(vectors(), blocks_.nv); }
  int64_t slice_begin(int64_t i) const { return slices().begin(i) * tiles_.lanes; }
  int64_t slice_pitch(int64_t i) const { return slices().length(i) * tiles_.lanes; }

  int64_t max_steps() const {
    return std::min(kMaxSteps, kL1Bytes / (blocks_.nv * tiles_.lanes * static_cast<int64_t>(sizeof(T))));
  }
  EvenSplit channel_blocks() const { return EvenSplit::of_at_most(c_.k, blocks_.k); }
  Steps steps(const Phase& phase, int64_t channel_block) const {
    const EvenSplit k = channel_blocks();
    const int64_t channels = k.length(channel_block), count = phase.taps() * channels;
    const int64_t half = k.parts == 1 ? std::max(kMinSteps, ceil_div(count, 2)) : count;
    return {k.begin(channel_block), channels, EvenSplit::of_at_most(count, std::min(half, max_steps()))};
  }

  PixelPanel panel(const Blocks& b, int64_t channels) const {
    return PixelPanel(all_h_, all_w_, b.rows, b.cols, channels);
  }

  template <typename F>
  void each_phase(const F& f) const {
    int64_t taps = 0;
    for (int64_t ph = 0; ph < c_.phases_h; ++ph)
      for (int64_t pw = 0; pw < c_.phases_w; ++pw) {
        const Phase phase{c_.axis_h(ph), c_.axis_w(pw), taps * c_.k * vectors() * tiles_.lanes};
        f(phase);
        taps += phase.taps();
      }
  }

  // ---- weights
  // Where the weights of a slice of a channel block are: [group][phase][channel block][slice][step][m].
  int64_t packed_place(int64_t g, const Phase& phase, const Steps& s, int64_t slice) const {
    return g * c_.k * c_.taps() * vectors() * tiles_.lanes + phase.packed +
           phase.taps() * (s.k0 * vectors() * tiles_.lanes + s.channels * slice_begin(slice));
  }

  void pack_weights(const T* weight, T* packed, int threads) const {
    const int64_t blocks = channel_blocks().parts, parts = slices().parts;
    parallel_for(threads, c_.g * blocks * parts, [&](int64_t task, int) {
      const int64_t slice = task % parts, block = task / parts % blocks, g = task / parts / blocks;
      each_phase([&](const Phase& phase) {
        const Steps s = steps(phase, block);
        pack_steps(weight, g, phase, s, 0, s.sums.size, slice, packed + packed_place(g, phase, s, slice));
      });
    });
  }

  // Steps [first, last): source channels within taps.
  void pack_steps(const T* weight, int64_t g, const Phase& phase, const Steps& s, int64_t first, int64_t last,
                  int64_t slice, T* dst) const {
    const int64_t m0 = slice_begin(slice), pitch = slice_pitch(slice), columns = std::min(pitch, c_.m - m0);
    const int64_t icg = p_.ic_per_group(), row = p_.taps() * icg;
    for (int64_t step = first; step < last;) {
      const int64_t tap = step / s.channels, channel = s.k0 + step % s.channels,
                    count = std::min(last, (tap + 1) * s.channels) - step;
      const int64_t place = phase.tap(tap / phase.w.taps, tap % phase.w.taps, p_.kw) * icg;
      if (c_.output_pass) {
        transpose_(weight + (g * c_.m + m0) * row + place + channel, row, columns, count, dst, pitch);
      } else {
        const T* from = weight + (g * c_.k + channel) * row + place + m0;
        rows_.copy({dst, pitch, from, row, count, 0, 1, columns, columns});
      }
      dst += count * pitch, step += count;
    }
  }

  // ---- a block of pixels
  // Into how many parts the slices of a block are cut to keep the threads busy to the end.
  int64_t slice_parts(int64_t tasks, int threads) const {
    const int64_t count = slices().parts;
    const double copy = 0.2 / static_cast<double>(c_.taps());  // in slices
    int64_t best = 1;
    double best_cost = 0;
    for (int64_t parts = 1; parts <= std::min<int64_t>(count, 2 * threads); ++parts) {
      const double cost =
          static_cast<double>(ceil_div(tasks * parts, threads)) * (static_cast<double>(ceil_div(count, parts)) + copy);
      if (best_cost == 0 || cost < best_cost) best = parts, best_cost = cost;
    }
    return best;
  }

  void compute(const PixelBlock& block, int64_t g, int64_t slice0, int64_t slice1, const Scratch& s, const T* packed,
               const CorrelationOperands<T>& o) const {
    const PixelImages<T> source{o.source, c_.in_h, c_.in_w, c_.g * c_.k};
    const EvenSplit k = channel_blocks();
    for (int64_t ki = 0; ki < k.parts; ++ki) {
      const PixelPanel panel = in_place_ ? PixelPanel(all_h_, all_w_, source)
                                         : PixelPanel(all_h_, all_w_, block.rows, block.cols, k.length(ki));
      const T* pixels = panel.block(source, block, g * c_.k + k.begin(ki), c_.padding_mode, rows_, s.panel);
      each_phase([&](const Phase& phase) {
        PixelBlock b = block;
        b.rows = std::min(b.rows, phase.h.out - b.r0), b.cols = std::min(b.cols, phase.w.out - b.c0);
        if (b.rows <= 0 || b.cols <= 0 || (ki > 0 && phase.taps() == 0)) return;
        const Steps steps = this->steps(phase, ki);
        set_offsets(panel, phase, steps, b, s);
        for (int64_t slice = slice0; slice < slice1; ++slice)
          for (int64_t sum = 0; sum < steps.sums.parts; ++sum) {
            const int64_t first = steps.sums.begin(sum), count = steps.sums.length(sum), pitch = slice_pitch(slice);
            OuterProductArgs<T> args{};
            args.a_offset = s.a_offset + first, args.b_offset = s.b_offset, args.steps = count;
            for (int64_t i = 0; i < count; ++i) s.b_offset[i] = i * pitch;
            if (packed == nullptr) {
              pack_steps(o.weight, g, phase, steps, first, first + count, slice, s.packed);
              args.b = s.packed;
            } else {
              args.b = packed + packed_place(g, phase, steps, slice) + first * pitch;
            }
            const int64_t m0 = slice_begin(slice);
            args.columns = std::min(pitch, c_.m - m0);
            args.bias = o.bias == nullptr ? nullptr : o.bias + g * c_.m + m0;
            args.start = ki + sum > 0 ? Start::kAdd : o.bias != nullptr ? Start::kColumnBias : Start::kZero;
            multiply(args, phase, b, pixels, s.pixel_offset, o.destination + g * c_.m + m0, slices().length(slice));
          }
      });
    }
  }

  void set_offsets(const PixelPanel& panel, const Phase& phase, const Steps& steps, const PixelBlock& b,
                   const Scratch& s) const {
    const int64_t h0 = phase.taps() == 0 ? 0 : (phase.h.offset0 - all_h_.offset0) / all_h_.offset_step,
                  w0 = phase.taps() == 0 ? 0 : (phase.w.offset0 - all_w_.offset0) / all_w_.offset_step;
    const int64_t h_step = phase.h.offset_step / all_h_.offset_step, w_step = phase.w.offset_step / all_w_.offset_step;
    int64_t* a = s.a_offset;
    for (int64_t th = 0; th < phase.h.taps; ++th)
      for (int64_t tw = 0; tw < phase.w.taps; ++tw) {
        const int64_t tap = panel.tap_offset(h0 + th * h_step, w0 + tw * w_step);
        for (int64_t c = 0; c < steps.channels; ++c) *a++ = tap + c;
      }
    int64_t* pixel = s.pixel_offset;
    for (int64_t i = 0; i < b.images; ++i)
      for (int64_t r = 0; r < b.rows; ++r)
        for (int64_t c = 0; c < b.cols; ++c) *pixel++ = panel.pixel_offset(i, r, c);
  }

  // All pixels of the block, for some steps and a slice of the destination's channels.
  void multiply(OuterProductArgs<T>& args, const Phase& phase, const PixelBlock& b, const T* source,
                const int64_t* pixel_offset, T* destination, int64_t nv) const {
    const int64_t pixel = c_.g * c_.m;
    const bool adjoin = phase.w.out_step == 1 && phase.h.out_step == 1 && b.cols == c_.out_w;
    const int64_t lines = adjoin ? 1 : b.images * b.rows;
    const EvenSplit tiles = EvenSplit::of_at_most(b.pixels() / lines, blocks_.mr);
    const T* rows[kOuterProductMaxMr];
    args.rows = rows, args.c_stride = phase.w.out_step * pixel;
    for (int64_t line = 0; line < lines; ++line) {
      const int64_t n = b.n0 + line / b.rows, h = phase.h.out0 + (b.r0 + line % b.rows) * phase.h.out_step,
                    w = phase.w.out0 + b.c0 * phase.w.out_step;
      T* c = destination + ((n * c_.out_h + h) * c_.out_w + w) * pixel;
      for (int64_t i = 0; i < tiles.parts; ++i) {
        const int64_t mr = tiles.length(i);
        const int64_t* at = pixel_offset + line * tiles.size + tiles.begin(i);
        for (int64_t r = 0; r < mr; ++r) rows[r] = source + at[r];
        args.c = c + tiles.begin(i) * args.c_stride;
        tiles_.rows[nv - 1][mr - 1](args);
      }
    }
  }

  const ConvProblem p_;
  const Correlation c_;
  Blocks blocks_;
  const OuterProductTiles<T>& tiles_;
  TransposeFn<T> transpose_;
  const RowKernels<T>& rows_;
  const Axis all_h_, all_w_;
  const bool in_place_;
};

}  // namespace

template <typename T>
Plan plan_pixel_correlation(const ConvProblem& p, Isa isa) {
  Plan plan;
  PixelCorrelation<T> correlation(p, isa, {});
  correlation.plan(plan.blocks);
  plan.workspace = correlation.workspace();
  plan.kernel = {"outer_product_rows", p.dtype, plan.blocks.mr, plan.blocks.nv * outer_product<T>(isa).lanes, isa};
  return plan;
}

template <typename T>
void run_pixel_correlation(const ConvProblem& p, const Plan& plan, const Operands& operands, const Context& context) {
  PixelCorrelation<T>(p, plan.isa, plan.blocks).run(plan.workspace, CorrelationOperands<T>(p, operands), context);
}

template Plan plan_pixel_correlation<float>(const ConvProblem&, Isa);
template Plan plan_pixel_correlation<double>(const ConvProblem&, Isa);
template void run_pixel_correlation<float>(const ConvProblem&, const Plan&, const Operands&, const Context&);
template void run_pixel_correlation<double>(const ConvProblem&, const Plan&, const Operands&, const Context&);

}  // namespace convext
