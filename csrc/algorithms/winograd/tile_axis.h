// One axis of a stride-1 correlation, cut into the tiles of F(4, 3).
//
// A dilated axis is as many plain ones as its dilation d, interleaved: tile (p, r) has the outputs
// 4 d p + r + j d, j < 4. A period is the 4 d positions that d neighbouring tiles fill. Filters of more than three
// taps are sums of groups of three, each of which reads 3 d positions further on.
#pragma once

#include "algorithms/axis.h"
#include "kernels/winograd/winograd.h"

namespace convext {

class TileAxis {
 public:
  // An axis with one tap is left as it is: its tiles are single outputs.
  explicit TileAxis(const Axis& axis)
      : axis_(axis), outputs_(axis.taps > 1 ? kWinogradOutputs : 1), points_(axis.taps > 1 ? kWinogradPoints : 1) {}

  bool transformed() const { return points_ > 1; }
  int64_t out() const { return axis_.out; }
  int64_t points() const { return points_; }
  int64_t groups() const { return ceil_div(axis_.taps, kWinogradTaps); }
  int64_t step() const { return transformed() ? axis_.offset_step : 1; }  // between the inputs of a tile
  int64_t group_step() const { return kWinogradTaps * step(); }
  int64_t taps() const { return axis_.taps; }
  int64_t taps(int64_t group) const { return std::min<int64_t>(kWinogradTaps, axis_.taps - kWinogradTaps * group); }
  int64_t weight_tap(int64_t group) const { return axis_.tap0 + kWinogradTaps * group * axis_.tap_step; }
  int64_t weight_step() const { return axis_.tap_step; }

  int64_t period() const { return outputs_ * step(); }
  int64_t periods() const { return ceil_div(axis_.out, period()); }
  int64_t whole(int64_t length) const { return ceil_div(length, period()) * period(); }
  // Source positions that `length` outputs read, with those that fill the last period, from the first one's offset on.
  int64_t span(int64_t length) const {
    return whole(length) + (transformed() ? (groups() * kWinogradTaps - 1) * step() : 0);
  }
  // Every source position, one after the other.
  Axis positions() const {
    return {.out = axis_.out, .in = axis_.in, .offset0 = axis_.offset0, .offset_step = 1, .taps = 1};
  }

  // Tiles of the positions [begin, end), which begin with a period.
  int64_t tiles(int64_t begin, int64_t end) const {
    const int64_t whole = (end - begin) / period();
    return whole * step() + std::min(step(), end - begin - whole * period());
  }
  // Calls f(o, outputs): the tile that begins at position o, and how many of its outputs exist.
  template <typename F>
  void each_tile(int64_t begin, int64_t end, const F& f) const {
    for (int64_t period0 = begin; period0 < end; period0 += period())
      for (int64_t o = period0; o < std::min(end, period0 + step()); ++o)
        f(o, std::min(outputs_, ceil_div(end - o, step())));
  }

 private:
  Axis axis_;
  int64_t outputs_, points_;
};

}  // namespace convext
