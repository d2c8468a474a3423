#include "python/kernels.h"

#include <pybind11/stl.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "algorithms/algorithm.h"
#include "kernels/tables.h"
#include "python/run_kernels.h"

namespace py = pybind11;

namespace convext {
namespace {

struct Kernel {
  std::string name;
  std::function<void(const Fields&)> run;
};

template <typename T>
void add_kernels_of(Isa isa, std::vector<Kernel>& list) {
  constexpr DType dtype = std::is_same_v<T, float> ? DType::kFloat32 : DType::kFloat64;
  const auto add = [&](const char* shape, int mr, int nr, auto run, auto fn) {
    if (fn != nullptr)
      list.push_back({to_string(KernelName{shape, dtype, mr, nr, isa}), [run, fn](const Fields& f) { run(fn, f); }});
  };
  const OuterProductTiles<T>& outer = outer_product<T>(isa);
  for (int nv = 1; nv <= kOuterProductMaxNv; ++nv)
    for (int mr = 1; mr <= kOuterProductMaxMr; ++mr) {
      add("outer_product_packed", mr, nv * outer.lanes, run_outer_product<T>, outer.packed[nv - 1][mr - 1]);
      add("outer_product_keeping", mr, nv * outer.lanes, run_outer_product<T>, outer.keeping[nv - 1][mr - 1]);
      add("outer_product_rows", mr, nv * outer.lanes, run_outer_product<T>, outer.rows[nv - 1][mr - 1]);
      add("outer_product_strided", mr, nv * outer.lanes, run_outer_product<T>, outer.strided[nv - 1][mr - 1]);
    }
  const InnerProductTiles<T>& inner = inner_product<T>(isa);
  for (int mr = 1; mr <= kInnerProductMaxMr; ++mr)
    for (int nr = 1; nr <= kInnerProductMaxNr; ++nr)
      add("inner_product", mr, nr, run_inner_product<T>, inner.fn[mr - 1][nr - 1]);
  const StencilKernel<T>& plane = stencil<T>(isa);
  add("stencil", plane.rows, plane.vectors * plane.lanes, run_stencil<T>, plane.fn);
  const StencilRowsKernel<T>& plane_rows = stencil_rows<T>(isa);
  add("stencil_rows", plane_rows.rows, plane_rows.vectors * plane_rows.lanes, run_stencil_rows<T>, plane_rows.fn);
  const LineStencilKernel<T>& line = line_stencil<T>(isa);
  add("line_stencil", line.rows, line.vectors * line.lanes, run_line_stencil<T>, line.fn);
  const LineStencilGradKernel<T>& line_grad = line_stencil_grad<T>(isa);
  add("line_stencil_grad", 2, line_grad.taps, run_line_stencil_grad<T>, line_grad.fn);
  const StencilGradTiles<T>& plane_grad = stencil_grad<T>(isa);
  for (int kh = 1; kh <= kStencilGradMaxKh; ++kh)
    for (int kw = 1; kw <= kStencilGradMaxKw; ++kw)
      add("stencil_grad", kh, kw, run_stencil_grad<T>, plane_grad.fn[kh - 1][kw - 1]);
  const int lanes = outer.lanes;
  add("copy_rows", 1, lanes, run_copy_rows<T>, rows<T>(isa).copy);
  add("interleave_rows", 1, lanes, run_interleave_rows<T>, rows<T>(isa).interleave);
  add("cut_rows", 1, lanes, run_cut_rows<T>, rows<T>(isa).cut);
  add("sum_rows", 1, lanes, run_sum_rows<T>, rows<T>(isa).sum);
  add("fold", fold<T>(isa).vectors, lanes, run_fold<T>, fold<T>(isa).fn);
  add("transpose", lanes, lanes, run_transpose<T, int64_t>, transposes<T>(isa).block);
  add("transpose_scatter", lanes, lanes, run_transpose<T, const int64_t*>, transposes<T>(isa).scatter);
  const FftKernels<T>& transform = fft<T>(isa);
  add("fft_forward", 1, transform.lanes, run_fft<T>, transform.forward);
  add("fft_backward", 1, transform.lanes, run_fft<T>, transform.backward);
  add("fft_multiply", 1, transform.lanes, run_fft_multiply<T>, transform.multiply);
  add("fft_correlate", 1, transform.lanes, run_fft_correlate<T>, transform.correlate);
  const PixelStencilKernels<T>& pixel = pixel_stencil<T>(isa);
  for (int mr = 1; mr <= pixel.max_run; ++mr) {
    add("pixel_stencil", mr, pixel.lanes, run_pixel_stencil<T, T, const T>, pixel.correlate[mr - 1]);
    add("pixel_weight_grad", mr, pixel.lanes, run_pixel_stencil<T, const T, T>, pixel.weight_grad[mr - 1]);
  }
  const ChannelStencilKernels<T>& channel = channel_stencil<T>(isa);
  for (int mr = 1; mr <= channel.max_run; ++mr)
    add("channel_stencil", mr, channel.lanes, run_channel_stencil<T>, channel.correlate[mr - 1]);
  for (int mr = 1; mr <= channel.max_taps; ++mr)
    add("channel_weight_grad", mr, channel.lanes, run_channel_grad<T>, channel.weight_grad[mr - 1]);
  add("channel_bias_grad", 1, channel.lanes, run_channel_grad<T>, channel.bias_grad);
  const WinogradKernels<T>& tile = winograd<T>(isa);
  for (int kh = 1; kh <= kWinogradMaxTaps; ++kh)
    for (int kw = 1; kw <= kWinogradMaxTaps; ++kw) {
      const WinogradTransforms<T>& transforms = tile.of[kh - 1][kw - 1];
      add("winograd_source", kh, kw, run_winograd_source<T>, transforms.source);
      add("winograd_filter", kh, kw, run_winograd_filter<T>, transforms.filter);
      add("winograd_destination", kh, kw, run_winograd_destination<T>, transforms.destination);
      add("winograd_gradient", kh, kw, run_winograd_source<T>, transforms.gradient);
      add("winograd_filter_grad", kh, kw, run_winograd_filter_grad<T>, transforms.filter_grad);
    }
  const FmaChainsKernel<T>& fma = fma_chains<T>(isa);
  add("fma_chains", fma.chains, fma.lanes, run_fma_chains<T>, fma.fn);
  add("channel_spread", 1, channel.lanes, run_channel_spread<T>, channel.spread);
}

// Of all instruction sets that this machine has.
const std::vector<Kernel>& all_kernels() {
  static const std::vector<Kernel> list = [] {
    std::vector<Kernel> kernels;
    for (Isa isa : kAllIsas)
      if (isa <= detected_isa()) {
        add_kernels_of<float>(isa, kernels);
        add_kernels_of<double>(isa, kernels);
      }
    return kernels;
  }();
  return list;
}

void run_kernel(const std::string& name, const py::dict& fields) {
  for (const Kernel& kernel : all_kernels())
    if (kernel.name == name) return kernel.run(Fields(fields));
  throw std::invalid_argument("convext: no kernel is called '" + name + "'");
}

}  // namespace

void add_kernels(py::module_& m) {
  m.def("kernels", [] {
    std::vector<std::string> names;
    for (const Kernel& kernel : all_kernels()) names.push_back(kernel.name);
    return names;
  });
  m.def("stencil_row_taps", [](const std::string& isa, int stride) {
    const StencilRowsKernel<float>& kernel = stencil_rows<float>(parse_isa(isa));
    return stride == 1 ? kernel.row_taps : kernel.strided_row_taps;
  });
  m.def("run_kernel", &run_kernel, py::arg("name"), py::arg("fields"));
}

}  // namespace convext
