// Every micro-kernel by its name, for tests: convext._C.kernels() and run_kernel().
#pragma once

#include <pybind11/pybind11.h>

namespace convext {

void add_kernels(pybind11::module_& m);

}  // namespace convext
