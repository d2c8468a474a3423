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

# Reads CONVEXT_ISA: what is wrong with it should be said now, not at the first convolution.
_C.isa()


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

    >>> with convext.isa("scalar"):
    ...     y = convext.conv1d(torch.ones(1, 8), torch.ones(1, 1, 3))
    """
    before = _C.isa()
    _C.set_isa(name)
    try:
        yield
    finally:
        _C.set_isa(before)


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
