"""The process-wide settings, and what this process has."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

import convext
from convext import _C
from convext._build_info import TORCH_VERSION

# Read CONVEXT_ISA and CONVEXT_VERBOSE: what is wrong with them shall be said now, not at a convolution.
_C.isa()
_C.verbose()


def set_isa(name: str) -> None:
    """Sets the most that kernels may use of the processor, for all threads of this process from now on.

    The environment variable CONVEXT_ISA sets it at the start.

    Args:
        name: "scalar", "avx2" or "avx512".

    Raises:
        ValueError: for another name, or an instruction set that this machine does not have.

    >>> convext.set_isa("sse9")
    Traceback (most recent call last):
    ValueError: convext: unknown instruction set 'sse9': use scalar, avx2 or avx512
    """
    _C.set_isa(name)


@contextmanager
def isa(name: str) -> Iterator[None]:
    """:func:`set_isa` for the length of a `with` block; for all threads, as the setting is the process's.

    Raises:
        ValueError: as :func:`set_isa` does.

    >>> with convext.isa("scalar"):
    ...     y = convext.conv1d(torch.ones(1, 8), torch.ones(1, 1, 3))
    """
    before = _C.isa()
    _C.set_isa(name)
    try:
        yield
    finally:
        _C.set_isa(before)


def set_float32_precision(precision: str) -> None:
    """Sets how exact sums shall be, for all threads of this process from now on.

    The name is that of :func:`torch.set_float32_matmul_precision`; float64 never goes through Winograd's
    transforms.

    Args:
        precision: "high" (the default) lets Winograd's and Fourier's transforms serve where they are faster:
            fewer multiplications, a rounding error of at most a few times that of the direct sum, and numbers
            that would sum exactly (small integers) may be off in the last digits. "highest" allows direct
            sums only.

    Raises:
        ValueError: for another name.

    >>> convext.set_float32_precision("highest")
    >>> convext.set_float32_precision("high")
    """
    _C.set_float32_precision(precision)


def enable() -> None:
    """Lets convext compute whatever this process convolves on the CPU: no model is touched.

    It takes over from :mod:`torch.nn.functional` and from models of :mod:`torch.nn` that were not converted,
    in training and inference, and from what :func:`torch.compile` and :func:`torch.jit.trace` made of them.
    PyTorch's autograd, autocast and transforms stay in charge. What convext does not serve (three dimensions,
    other dtypes, quantized and wrong calls) runs PyTorch's own kernels, as while convext is not enabled.

    Calls nest: each :func:`disable` undoes one :func:`enable`. They may come at any time, from any thread,
    and count for every thread's convolutions that start afterwards.

    Not reached is what does not call `aten::convolution`: inductor with `freezing`, and 1x1 convolutions that
    `mode="max-autotune"` turns into products of matrices. :func:`convext.convert` reaches these too.

    >>> layer, x = torch.nn.Conv2d(3, 8, 3), torch.randn(1, 3, 9, 9)
    >>> convext.enable()
    >>> y = layer(x)  # computed by convext
    >>> convext.disable()
    """
    _C.enable()


def disable() -> None:
    """Undoes one :func:`enable`; does nothing if there is none to undo.

    >>> convext.disable()
    """
    _C.disable()


@contextmanager
def enabled() -> Iterator[None]:
    """:func:`enable` for the length of a `with` block; for all threads, as the setting is the process's.

    >>> with convext.enabled():
    ...     y = torch.nn.functional.conv1d(torch.ones(1, 1, 8), torch.ones(1, 1, 3))
    """
    _C.enable()
    try:
        yield
    finally:
        _C.disable()


def show_config() -> str:
    """Describes convext in this process: versions, instruction sets, threads, settings, OpenMP runtimes.

    More than one OpenMP runtime is worth knowing of: their threads compete for the same cores.

    >>> print(convext.show_config())
    convext ...
      ...
    """
    settings = [
        f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("CONVEXT_")
    ]
    lines = {
        "python": platform.python_version(),
        "torch": f"{torch.__version__} (built with {TORCH_VERSION})",
        "instruction set": f"{_C.isa()} (this machine: {_C.detected_isa()})",
        "threads": str(torch.get_num_threads()),
        "precision": _C.float32_precision(),
        "takes over": "torch's convolutions" if _C.is_enabled() else "nothing (convext.enable() does)",
        "OpenMP": ", ".join(_openmp_runtimes()),
        "algorithms": ", ".join(_C.algorithms()),
        "environment": ", ".join(settings) or "nothing set",
    }
    width = max(map(len, lines))
    return "\n".join(
        [f"convext {convext.__version__}", *(f"  {name:<{width}}  {value}" for name, value in lines.items())]
    )


def _openmp_runtimes() -> list[str]:
    """The shared libraries of this process that are OpenMP runtimes."""
    mapped = {
        line.split(maxsplit=5)[5] for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line
    }
    return sorted(path for path in mapped if Path(path).name.startswith(("libgomp", "libomp", "libiomp")))
