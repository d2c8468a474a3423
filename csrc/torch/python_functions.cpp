// The functions do what torch's generated ones do: torch's argument parser takes whatever torch.nn.functional
// takes (a number for a list, numpy's integers), raises the same TypeErrors, and finds the tensor subclasses and
// modes that override the call. A call through torch.ops would do little of this, in three times the time.

// As torch itself was compiled: its headers differ without.
#define FMT_HEADER_ONLY 1
#define USE_NUMPY 1

#include "torch/python_functions.h"

#include <ATen/TracerMode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/Exceptions.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/utils/pybind.h>
#include <torch/csrc/utils/pycfunction_helpers.h>
#include <torch/csrc/utils/python_arg_parser.h>

#include <optional>
#include <string>
#include <string_view>

namespace convext {
namespace {

using at::Tensor;
using Bias = std::optional<Tensor>;
using Sizes = c10::SymIntArrayRef;

template <typename Signature>
c10::TypedOperatorHandle<Signature> find(const std::string& name, const char* overload = "") {
  const std::string full_name = "convext::" + name;
  return c10::Dispatcher::singleton().findSchemaOrThrow(full_name.c_str(), overload).template typed<Signature>();
}

// What the tensor subclass or mode makes of it that overrides the function of this name.
PyObject* overridden(const torch::PythonArgs& r, PyObject* args, PyObject* kwargs, const std::string& name) {
  const py::object function = py::module_::import("convext.functional").attr(name.c_str());
  return torch::handle_torch_function_no_python_arg_parser(r.overloaded_args, args, kwargs, name.c_str(),
                                                           function.ptr(), "convext");
}

// See refuse_onnx_export of convext.functional, which takes too long for calls that are not traced.
void refuse_onnx_export(const Tensor& input) {
  if (at::tracer::impl::is_dispatch_enabled() || input.key_set().has(c10::DispatchKey::Python))
    py::module_::import("convext.functional").attr("refuse_onnx_export")();
}

template <int N>
PyObject* conv(PyObject*, PyObject* args, PyObject* kwargs) {
  HANDLE_TH_ERRORS
  using Signature =
      Tensor(const Tensor&, const Tensor&, const Bias&, Sizes, Sizes, Sizes, c10::SymInt, std::string_view);
  using Named =
      Tensor(const Tensor&, const Tensor&, const Bias&, Sizes, std::string_view, Sizes, c10::SymInt, std::string_view);
  static const std::string name = "conv" + std::to_string(N) + "d";
  static const std::string sizes = "SymIntArrayRef[" + std::to_string(N) + "] ";
  static const std::string head = name + "(Tensor input, Tensor weight, Tensor? bias=None, " + sizes + "stride=1, ";
  static const std::string tail = sizes + "dilation=1, SymInt groups=1, c10::string_view padding_mode=\"zeros\")";
  static torch::PythonArgParser parser(
      {head + sizes + "padding=0, " + tail, head + "c10::string_view padding=\"valid\", " + tail}, /*traceable=*/true);
  static const auto op = find<Signature>(name);
  static const auto op_named = find<Named>(name, "padding");

  torch::ParsedArgs<8> parsed;
  auto r = parser.parse(args, kwargs, parsed);
  if (r.has_torch_function()) return overridden(r, args, kwargs, name);
  const Tensor input = r.tensor(0), weight = r.tensor(1);
  refuse_onnx_export(input);
  const Bias bias = r.optionalTensor(2);
  const auto stride = r.symintlist(3), dilation = r.symintlist(5);
  const auto groups = r.toSymInt(6);
  const auto padding_mode = r.stringView(7);
  const auto call = [&](const auto& function, const auto& padding) {
    const py::gil_scoped_release no_gil;
    return function.call(input, weight, bias, stride, padding, dilation, groups, padding_mode);
  };
  return THPVariable_Wrap(r.idx == 0 ? call(op, r.symintlist(4)) : call(op_named, r.stringView(4)));
  END_HANDLE_TH_ERRORS
}

template <int N>
PyObject* conv_transpose(PyObject*, PyObject* args, PyObject* kwargs) {
  HANDLE_TH_ERRORS
  using Signature = Tensor(const Tensor&, const Tensor&, const Bias&, Sizes, Sizes, Sizes, c10::SymInt, Sizes);
  static const std::string name = "conv_transpose" + std::to_string(N) + "d";
  static const std::string sizes = "SymIntArrayRef[" + std::to_string(N) + "] ";
  static torch::PythonArgParser parser(
      {name + "(Tensor input, Tensor weight, Tensor? bias=None, " + sizes + "stride=1, " + sizes + "padding=0, " +
       sizes + "output_padding=0, SymInt groups=1, " + sizes + "dilation=1)"},
      /*traceable=*/true);
  static const auto op = find<Signature>(name);

  torch::ParsedArgs<8> parsed;
  auto r = parser.parse(args, kwargs, parsed);
  if (r.has_torch_function()) return overridden(r, args, kwargs, name);
  const Tensor input = r.tensor(0), weight = r.tensor(1);
  refuse_onnx_export(input);
  const Bias bias = r.optionalTensor(2);
  const auto stride = r.symintlist(3), padding = r.symintlist(4), output_padding = r.symintlist(5);
  const auto groups = r.toSymInt(6);
  const auto dilation = r.symintlist(7);
  const auto call = [&] {
    const py::gil_scoped_release no_gil;
    return op.call(input, weight, bias, stride, padding, output_padding, groups, dilation);
  };
  return THPVariable_Wrap(call());
  END_HANDLE_TH_ERRORS
}

PyMethodDef method(const char* name, PyCFunctionWithKeywords function) {
  return {name, castPyCFunctionWithKeywords(function), METH_VARARGS | METH_KEYWORDS, nullptr};
}

}  // namespace

bool knows_only_aten(const Tensor& tensor) {
  if (!tensor.key_set().has(c10::DispatchKey::Python)) return false;
  const py::gil_scoped_acquire gil;
  const auto object = py::reinterpret_steal<py::object>(THPVariable_Wrap(tensor));
  const auto module = py::type::of(object).attr("__module__").cast<std::string>();
  return !module.starts_with("torch._subclasses.");
}

void add_functions(PyObject* module) {
  static PyMethodDef methods[] = {method("conv1d", conv<1>),
                                  method("conv2d", conv<2>),
                                  method("conv_transpose1d", conv_transpose<1>),
                                  method("conv_transpose2d", conv_transpose<2>),
                                  {}};
  if (PyModule_AddFunctions(module, methods) != 0) throw py::error_already_set();
}

}  // namespace convext
