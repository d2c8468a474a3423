// The transforms of Winograd's minimal filtering F(4, r) for filters of r = 2, 3 or 4 taps, with channels in the lanes.
//
// A tile of 4 outputs of a filter of r taps needs r + 3 inputs. Seen as polynomials their product is known by its
// values at r + 3 points, so 5, 6 or 7 multiplications do what 8, 12 or 16 did:   y = A' [ (G w) * (B' x) ]
// and, nested along both axes, 36 do what 144 did for 4x4 outputs. The products of all tiles and channels at one point
// ("frequency") are a matrix product; these kernels are the three transforms around it:
//
//   source       v[f] = B' x (B)      r + 3 (x r + 3) vectors of a tile, wherever they lie   -> as many frequencies
//   filter       u[f] = G w (G')      up to r (x r) taps                                     -> r + 3 (x r + 3)
//   destination  y = A' m (A) + bias  r + 3 (x r + 3) frequencies                            -> up to 4 (x 4) vectors
//
// The weight gradient is a filter of 4 taps (the output's gradient) with r outputs (the weight's), by the transposes:
//
//   gradient     d = A y (A')         up to 4 (x 4) vectors of a tile                        -> r + 3 (x r + 3)
//   filter_grad  w = G' u (G)         r + 3 (x r + 3)                                        -> up to r (x r) taps
//
// An axis of one tap is left as it is: a tile has one input and one output along it. The last frequency along an axis,
// that of the point infinity, makes the fourth output alone: of a tile without it, it may be anything.
//
// Points: +-sqrt(1/2), +-sqrt(2), infinity, of three taps 0 too; of four taps +-0.35, +-0.8, +-1.8, infinity. Their
// products are near 1, so the rounding error stays near that of a direct sum: of r = 2, 3, 4 it is 1.6, 1.4, 1.7 times
// as large (RMS, random data), of r = 3 along both axes 1.8 times; with 0, +-1, +-2 it would be 4 times. Source:
// Winograd 1980; Lavin & Gray 2015; the points: Barabasz et al. 2018, "Error analysis and improving the accuracy of
// Winograd convolution", those of four taps by search.
//
// Every access is a whole vector; nothing needs alignment; no overlap.
#pragma once

#include <stdint.h>

namespace convext {

inline constexpr int kWinogradMaxTaps = 4;
// Along both axes: nested, four taps' error would be 2.7 times a direct sum's, and of few channels more.
inline constexpr int kWinogradMaxNestedTaps = 3;

// Of a tile, along one axis.
constexpr int winograd_outputs(int taps) { return taps == 1 ? 1 : 4; }
constexpr int winograd_points(int taps) { return winograd_outputs(taps) + taps - 1; }

// Where a tile's inputs begin, relative to x, and its outputs, relative to y (or to the x of `gradient`, which reads
// them); how many of the outputs exist.
struct WinogradTile {
  int64_t source, destination;
  int32_t rows, cols;
};

template <typename T>
struct WinogradSourceArgs {
  const T* x;
  int64_t x_h, x_w;  // between the inputs of a tile
  const WinogradTile* tiles;
  int64_t count;
  T* v;
  int64_t v_tile, v_frequency;
};

template <typename T>
struct WinogradFilterArgs {
  const T* w;
  int64_t w_filter, w_h, w_w;
  int32_t taps_h, taps_w;  // at most the kernel's; those that are missing are zero
  int64_t count;
  T* u;
  int64_t u_filter, u_frequency;
};

template <typename T>
struct WinogradDestinationArgs {
  const T* m;
  int64_t m_tile, m_frequency;
  const WinogradTile* tiles;
  int64_t count;
  const T* bias;  // a vector; or null, and the result is added to what y holds
  T* y;
  int64_t y_h, y_w;
  T* check;  // a vector that becomes NaN where a result is not finite, and else keeps its value
};

template <typename T>
struct WinogradFilterGradArgs {
  const T* u;
  int64_t u_filter, u_frequency;
  int64_t count;
  T* w;
  int64_t w_filter, w_h, w_w;
  int32_t taps_h, taps_w;
  T* check;  // as above
};

template <typename T>
struct WinogradTransforms {
  void (*source)(const WinogradSourceArgs<T>&);
  void (*filter)(const WinogradFilterArgs<T>&);
  void (*destination)(const WinogradDestinationArgs<T>&);
  void (*gradient)(const WinogradSourceArgs<T>&);
  void (*filter_grad)(const WinogradFilterGradArgs<T>&);
};

template <typename T>
struct WinogradKernels {
  int lanes;
  // [taps along h - 1][taps along w - 1]; null where four taps would be nested
  WinogradTransforms<T> of[kWinogradMaxTaps][kWinogradMaxTaps];
};

struct WinogradTable {
  WinogradKernels<float> f32;
  WinogradKernels<double> f64;
};

extern const WinogradTable kWinogradScalar, kWinogradAvx2, kWinogradAvx512;

}  // namespace convext
