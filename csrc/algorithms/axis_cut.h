// An axis in parts. Where dilation is wide against the image, a part ends where a tap begins or ends to read the
// image, so that every part has taps of its own and none of them reads padding: 33 positions, three taps 18 apart:
//
//   [0, 15) taps 1, 2      [15, 18) tap 1      [18, 33) taps 0, 1          63 products in place of 99
#pragma once

#include "algorithms/axis.h"
#include "algorithms/tiling.h"

namespace convext {

// Destination positions [first, first + length) and their taps [tap, tap + taps).
struct AxisPart {
  int64_t first, length, tap, taps;
};

class AxisCut {
 public:
  // Parts of at most `longest` positions, cut between units of `unit` of them. at_padding: as above; else all parts
  // have all taps.
  AxisCut(const Axis& axis, bool at_padding, int64_t longest, int64_t unit = 1)
      : axis_(axis), at_padding_(at_padding), longest_(longest), unit_(std::min(unit, longest)) {}

  int64_t parts() const {
    return total([](const AxisPart&, const EvenSplit& parts) { return parts.parts; });
  }
  // Pairs of a position and a tap, and pairs of a part and a tap.
  int64_t products() const {
    return total([](const AxisPart& segment, const EvenSplit&) { return segment.length * segment.taps; });
  }
  int64_t sums() const {
    return total([](const AxisPart& segment, const EvenSplit& parts) { return parts.parts * segment.taps; });
  }
  // A part as long as the longest, with as many taps as any.
  AxisPart largest() const {
    AxisPart largest{};
    total([&](const AxisPart& segment, const EvenSplit& parts) {
      largest.length = std::max(largest.length, std::min(parts.largest() * unit_, segment.length));
      return largest.taps = std::max(largest.taps, segment.taps);
    });
    return largest;
  }

  AxisPart part(int64_t i) const {
    for (AxisPart segment = segment_at(0);; segment = segment_at(segment.first + segment.length)) {
      const EvenSplit parts = split(segment);
      if (i < parts.parts) {
        const int64_t begin = parts.begin(i) * unit_,
                      length = std::min(parts.length(i) * unit_, segment.length - begin);
        return {segment.first + begin, length, segment.tap, segment.taps};
      }
      i -= parts.parts;
    }
  }

 private:
  EvenSplit split(const AxisPart& segment) const {
    const int64_t units = ceil_div(segment.length, unit_);
    return {units, segment.length <= longest_ ? 1 : ceil_div(units, longest_ / unit_)};
  }

  // The positions from `first` on that have the same taps.
  AxisPart segment_at(int64_t first) const {
    const Axis& a = axis_;
    if (!at_padding_) return {first, a.out - first, 0, a.taps};
    int64_t tap = 0, end = a.taps, last = a.out;
    while (tap < end && a.offset(tap) + first * a.stride < 0) ++tap;
    while (end > tap && a.offset(end - 1) + first * a.stride >= a.in) --end;
    if (tap > 0) last = std::min(last, ceil_div(-a.offset(tap - 1), a.stride));
    if (end > tap) last = std::min(last, ceil_div(a.in - a.offset(end - 1), a.stride));
    return {first, last - first, tap, end - tap};
  }

  template <typename F>
  int64_t total(const F& f) const {
    int64_t sum = 0;
    for (int64_t first = 0; first < axis_.out;) {
      const AxisPart segment = segment_at(first);
      sum += f(segment, split(segment));
      first += segment.length;
    }
    return sum;
  }

  Axis axis_;
  bool at_padding_;
  int64_t longest_, unit_;
};

// What parts with taps of their own take of what whole axes do. Each tap of each part adds to sums that others have
// begun, which costs a tile about as much as 16 pixels.
inline double cost_of_parts(const Axis& h, const Axis& w) {
  const auto cost = [&](bool at_padding) {
    const AxisCut rows(h, at_padding, h.out), cols(w, at_padding, w.out);
    return static_cast<double>(rows.products() * cols.products() + 16 * rows.sums() * cols.sums());
  };
  return cost(true) / cost(false);
}

// Do they save more than a fifth? (A copied panel is the same either way: level at a sixth.)
inline bool much_padding(PaddingMode mode, const Axis& h, const Axis& w) {
  return mode == PaddingMode::kZeros && cost_of_parts(h, w) < 0.8;
}

}  // namespace convext
