// Calls a kernel with the fields of a Python dict, by the names of its argument struct.
#pragma once

#include <pybind11/pybind11.h>

#include <type_traits>
#include <vector>

#include "kernels/tables.h"

namespace convext {

// The fields of a kernel's argument struct by name: addresses and numbers. What is not given is 0.
class Fields {
 public:
  explicit Fields(const pybind11::dict& fields) : fields_(fields) {}

  template <typename T>
  void get(const char* name, T*& pointer) const {
    if (fields_.contains(name)) pointer = reinterpret_cast<T*>(fields_[name].cast<uintptr_t>());
  }
  template <typename T>
    requires std::is_arithmetic_v<T>
  void get(const char* name, T& number) const {
    if (fields_.contains(name)) number = fields_[name].cast<T>();
  }
  template <typename T>
  void get(const char* name, std::vector<const T*>& pointers) const {
    if (!fields_.contains(name)) return;
    for (const pybind11::handle address : fields_[name])
      pointers.push_back(reinterpret_cast<const T*>(address.cast<uintptr_t>()));
  }

 private:
  const pybind11::dict& fields_;
};

template <typename T>
void run_outer_product(OuterProductFn<T> fn, const Fields& fields) {
  OuterProductArgs<T> args{};
  std::vector<const T*> rows;
  int start = 0;
  fields.get("a", args.a), fields.get("rows", rows), fields.get("a_offset", args.a_offset);
  fields.get("b", args.b), fields.get("b_offset", args.b_offset), fields.get("steps", args.steps);
  fields.get("c", args.c), fields.get("c_stride", args.c_stride), fields.get("columns", args.columns);
  fields.get("start", start), fields.get("bias", args.bias);
  fields.get("a_row", args.a_row), fields.get("a_step", args.a_step);
  fields.get("kept", args.kept), fields.get("kept_pitch", args.kept_pitch);
  fields.get("next", args.next), fields.get("next_offset", args.next_offset);
  args.rows = rows.data();
  args.start = static_cast<Start>(start);
  // For benchmarks/, which run it again and again, in several threads.
  int64_t repeats = 1;
  fields.get("repeats", repeats);
  const pybind11::gil_scoped_release release;
  for (int64_t i = 0; i < repeats; ++i) fn(args);
}

template <typename T>
void run_inner_product(InnerProductFn<T> fn, const Fields& fields) {
  InnerProductArgs<T> args{};
  std::vector<const T*> a, b;
  fields.get("a", a), fields.get("b", b);
  fields.get("a_segments", args.a_segments), fields.get("b_segments", args.b_segments);
  fields.get("segments", args.segments), fields.get("length", args.length);
  fields.get("c", args.c), fields.get("c_row", args.c_row), fields.get("c_column", args.c_column);
  fields.get("accumulate", args.accumulate), fields.get("bias", args.bias);
  args.a = a.data(), args.b = b.data();
  fn(args);
}

template <typename T>
void run_stencil(StencilFn<T> fn, const Fields& fields) {
  StencilArgs<T> args{};
  fields.get("x", args.x), fields.get("x_pitch", args.x_pitch), fields.get("x_step", args.x_step);
  StencilTaps<T>&taps = args.taps[0], &odd = args.taps[1];
  fields.get("offset", taps.offset), fields.get("column", taps.column), fields.get("width", args.width);
  fields.get("weight", taps.weight), fields.get("taps", taps.count);
  fields.get("odd_offset", odd.offset), fields.get("odd_column", odd.column);
  fields.get("odd_weight", odd.weight), fields.get("odd_taps", odd.count);
  fields.get("y", args.y), fields.get("y_pitch", args.y_pitch), fields.get("y_step", args.y_step);
  fields.get("rows", args.rows), fields.get("columns", args.columns);
  fields.get("bias", args.bias), fields.get("accumulate", args.accumulate);
  fn(args);
}

template <typename T>
void run_stencil_rows(StencilRowsFn<T> fn, const Fields& fields) {
  StencilRowsArgs<T> args{};
  fields.get("x", args.x), fields.get("x_pitch", args.x_pitch), fields.get("width", args.width);
  fields.get("spread", args.spread), fields.get("stride", args.stride), fields.get("above", args.above);
  fields.get("row_taps", args.row_taps), fields.get("groups", args.groups);
  fields.get("column", args.column), fields.get("taps", args.taps);
  fields.get("weight", args.weight), fields.get("weight_h", args.weight_h), fields.get("weight_w", args.weight_w);
  fields.get("y", args.y), fields.get("y_pitch", args.y_pitch);
  fields.get("rows", args.rows), fields.get("columns", args.columns), fields.get("bias", args.bias);
  fn(args);
}

template <typename T>
void run_line_stencil(LineStencilFn<T> fn, const Fields& fields) {
  LineStencilArgs<T> args{};
  fields.get("x", args.x), fields.get("x_pitch", args.x_pitch), fields.get("width", args.width);
  fields.get("column", args.column), fields.get("dilation", args.dilation), fields.get("taps", args.taps);
  fields.get("weight", args.weight), fields.get("weight_pitch", args.weight_pitch);
  fields.get("weight_step", args.weight_step);
  fields.get("bias", args.bias), fields.get("bias_pitch", args.bias_pitch);
  fields.get("y", args.y), fields.get("y_pitch", args.y_pitch);
  fields.get("lines", args.lines), fields.get("columns", args.columns);
  fn(args);
}

template <typename T>
void run_line_stencil_grad(LineStencilGradFn<T> fn, const Fields& fields) {
  LineStencilGradArgs<T> args{};
  fields.get("x", args.x), fields.get("x_image", args.x_image), fields.get("x_pitch", args.x_pitch);
  fields.get("width", args.width), fields.get("column", args.column);
  fields.get("dilation", args.dilation), fields.get("taps", args.taps);
  fields.get("y", args.y), fields.get("y_image", args.y_image), fields.get("y_pitch", args.y_pitch);
  fields.get("images", args.images), fields.get("lines", args.lines), fields.get("columns", args.columns);
  fields.get("sum", args.sum), fields.get("sum_pitch", args.sum_pitch);
  fn(args);
}

template <typename T>
void run_stencil_grad(StencilGradFn<T> fn, const Fields& fields) {
  StencilGradArgs<T> args{};
  fields.get("x", args.x), fields.get("x_image", args.x_image);
  fields.get("height", args.height), fields.get("width", args.width);
  fields.get("y", args.y), fields.get("y_image", args.y_image), fields.get("y_pitch", args.y_pitch);
  fields.get("images", args.images), fields.get("rows", args.rows), fields.get("columns", args.columns);
  fields.get("row", args.row), fields.get("column", args.column);
  fields.get("step_h", args.step_h), fields.get("step_w", args.step_w);
  fields.get("dilation_h", args.dilation_h), fields.get("dilation_w", args.dilation_w);
  fields.get("sum", args.sum), fields.get("sum_pitch", args.sum_pitch);
  fn(args);
}

template <typename T>
void run_copy_rows(void (*fn)(const CopyRowsArgs<T>&), const Fields& fields) {
  CopyRowsArgs<T> args{};
  fields.get("dst", args.dst), fields.get("dst_pitch", args.dst_pitch), fields.get("src", args.src);
  fields.get("src_pitch", args.src_pitch), fields.get("rows", args.rows), fields.get("start", args.start);
  fields.get("step", args.step), fields.get("count", args.count), fields.get("width", args.width);
  fields.get("phases", args.phases), fields.get("dst_phase", args.dst_phase), fields.get("planes", args.planes);
  fields.get("dst_plane", args.dst_plane), fields.get("src_plane", args.src_plane);
  fn(args);
}

template <typename T>
void run_interleave_rows(void (*fn)(const InterleaveRowsArgs<T>&), const Fields& fields) {
  InterleaveRowsArgs<T> args{};
  fields.get("dst", args.dst), fields.get("dst_pitch", args.dst_pitch), fields.get("src", args.src);
  fields.get("src_pitch", args.src_pitch), fields.get("src_phase", args.src_phase), fields.get("rows", args.rows);
  fields.get("phases", args.phases), fields.get("count", args.count);
  fn(args);
}

template <typename T>
void run_fold(FoldFn<T> fn, const Fields& fields) {
  FoldArgs<T> args{};
  fields.get("x", args.x), fields.get("x_pitch", args.x_pitch);
  fields.get("tap", args.tap), fields.get("taps", args.taps);
  fields.get("y", args.y), fields.get("y_pitch", args.y_pitch);
  fields.get("rows", args.rows), fields.get("columns", args.columns), fields.get("bias", args.bias);
  fn(args);
}

template <typename T>
void run_cut_rows(void (*fn)(const CutRowsArgs<T>&), const Fields& fields) {
  CutRowsArgs<T> args{};
  fields.get("dst", args.dst), fields.get("src", args.src), fields.get("offset", args.offset);
  fields.get("steps", args.steps), fields.get("count", args.count), fields.get("parts", args.parts);
  fn(args);
}

template <typename T>
void run_sum_rows(double (*fn)(const T*, int64_t, int64_t, int64_t), const Fields& fields) {
  const T* src = nullptr;
  int64_t count = 0, rows = 0, src_pitch = 0;
  double* sum = nullptr;
  fields.get("src", src), fields.get("count", count), fields.get("sum", sum);
  fields.get("rows", rows), fields.get("src_pitch", src_pitch);
  *sum = fn(src, count, rows, src_pitch);
}

// Place: the stride of the columns (TransposeFn) or an array of where they go (TransposeScatterFn).
template <typename T, typename Place>
void run_transpose(void (*fn)(const T*, int64_t, int64_t, int64_t, T*, Place), const Fields& fields) {
  const T* src = nullptr;
  int64_t src_stride = 0, rows = 0, cols = 0;
  T* dst = nullptr;
  Place place{};
  fields.get("src", src), fields.get("src_stride", src_stride), fields.get("rows", rows), fields.get("cols", cols);
  fields.get("dst", dst), fields.get("place", place);
  fn(src, src_stride, rows, cols, dst, place);
}

template <typename T>
void run_channel_stencil(void (*fn)(const ChannelStencilArgs<T>&), const Fields& fields) {
  ChannelStencilArgs<T> args{};
  fields.get("x", args.x), fields.get("x_pitch", args.x_pitch);
  fields.get("runs", args.runs), fields.get("row_runs", args.row_runs);
  fields.get("weight", args.weight), fields.get("bias", args.bias);
  fields.get("y", args.y), fields.get("y_pitch", args.y_pitch), fields.get("y_step", args.y_step);
  fields.get("rows", args.rows), fields.get("channels", args.channels);
  fn(args);
}

template <typename T>
void run_channel_grad(void (*fn)(const ChannelGradArgs<T>&), const Fields& fields) {
  ChannelGradArgs<T> args{};
  fields.get("x", args.x), fields.get("x_pitch", args.x_pitch), fields.get("offset", args.offset);
  fields.get("y", args.y), fields.get("y_pitch", args.y_pitch), fields.get("y_step", args.y_step);
  fields.get("rows", args.rows), fields.get("columns", args.columns), fields.get("channels", args.channels);
  fields.get("sum", args.sum);
  fn(args);
}

template <typename T>
void run_channel_spread(void (*fn)(const ChannelSpreadArgs<T>&), const Fields& fields) {
  ChannelSpreadArgs<T> args{};
  fields.get("x", args.x), fields.get("place", args.place), fields.get("y", args.y);
  fields.get("y_step", args.y_step), fields.get("columns", args.columns), fields.get("channels", args.channels);
  fn(args);
}

template <typename T, typename Y, typename W>
void run_pixel_stencil(void (*fn)(const PixelStencilArgs<T, Y, W>&), const Fields& fields) {
  PixelStencilArgs<T, Y, W> args{};
  fields.get("x", args.x), fields.get("x_step", args.x_step);
  fields.get("runs", args.runs), fields.get("run_count", args.run_count), fields.get("tap_step", args.tap_step);
  fields.get("weight", args.weight), fields.get("bias", args.bias), fields.get("pitch", args.pitch);
  fields.get("y", args.y), fields.get("y_step", args.y_step), fields.get("channels", args.channels);
  fields.get("group", args.group);
  fn(args);
}

template <typename T>
void run_fma_chains(void (*fn)(const FmaChainsArgs<T>&), const Fields& fields) {
  FmaChainsArgs<T> args{};
  fields.get("x", args.x), fields.get("y", args.y), fields.get("steps", args.steps), fields.get("sum", args.sum);
  const pybind11::gil_scoped_release release;  // see run_outer_product
  fn(args);
}

template <typename T>
void run_fft(FftFn<T> fn, const Fields& fields) {
  T* block = nullptr;
  int64_t points = 0;
  const T* roots = nullptr;
  fields.get("block", block), fields.get("points", points), fields.get("roots", roots);
  fn(block, points, roots);
}

template <typename T>
void run_fft_multiply(SpectrumProductFn<T> fn, const Fields& fields) {
  SpectrumProductArgs<T> args{};
  fields.get("y", args.y), fields.get("y_pitch", args.y_pitch), fields.get("z", args.z);
  fields.get("z_pitch", args.z_pitch), fields.get("w", args.w), fields.get("w_output", args.w_output);
  fields.get("w_step", args.w_step), fields.get("outputs", args.outputs), fields.get("steps", args.steps);
  fields.get("points", args.points), fields.get("accumulate", args.accumulate);
  fn(args);
}

template <typename T>
void run_fft_correlate(LaneProductFn<T> fn, const Fields& fields) {
  const T *a = nullptr, *b = nullptr;
  T* c = nullptr;
  int64_t points = 0;
  bool accumulate = false;
  fields.get("a", a), fields.get("b", b), fields.get("c", c);
  fields.get("points", points), fields.get("accumulate", accumulate);
  fn(a, b, c, points, accumulate);
}

template <typename T>
void run_winograd_source(void (*fn)(const WinogradSourceArgs<T>&), const Fields& fields) {
  WinogradSourceArgs<T> args{};
  fields.get("x", args.x), fields.get("x_h", args.x_h), fields.get("x_w", args.x_w);
  fields.get("tiles", args.tiles), fields.get("count", args.count);
  fields.get("v", args.v), fields.get("v_tile", args.v_tile), fields.get("v_frequency", args.v_frequency);
  fn(args);
}

template <typename T>
void run_winograd_filter(void (*fn)(const WinogradFilterArgs<T>&), const Fields& fields) {
  WinogradFilterArgs<T> args{};
  fields.get("w", args.w), fields.get("w_filter", args.w_filter), fields.get("w_h", args.w_h);
  fields.get("w_w", args.w_w), fields.get("taps_h", args.taps_h), fields.get("taps_w", args.taps_w);
  fields.get("count", args.count), fields.get("u", args.u), fields.get("u_filter", args.u_filter);
  fields.get("u_frequency", args.u_frequency);
  fn(args);
}

template <typename T>
void run_winograd_filter_grad(void (*fn)(const WinogradFilterGradArgs<T>&), const Fields& fields) {
  WinogradFilterGradArgs<T> args{};
  fields.get("u", args.u), fields.get("u_filter", args.u_filter), fields.get("u_frequency", args.u_frequency);
  fields.get("count", args.count), fields.get("w", args.w), fields.get("w_filter", args.w_filter);
  fields.get("w_h", args.w_h), fields.get("w_w", args.w_w), fields.get("taps_h", args.taps_h);
  fields.get("taps_w", args.taps_w), fields.get("check", args.check);
  fn(args);
}

template <typename T>
void run_winograd_destination(void (*fn)(const WinogradDestinationArgs<T>&), const Fields& fields) {
  WinogradDestinationArgs<T> args{};
  fields.get("m", args.m), fields.get("m_tile", args.m_tile), fields.get("m_frequency", args.m_frequency);
  fields.get("tiles", args.tiles), fields.get("count", args.count), fields.get("bias", args.bias);
  fields.get("y", args.y), fields.get("y_h", args.y_h), fields.get("y_w", args.y_w), fields.get("check", args.check);
  fn(args);
}

}  // namespace convext
