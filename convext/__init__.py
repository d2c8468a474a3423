"""Convolution for PyTorch on the CPU: drop-in layers and functions, faster, and you can see why.

    model = convext.convert(model)    # swap the convolution layers, in place
    print(convext.report(model, x))   # what computes each layer now, and what share of the time it takes

float32 and float64 tensors on the CPU are computed by convext's own kernels, forwards and backwards; all
else is passed on to PyTorch.
"""

# Must come first: it checks that the extension may be loaded.
from convext import _requirements  # noqa: F401, I001

from convext import _C, _integration, _vmap  # noqa: F401
from convext.config import disable, enable, enabled, isa, set_float32_precision, set_isa, show_config
from convext.conversion import convert, revert
from convext.explanation import explain
from convext.functional import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from convext.modules import (
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    LazyConv1d,
    LazyConv2d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
)
from convext.reporting import report

__version__ = "0.1.0"

__all__ = [
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "convert",
    "disable",
    "enable",
    "enabled",
    "explain",
    "isa",
    "report",
    "revert",
    "set_float32_precision",
    "set_isa",
    "show_config",
]
