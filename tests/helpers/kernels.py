"""Micro-kernels by name, and the arrays that they are tested on."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from convext import _C
from helpers.memory import guarded

NAME = re.compile(r"(?P<shape>\w+)_(?P<dtype>f32|f64)_(?P<mr>\d+)x(?P<nr>\d+)_(?P<isa>\w+)")
LANES = {"scalar": 4, "avx2": 32, "avx512": 64}  # bytes of a vector; the scalar one has four numbers


class Kernel:
    """A kernel's name, taken apart."""

    def __init__(self, name: str) -> None:
        match = NAME.fullmatch(name)
        assert match, name
        self.name, self.shape, self.isa = name, match["shape"], match["isa"]
        self.mr, self.nr = int(match["mr"]), int(match["nr"])
        self.dtype = np.dtype(np.float32 if match["dtype"] == "f32" else np.float64)
        self.lanes = 4 if self.isa == "scalar" else LANES[self.isa] // self.dtype.itemsize

    def run(self, **fields: object) -> None:
        """Arrays are passed by address, and must be alive until here."""
        plain = {k: v.ctypes.data if isinstance(v, np.ndarray) else v for k, v in fields.items()}
        _C.run_kernel(self.name, plain)


def kernels(*shapes: str) -> list[object]:
    """The kernels of the shapes, as parameters of a test."""
    names = [name for name in _C.kernels() if Kernel(name).shape in shapes]
    assert {Kernel(name).shape for name in names} == set(shapes), f"{shapes}: not all exist"
    return [pytest.param(Kernel(name), id=name) for name in names]


def integers(rng: np.random.Generator, kernel: Kernel, side: str, *shape: int) -> np.ndarray:
    return guarded(rng.integers(-4, 5, shape).astype(kernel.dtype), side)


def nans(kernel: Kernel, side: str, *shape: int) -> np.ndarray:
    return guarded(np.full(shape, np.nan, kernel.dtype), side)


def strided(values: np.ndarray, strides: Sequence[int], gap: float = np.nan) -> np.ndarray:
    """``values`` in flat memory, ``strides`` numbers apart, with ``gap`` wherever none of them lies."""
    reach = sum((size - 1) * stride for size, stride in zip(values.shape, strides, strict=True))
    flat = np.full(reach + 1, gap, values.dtype)
    as_strided(flat, values.shape, [stride * flat.itemsize for stride in strides])[...] = values
    return flat


def offsets(values: object) -> np.ndarray:
    return np.asarray(values, np.int64)
