// One axis of a correlation, and where a block of it is kept.
//
// The output pass and the input gradient are the same computation, a correlation: destination position o
// and tap j read source position  o * stride + offset0 + j * offset_step.  For the input gradient of a
// strided convolution the destination splits into phases (positions that are equal modulo the stride), and
// each phase is such a correlation with stride 1 over a subset of the taps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "core/integers.h"
#include "core/problem.h"

namespace convext {

struct Axis {
  int64_t out = 0, in = 0;               // positions of the destination (of its phase) and of the source
  int64_t stride = 1;                    // source positions a destination position
  int64_t offset0 = 0, offset_step = 1;  // offset_step > 0
  int64_t taps = 0;
  int64_t tap0 = 0, tap_step = 1;  // tap j is the weight's tap tap0 + j * tap_step
  int64_t out0 = 0, out_step = 1;  // position o of the phase is the destination's out0 + o * out_step

  int64_t offset(int64_t tap) const { return offset0 + tap * offset_step; }
  bool reads_outside() const {
    return taps > 0 && out > 0 && (offset0 < 0 || offset(taps - 1) + (out - 1) * stride >= in);
  }

  // The destination positions all of whose taps read the source.
  struct Inside {
    int64_t first, last;
  };
  Inside inside() const {
    if (taps == 0) return {0, out};
    const int64_t first = std::clamp<int64_t>(ceil_div(-offset0, stride), 0, out);
    return {first, std::clamp<int64_t>(floor_div(in - 1 - offset(taps - 1), stride) + 1, first, out)};
  }

  // The positions inside the source that the destination positions [begin, begin + count) read.
  struct Reads {
    int64_t first, count;
  };
  Reads reads(int64_t begin, int64_t count) const {
    const int64_t first = std::clamp<int64_t>(begin * stride + offset0, 0, in);
    return {first, std::clamp<int64_t>((begin + count - 1) * stride + offset(taps - 1) + 1, first, in) - first};
  }

  // Takes away the taps that read nothing but zeros for the destination positions [first, last).
  void drop_padding_taps(int64_t first, int64_t last) {
    while (taps > 0 && offset0 + (last - 1) * stride < 0) {
      offset0 += offset_step;
      tap0 += tap_step;
      --taps;
    }
    while (taps > 0 && offset(taps - 1) + first * stride >= in) --taps;
  }
};

// The axis of an output pass.
inline Axis output_axis(PaddingMode mode, int64_t out, int64_t in, int64_t taps, int64_t stride, int64_t dilation,
                        int64_t pad) {
  Axis axis{.out = out, .in = in, .stride = stride, .offset0 = -pad, .offset_step = dilation, .taps = taps};
  if (mode == PaddingMode::kZeros) axis.drop_padding_taps(0, axis.out);
  return axis;
}

// Phase `phase` < stride of an input gradient: input position phase + o * stride and tap t meet the output
// position  (phase + o * stride + pad - t * dilation) / stride  where that is a whole number. Such taps are
// stride / gcd(stride, dilation) apart; they are listed from the last to the first, so that offsets grow.
inline Axis input_grad_axis(int64_t in_positions, int64_t out_positions, int64_t taps, int64_t stride, int64_t dilation,
                            int64_t pad, int64_t phase) {
  const int64_t common = std::gcd(stride, dilation), step = stride / common;
  Axis axis{.out = phase < in_positions ? ceil_div(in_positions - phase, stride) : 0,
            .in = out_positions,
            .offset_step = dilation / common,
            .tap_step = -step,
            .out0 = phase,
            .out_step = stride};
  for (int64_t t = taps - 1; t >= std::max<int64_t>(0, taps - step); --t)
    if ((phase + pad - t * dilation) % stride == 0) {
      axis.tap0 = t;
      axis.taps = t / step + 1;
      axis.offset0 = floor_div(phase + pad - t * dilation, stride);
    }
  axis.drop_padding_taps(0, axis.out);
  return axis;
}

// The taps of an axis whose source positions are whole strides apart: class c has the taps c, c + classes, ...
inline int64_t tap_classes(const Axis& axis) {
  return std::min(axis.taps, axis.stride / std::gcd(axis.stride, axis.offset_step));
}
inline Axis tap_class(const Axis& axis, int64_t c) {
  const int64_t classes = axis.stride / std::gcd(axis.stride, axis.offset_step);
  Axis part = axis;
  part.offset0 = axis.offset(c), part.tap0 = axis.tap0 + c * axis.tap_step;
  part.taps = ceil_div(axis.taps - c, classes);
  if (part.taps > 1) part.offset_step *= classes, part.tap_step *= classes;  // of one it may be beyond 64 bits
  return part;
}

// Where the source positions that a block [o, o + length) of an axis reads are kept: for every tap, the
// positions of the block lie side by side from base(tap) on, whatever the stride. Taps share what they
// have in common: those whose offsets are equal modulo the stride form a class, and within a class
// neighbours are `shift` positions apart.
class Strip {
 public:
  // shared: as above. Not shared: each tap has a copy of its own, which begins at the tap's number. even: classes that
  // begin side by side in the source are equally long, so that they are one group.
  Strip(const Axis& axis, int64_t length, bool shared, bool even = false)
      : axis_(axis), length_(length), tap_size_(shared ? length : 1) {
    const int64_t common = std::gcd(axis.stride, axis.offset_step);
    classes_ = shared ? axis.stride / common : 1;
    shift_ = shared ? std::min(axis.offset_step / common, length) : 1;
    contiguous_ = shared && shift_ == axis.offset_step / common;
    per_class_ = axis.taps / classes_;
    longer_classes_ = axis.taps % classes_;
    if (even && contiguous_ && axis.offset_step == 1 && per_class_ > 0 && longer_classes_ > 0)
      ++per_class_, longer_classes_ = 0;
  }

  int64_t base(int64_t tap) const { return class_base(tap % classes_) + tap / classes_ * shift_; }
  int64_t size() const { return class_base(classes_); }
  int64_t length() const { return length_; }
  int64_t step() const { return axis_.stride; }

  // Calls f(at, source, count): `count` positions, from the strip's `at` on, come from source, source + stride, ...
  template <typename F>
  void each_piece(int64_t o, const F& f) const {
    for (int64_t c = 0; c < std::min(classes_, axis_.taps); ++c) {
      const int64_t taps = taps_of(c);
      if (contiguous_) {
        f(class_base(c), o * axis_.stride + axis_.offset(c), class_size(taps));
      } else {
        for (int64_t i = 0; i < taps; ++i)
          f(class_base(c) + i * shift_, o * axis_.stride + axis_.offset(c + i * classes_), length_);
      }
    }
  }

  // Pieces [at + i * pitch, at + i * pitch + count) that come from source + i, source + i + stride, ...
  struct Group {
    int64_t at, source, count, pieces, pitch;
  };

  // Calls f(group): pieces that begin side by side in the source come together, at most `stride` of them.
  template <typename F>
  void each_group(int64_t o, const F& f) const {
    Group group{};
    each_piece(o, [&](int64_t at, int64_t source, int64_t count) {
      const int64_t pitch = group.pieces == 1 ? at - group.at : group.pitch;
      if (group.pieces > 0 && group.pieces < axis_.stride && count == group.count &&
          source == group.source + group.pieces && at == group.at + group.pieces * pitch) {
        group.pitch = pitch, ++group.pieces;
      } else {
        if (group.pieces > 0) f(group);
        group = {at, source, count, 1, 0};
      }
    });
    if (group.pieces > 0) f(group);
  }

 private:
  int64_t taps_of(int64_t c) const { return per_class_ + (c < longer_classes_ ? 1 : 0); }
  int64_t class_size(int64_t taps) const { return taps > 0 ? (taps - 1) * shift_ + tap_size_ : 0; }
  int64_t class_base(int64_t c) const {
    const int64_t longer = std::min(c, longer_classes_);
    return longer * class_size(per_class_ + 1) + (c - longer) * class_size(per_class_);
  }

  Axis axis_;
  int64_t length_, tap_size_, classes_, shift_, per_class_, longer_classes_;
  bool contiguous_;
};

}  // namespace convext
