// One axis of a correlation, cut into the tiles of F(4, 2), F(4, 3) and F(4, 4).
//
// Minimal filtering wants a stride of 1. The taps of a strided axis fall into classes whose inputs are whole strides
// apart, and the positions of a strided input gradient into phases: each is an axis of stride 1 of its own. A part is a
// phase, or all classes of as many taps. A dilated part is as many plain ones as its step d, interleaved: tile (p, r)
// has the outputs 4 d p + r + j d, j < 4. A period is the 4 d (or 3 d) positions that d neighbouring tiles fill.
// Filters of more than four taps (three, if the other axis has taps too) are sums of groups, each of which reads so
// many steps further on; so are those of several classes.
//
// The value at infinity makes the fourth output of a tile and no other. So a line whose length is no multiple of four
// ends with tiles of three outputs, which do without it: 14 are 4 + 4 + 3 + 3, by 22 points and not 24.
#pragma once

#include <array>

#include "algorithms/axis.h"
#include "kernels/winograd/winograd.h"

namespace convext {

// A part of an axis.
class TileAxis {
 public:
  TileAxis() = default;
  // Classes of taps: `part` is the first of them, the others begin one tap of the whole axis further on each.
  TileAxis(const Axis& part, int max_group_taps, int64_t classes = 1, int64_t offset_step = 1, int64_t tap_step = 1)
      : axis_(part),
        classes_(classes),
        class_offset_step_(offset_step),
        class_tap_step_(tap_step),
        step_(part.taps > 1 ? part.offset_step / part.stride : 1),
        group_taps_(fewest_points(part.taps, max_group_taps)) {}

  const Axis& axis() const { return axis_; }
  int64_t out() const { return axis_.out; }
  int64_t classes() const { return classes_; }
  int64_t taps() const { return axis_.taps; }     // of a class
  int group_taps() const { return group_taps_; }  // those of the transforms
  int64_t outputs() const { return winograd_outputs(group_taps_); }
  int64_t points() const { return winograd_points(group_taps_); }
  bool infinite(int64_t point) const { return group_taps_ > 1 && point == points() - 1; }
  int64_t points(bool infinite) const { return infinite ? (group_taps_ > 1 ? 1 : 0) : points() - points(true); }
  int64_t step() const { return step_; }  // between the inputs, and the outputs, of a tile

  int64_t groups() const { return classes_ * class_groups(); }
  int64_t group_class(int64_t group) const { return group / class_groups(); }
  int64_t group_shift(int64_t group) const { return group % class_groups() * group_taps_ * step_; }
  int64_t taps(int64_t group) const {
    return std::min<int64_t>(group_taps_, axis_.taps - group_taps_ * (group % class_groups()));
  }
  int64_t weight_tap(int64_t group) const {
    return axis_.tap0 + group_class(group) * class_tap_step_ + group % class_groups() * group_taps_ * axis_.tap_step;
  }
  int64_t weight_step() const { return axis_.tap_step; }

  int64_t period() const { return period_outputs() * step_; }
  int64_t whole(int64_t length) const { return ceil_div(length, period()) * period(); }
  // Source positions, a stride apart, that `length` outputs read, with those that fill the last period, from the first
  // one's offset on. (A tile of three reads what one of four does.)
  int64_t span(int64_t length) const {
    return whole(length) + (outputs() - period_outputs() + class_groups() * group_taps_ - 1) * step_;
  }
  // Every one of them, as the tap of a class.
  Axis positions() const {
    return {.out = axis_.out,
            .in = axis_.in,
            .stride = axis_.stride,
            .offset0 = axis_.offset0,
            .offset_step = class_offset_step_,
            .taps = classes_};
  }

  // Tiles of the positions [begin, end), which begin with a period; and those of them that are tiles of three.
  int64_t tiles(int64_t begin, int64_t end) const {
    return sum_of_lines(begin, end, [&](int64_t length) { return line_tiles(length); });
  }
  int64_t threes(int64_t begin, int64_t end) const {
    return sum_of_lines(begin, end, [&](int64_t length) { return line_threes(length); });
  }
  // Calls f(o, outputs) for the tiles of three, or for the others: where one begins, and how many of its outputs exist.
  template <typename F>
  void each_tile(int64_t begin, int64_t end, bool three, const F& f) const {
    end = std::min(end, axis_.out);
    for (int64_t line = begin; line < std::min(end, begin + step_); ++line) {
      const int64_t length = ceil_div(end - line, step_), all = line_tiles(length), whole = all - line_threes(length);
      for (int64_t i = three ? whole : 0; i < (three ? all : whole); ++i) {
        const int64_t first = outputs() * i - std::max<int64_t>(0, i - whole);
        f(line + first * step_, std::min(outputs() - (three ? 1 : 0), length - first));
      }
    }
  }

 private:
  // How many taps groups have if all together have the fewest points: 7 taps are two groups of 4 (14 points, not 18), 5
  // are two of 3. One tap is left as it is: its tiles are single outputs.
  static int fewest_points(int64_t taps, int max_group_taps) {
    const auto points = [&](int group) {  // of 4 outputs
      return 4 / winograd_outputs(group) * winograd_points(group) * ceil_div(taps, int64_t{group});
    };
    int best = 1;
    for (int group = 2; group <= max_group_taps; ++group)
      if (points(group) < points(best)) best = group;
    return best;
  }

  // Of a line of outputs, a step apart.
  int64_t line_tiles(int64_t length) const { return ceil_div(length, outputs()); }
  int64_t line_threes(int64_t length) const {
    return outputs() == 1 ? 0 : std::min(line_tiles(length), outputs() * line_tiles(length) - length);
  }
  // Sum of f(length) over the lines of the positions [begin, end).
  template <typename F>
  int64_t sum_of_lines(int64_t begin, int64_t end, const F& f) const {
    const int64_t positions = std::max<int64_t>(0, std::min(end, axis_.out) - begin);
    const int64_t length = positions / step_, longer = positions % step_;
    return longer * f(length + 1) + (step_ - longer) * f(length);
  }

  // Three where tiles of three do for the longest line: of 1, 2, 3, 5, 6 or 9 outputs.
  int64_t period_outputs() const {
    const int64_t longest = ceil_div(axis_.out, step_), three = outputs() - 1;
    return three > 0 && line_tiles(longest) * three >= longest ? three : outputs();
  }

  int64_t class_groups() const { return ceil_div(axis_.taps, int64_t{group_taps_}); }

  Axis axis_;
  int64_t classes_ = 1, class_offset_step_ = 1, class_tap_step_ = 1, step_ = 1;
  int group_taps_ = 1;
};

// All parts of an axis.
class TileAxes {
 public:
  static constexpr int64_t kMaxParts = 16;

  // The classes of an axis's taps, which add up: those that have a tap more, and the others.
  static TileAxes of_taps(const Axis& axis, int max_group_taps) {
    TileAxes all;
    const int64_t classes = tap_classes(axis), longer = classes > 0 ? axis.taps % classes : 0;
    const auto add = [&](int64_t first, int64_t count) {
      if (count > 0)
        all.add({TileAxis(tap_class(axis, first), max_group_taps, count, axis.offset_step, axis.tap_step), first, 0});
    };
    add(0, longer), add(longer, classes - longer);
    all.positions_ = axis;
    all.positions_.taps = classes;
    return all;
  }

  // The phases of an axis, each with outputs of its own.
  template <typename AxisOf>
  static TileAxes of_phases(int64_t phases, const AxisOf& axis_of, int max_group_taps) {
    TileAxes all;
    all.positions_ = axis_of(0);
    all.positions_.taps = 1;
    for (int64_t i = 1; i < phases; ++i) all.positions_.offset0 = std::min(all.positions_.offset0, axis_of(i).offset0);
    for (int64_t i = 0; i < phases; ++i) {
      const Axis phase = axis_of(i);
      all.add({TileAxis(phase, max_group_taps), 0, phase.offset0 - all.positions_.offset0});
    }
    return all;
  }

  int64_t count() const { return count_; }
  const TileAxis& operator[](int64_t i) const { return parts_[static_cast<size_t>(i)].tiles; }
  const TileAxis& longest() const {
    const auto fewer = [](const Part& a, const Part& b) { return a.tiles.taps() < b.tiles.taps(); };
    return std::max_element(begin(), end(), fewer)->tiles;
  }
  int64_t most_groups() const {
    return most([](const Part& part) { return part.tiles.groups(); });
  }
  // Has every part taps, and was there room for all?
  bool complete() const {
    return count_ > 0 && count_ <= kMaxParts &&
           std::all_of(begin(), end(), [](const Part& part) { return part.tiles.taps() > 0; });
  }

  // Of classes: all taps, and whether the weight's tap is one of them.
  int64_t taps() const {
    int64_t sum = 0;
    for (const Part& part : *this) sum += part.tiles.classes() * part.tiles.taps();
    return sum;
  }
  bool reads(int64_t tap) const {
    const int64_t first = (*this)[0].weight_tap(0);
    return tap >= first && tap < first + taps();
  }

  int64_t out() const { return (*this)[0].out(); }  // of the longest part
  int64_t out_step() const { return (*this)[0].axis().out_step; }
  int64_t period() const {
    return most([](const Part& part) { return part.tiles.period(); });
  }
  int64_t periods() const { return ceil_div(out(), period()); }

  // What a panel for all parts holds, class by class.
  const Axis& positions() const { return positions_; }
  int64_t span(int64_t length) const {
    return most([&](const Part& part) { return part.tiles.span(length) + part.shift; });
  }
  // Where in it part i begins: its first class, and the shift of a phase.
  int64_t first_class(int64_t i) const { return parts_[static_cast<size_t>(i)].first_class; }
  int64_t shift(int64_t i) const { return parts_[static_cast<size_t>(i)].shift; }

 private:
  struct Part {
    TileAxis tiles;
    int64_t first_class = 0, shift = 0;
  };

  void add(const Part& part) {
    if (count_ < kMaxParts) parts_[static_cast<size_t>(count_)] = part;
    ++count_;
  }
  const Part* begin() const { return parts_.data(); }
  const Part* end() const { return parts_.data() + std::min(count_, kMaxParts); }
  template <typename F>
  int64_t most(const F& f) const {
    int64_t result = 0;
    for (const Part& part : *this) result = std::max(result, f(part));
    return result;
  }

  std::array<Part, kMaxParts> parts_;
  Axis positions_;
  int64_t count_ = 0;
};

}  // namespace convext
