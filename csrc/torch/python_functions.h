// convext's functions for Python: conv1d, conv2d, conv_transpose1d and conv_transpose2d.
#pragma once

#include <Python.h>

namespace convext {

// Makes the functions attributes of a module. Throws if Python cannot.
void add_functions(PyObject* module);

}  // namespace convext
