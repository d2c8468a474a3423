"""Reference results: what a convolution is, written as one sum, and how far from it a result may lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from helpers.problem import DTYPES, Operands, Problem


@dataclass
class Expected:
    """Elementwise: the exact value, the sum of the magnitudes of its terms, and the number of terms."""

    values: np.ndarray
    magnitude: np.ndarray
    terms: np.ndarray


def source(mode: str, i: int, size: int) -> int | None:
    """The input coordinate that a tap reads at ``i``, or None for a zero ."""
    if 0 <= i < size:
        return i
    if mode == "reflect":
        return -i if i < 0 else 2 * (size - 1) - i
    if mode == "replicate":
        return min(max(i, 0), size - 1)
    return i % size if mode == "circular" else None


@lru_cache(maxsize=64)
def reads(mode: str, size: int, out: int, kernel: int, stride: int, dilation: int, before: int) -> np.ndarray:
    """``reads[k, o, i]`` is 1 where output pixel ``o`` reads input pixel ``i`` through tap ``k``."""
    table = np.zeros((kernel, out, size))
    for k in range(kernel):
        for o in range(out):
            i = source(mode, o * stride + k * dilation - before, size)
            if i is not None:
                table[k, o, i] = 1
    return table


# The sum over everything that a result's element does not name: image n, group g, input channel c and
# output channel k of the group, input pixel (i, j), output pixel (o, p), tap (a, b).
_SUMS = {
    "output": "ngcij,aoi,bpj,gkcab->ngkop",
    "input_grad": "ngkop,aoi,bpj,gkcab->ngcij",
    "weight_grad": "ngcij,aoi,bpj,ngkop->gkcab",
}


def convolve(p: Problem, operands: Operands, dtype: type[np.floating] = np.float64) -> list[np.ndarray]:
    """What the pass writes, computed in ``dtype``."""
    x = operands.input.reshape(p.n, p.g, p.ic // p.g, p.ih, p.iw)
    w = operands.weight.reshape(p.g, p.oc // p.g, p.ic // p.g, p.kh, p.kw)
    y = operands.output.reshape(p.n, p.g, p.oc // p.g, p.oh, p.ow)
    rows = reads(p.mode, p.ih, p.oh, p.kh, p.stride_h, p.dilation_h, p.pad_top)
    cols = reads(p.mode, p.iw, p.ow, p.kw, p.stride_w, p.dilation_w, p.pad_left)
    first, last = {"output": (x, w), "input_grad": (y, w), "weight_grad": (x, y)}[p.pass_]
    factors = [a.astype(dtype) for a in (first, rows, cols, last)]
    path = ["einsum_path", (0, 1), (0, 2), (0, 1)]  # gather rows, then columns, then one product
    result = np.einsum(_SUMS[p.pass_], *factors, optimize=path)
    if p.pass_ == "weight_grad":
        sums = [operands.output.astype(dtype).sum((0, 2, 3))] if p.bias else []
        return [result.reshape(p.weight_shape), *sums]
    result = result.reshape(p.output_shape if p.pass_ == "output" else p.input_shape)
    return [result + operands.bias.astype(dtype)[:, None, None] if p.bias else result]


def expect(p: Problem, operands: Operands) -> list[Expected]:
    """The results of the pass: in float64 for a float32 problem, in extended precision for a float64 one."""

    def mapped(f) -> Operands:
        arrays = (operands.input, operands.weight, operands.output, operands.bias)
        return Operands(*(None if a is None else f(a) for a in arrays))

    values = convolve(p, operands, np.float64 if p.dtype == "f32" else np.longdouble)
    magnitude = convolve(p, mapped(np.abs))
    terms = convolve(p, mapped(np.ones_like))
    # A bias is no product: K does not count it.
    if p.bias and p.pass_ != "weight_grad":
        terms[0] -= 1
    return [Expected(*parts) for parts in zip(values, magnitude, terms, strict=True)]


def unit_roundoff(dtype: str) -> float:
    return float(np.finfo(DTYPES[dtype]).eps) / 2


def check_exact(result: np.ndarray, expected: Expected) -> None:
    """Sums of integers below 2^24 are exact in float32, in any order."""
    assert expected.magnitude.max(initial=0) < 2**24, "the data of this test are too large"
    wrong = ~(result == expected.values)
    assert not wrong.any(), _where(wrong, result, expected.values)


def check_bound(result: np.ndarray, expected: Expected, unit: float) -> None:
    """|e| <= 4 u sqrt(K + 1) (|x| * |w| + |b|), elementwise."""
    bound = 4 * unit * np.sqrt(expected.terms + 1) * expected.magnitude
    wrong = ~(np.abs(result - expected.values) <= bound)
    assert not wrong.any(), _where(wrong, result, expected.values)


def check_spread(result: np.ndarray, expected: Expected, unit: float) -> None:
    """One bound for all elements, that of the largest: a transform spreads its error evenly."""
    largest = Expected(expected.values, expected.magnitude.max(), expected.terms.max())
    check_bound(result, largest, unit)


def rms(error: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(error))))


def check_rms(result: np.ndarray, torchs: np.ndarray, expected: Expected, factor: float = 2) -> None:
    """The root of the mean squared error is at most ``factor`` times that of torch on the same data."""
    ours, limit = rms(result - expected.values), factor * rms(torchs - expected.values)
    assert ours <= limit, f"RMS error {ours:.3g}, {factor} times torch's is {limit:.3g}"


def _where(wrong: np.ndarray, result: np.ndarray, values: np.ndarray) -> str:
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    count = f"{int(wrong.sum())} of {wrong.size} elements wrong"
    return f"{count}, first at {at}: {result[at]!r} for {values[at]!r}"
