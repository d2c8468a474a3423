// How a correlation is cut into tasks: blocks of rows, columns and destination channels of a phase, and runs of groups.
// The sum of a pixel does not depend on it.
#pragma once

#include "algorithms/axis_cut.h"
#include "algorithms/correlation.h"
#include "algorithms/panel.h"
#include "core/parallel.h"

namespace convext {

// Destination channels of a task at most: columns that are shuffled together stay together.
inline int64_t block_channels(const Correlation& c, const Blocks& b) {
  return std::max<int64_t>(1, b.m / c.shuffle_w) * c.shuffle_w;
}

class TaskGrid {
 public:
  TaskGrid(const Correlation& c, const Blocks& blocks, bool apart, int lanes, int threads)
      : c_(c),
        blocks_(blocks),
        apart_(apart),
        threads_(threads),
        h_(c.axis_h(0)),
        w_(c.all_phases_w()),
        best_(best_cut(lanes)),
        rows_(cut(h_, best_.rows)),
        cols_(c.axis_w(0), apart, blocks.cols, lanes),
        row_parts_(rows_.parts()),
        col_parts_(cols_.parts()),
        m_(c.m / c.shuffle_w, best_.m_blocks),
        images_(EvenSplit::of_at_most(c.n, blocks.images)),
        runs_(runs_of_groups()) {}

  // One group of some images.
  struct Group {
    int64_t g, n0, images;
  };

  struct Task {
    int64_t first_group, last_group;  // [first, last) of all groups of all images
    int64_t phase_h, m0, m;           // destination channels [m0, m0 + m)
    AxisPart rows, cols;
    Axis h, w;  // their taps; w: of all phases
  };

  int64_t count() const { return runs_.parts * parts(); }

  // A task has no rows where its phase has fewer than others.
  Task operator[](int64_t task) const {
    const int64_t mi = take_index(task, m_.parts), ci = take_index(task, col_parts_), ri = take_index(task, row_parts_),
                  phase_h = take_index(task, c_.phases_h);
    // Every phase along w computes as many columns as the first one, so that their rows are equally long.
    Task t{runs_.begin(task),
           runs_.begin(task + 1),
           phase_h,
           m_.begin(mi) * c_.shuffle_w,
           m_.length(mi) * c_.shuffle_w,
           rows_.part(ri),
           cols_.part(ci),
           c_.axis_h(phase_h),
           w_};
    t.rows.length = std::min(t.rows.length, t.h.out - t.rows.first);
    if (apart_ && t.rows.length > 0) {
      t.h.drop_padding_taps(t.rows.first, t.rows.first + t.rows.length);
      t.w.drop_padding_taps(t.cols.first, t.cols.first + t.cols.length);
    }
    return t;
  }

  Group group(int64_t i) const {
    const int64_t ni = i / c_.g;
    return {i % c_.g, images_.begin(ni), images_.length(ni)};
  }

  const EvenSplit& m() const { return m_; }  // of the destination channels, as shuffle_w at a time

 private:
  static constexpr int64_t kTasksApart = 8;  // a thread: parts with taps of their own differ much in size
  static constexpr int64_t kTasks = 8;       // likewise, groups
  static constexpr double kFlopsPerTask = 1 << 22;

  struct Cut {
    int64_t rows, m_blocks;  // rows at most
  };

  // The cut of one image that keeps all threads busy to the end.
  Cut best_cut(int lanes) const {
    const int64_t least = ceil_div(h_.out, blocks_.rows);
    const int64_t others = ceil_div(c_.n, blocks_.images) * c_.g * c_.phases_h;
    const int64_t coarsest = ceil_div(c_.m, block_channels(c_, blocks_)),
                  finest = std::min(coarsest + threads_ - 1,
                                    std::max(coarsest, c_.m / std::max<int64_t>(blocks_.mr, c_.shuffle_w)));
    if (apart_) {
      const int64_t parts = cut(h_, blocks_.rows).parts() * cut(c_.axis_w(0), blocks_.cols).parts();
      return {blocks_.rows, others * parts < kTasksApart * threads_ ? finest : coarsest};
    }
    Cut best{};
    double best_cost = 0;
    const int64_t most = blocks_.images > 1 ? least : std::min<int64_t>(h_.out, least + std::min<int64_t>(threads_, 8));
    const auto next = [&](int64_t mb) { return mb < finest ? std::min(mb + ceil_div(mb, 4), finest) : finest + 1; };
    for (int64_t rb = least; rb <= most; ++rb)
      for (int64_t mb = coarsest; mb <= finest; mb = next(mb)) {
        const int64_t rounds = ceil_div(others * rb * mb, threads_);
        const double product = static_cast<double>(c_.m * c_.taps()) / static_cast<double>(mb) / (2 * lanes);
        const double copies = blocks_.arrangement == Arrangement::kInPlace  ? 0.0
                              : blocks_.arrangement == Arrangement::kShifts ? 1.0
                                                                            : static_cast<double>(c_.kernel_w);
        const double copy =
            2 * kNumberCycles * copies * (1 + static_cast<double>(c_.kernel_h * rb) / static_cast<double>(h_.out));
        const double cost = static_cast<double>(rounds) / static_cast<double>(rb) * (product + copy);
        if (best_cost == 0 || cost < best_cost * 0.98) best = {ceil_div(h_.out, rb), mb}, best_cost = cost;
      }
    return best;
  }

  AxisCut cut(const Axis& axis, int64_t longest) const { return {axis, apart_, longest}; }

  // Of each group.
  int64_t parts() const { return c_.phases_h * row_parts_ * col_parts_ * m_.parts; }

  // Small groups go several to a task, which finds out once where they read (some 0.5 us).
  EvenSplit runs_of_groups() const {
    const int64_t groups = images_.parts * c_.g, large = static_cast<int64_t>(c_.problem().flops() / kFlopsPerTask);
    return {groups, std::clamp<int64_t>(ceil_div(std::max(large, kTasks * threads_), parts()), 1, groups)};
  }

  const Correlation& c_;
  const Blocks& blocks_;
  bool apart_;
  int64_t threads_;
  Axis h_, w_;  // w_: of all phases
  Cut best_;
  AxisCut rows_, cols_;
  int64_t row_parts_, col_parts_;
  EvenSplit m_, images_, runs_;
};

}  // namespace convext
