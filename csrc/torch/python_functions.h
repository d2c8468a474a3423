// convext's functions for Python: conv1d, conv2d, conv_transpose1d and conv_transpose2d; and what only Python knows.
#pragma once

#include <ATen/core/Tensor.h>
#include <Python.h>

namespace convext {

// Whether a subclass in Python takes the operators that its tensors meet, which are torch's as far as it knows
// (DTensor). The subclasses that trace, torch's own, take any.
bool knows_only_aten(const at::Tensor& tensor);

// Makes the functions attributes of a module. Throws if Python cannot.
void add_functions(PyObject* module);

}  // namespace convext
