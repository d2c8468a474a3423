"""One convolution as plain data: the Python mirror of csrc/core/problem.h, its operands and its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

PASSES = ("output", "input_grad", "weight_grad")
DTYPES = {"f32": np.float32, "f64": np.float64}
DATA = ("integers", "zero-mean", "positive")


@dataclass(frozen=True)
class Problem:
    """The fields, defaults and text form of a ConvProblem (``pass`` is a Python keyword, so ``pass_``)."""

    pass_: str = "output"
    dtype: str = "f32"
    input: str = "nchw"
    weight: str = "nchw"
    output: str = "nchw"
    mode: str = "zeros"
    bias: int = 0
    n: int = 1
    g: int = 1
    ic: int = 1
    oc: int = 1
    ih: int = 1
    iw: int = 1
    oh: int = 1
    ow: int = 1
    kh: int = 1
    kw: int = 1
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_left: int = 0

    def __str__(self) -> str:
        words = [f"pass={self.pass_}"]
        for f in fields(self)[1:]:
            value = getattr(self, f.name)
            if value != f.default:
                words.append(f"{f.name}={value}")
        return " ".join(words)

    @property
    def id(self) -> str:
        """The text form as a test id."""
        return str(self).removeprefix("pass=").replace(" ", ",")

    @property
    def numpy_dtype(self) -> type[np.floating]:
        return DTYPES[self.dtype]

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.n, self.ic, self.ih, self.iw)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.oc, self.ic // self.g, self.kh, self.kw)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.n, self.oc, self.oh, self.ow)

    def on(self, pass_: str, dtype: str = "f32", **changes: object) -> Problem:
        return replace(self, pass_=pass_, dtype=dtype, **changes)


def out_size(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> int:
    """The output size of a convolution along one dimension."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def conv2d(
    ic: int,
    oc: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
    **rest: object,
) -> Problem:
    """A two-dimensional problem; ``padding`` is (top, bottom), (left, right)."""
    oh, ow = (out_size(size[i], kernel[i], stride[i], dilation[i], *padding[i]) for i in range(2))
    assert oh > 0 and ow > 0, "the kernel is larger than the padded image"
    problem = Problem(ic=ic, oc=oc, ih=size[0], iw=size[1], oh=oh, ow=ow, kh=kernel[0], kw=kernel[1])
    return replace(
        problem,
        stride_h=stride[0],
        stride_w=stride[1],
        dilation_h=dilation[0],
        dilation_w=dilation[1],
        pad_top=padding[0][0],
        pad_left=padding[1][0],
        **rest,
    )


def conv1d(
    ic: int,
    oc: int,
    size: int,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: tuple[int, int] = (0, 0),
    **rest: object,
) -> Problem:
    """A one-dimensional problem: an image of one row."""
    steps = {"stride": (1, stride), "dilation": (1, dilation)}
    return conv2d(ic, oc, (1, size), (1, kernel), padding=((0, 0), padding), **steps, **rest)


@dataclass
class Operands:
    """The tensors of a problem, as (n, c, h, w) arrays whatever their layout in memory.

    ``bias`` is the vector that the pass adds or, for weight gradients, the one that it writes.
    """

    input: np.ndarray
    weight: np.ndarray
    output: np.ndarray
    bias: np.ndarray | None


def written(problem: Problem) -> list[str]:
    """The names of the operands that the pass writes."""
    if problem.pass_ == "weight_grad":
        return ["weight", "bias"] if problem.bias else ["weight"]
    return [problem.pass_.removesuffix("_grad")]


def draw(problem: Problem, data: str, seed: int = 0) -> Operands:
    """Operands filled with small integers, zero-mean or positive numbers; what the pass writes is NaN."""
    rng = np.random.default_rng(seed)

    def values(shape: tuple[int, ...]) -> np.ndarray:
        if data == "integers":
            drawn = rng.integers(-4, 5, shape)
        elif data == "zero-mean":
            drawn = rng.standard_normal(shape)
        else:
            drawn = rng.uniform(0.5, 1.5, shape)
        return drawn.astype(problem.numpy_dtype)

    channels = problem.ic if problem.pass_ == "input_grad" else problem.oc
    operands = Operands(
        values(problem.input_shape),
        values(problem.weight_shape),
        values(problem.output_shape),
        values((channels,)) if problem.bias else None,
    )
    for name in written(problem):
        getattr(operands, name).fill(np.nan)
    return operands
