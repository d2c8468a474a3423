"""Memory: none that grows with the number of shapes, bounded scratch, tensors beyond 2^31 elements."""

import math
import mmap
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import grid
from helpers.problem import Operands, Problem, conv1d, conv2d, draw, written
from helpers.reference import check_exact
from helpers.run import ALGORITHMS, AVAILABLE_ISAS, given, refusal

import convext
from convext import _C

GIB = 2**30
MAP_NORESERVE = 0x4000  # Linux on x86-64; in the module mmap from Python 3.13 on

# --- Growth -----------------------------------------------------------------------------------------

GROWTH = """
import os
import torch
import convext

torch.set_num_threads(2)

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def shapes(first, count):
    # Distinct in one number or another; all small.
    for i in range(first, first + count):
        yield 1 + i % 7, 1 + i // 7 % 13, 3 + i // 91 % 11, 3 + i // 1001 % 12

def convolve(first, count):
    for n, c, h, w in shapes(first, count):
        x = torch.ones(n, c, h, w, requires_grad=True)
        weight = torch.ones(2, c, 1 + h % 3, 3, requires_grad=True)
        convext.conv2d(x, weight, padding=1).sum().backward()

convolve(0, 1000)
before = resident()
convolve(1000, 10000)
print(resident() - before)
"""


def test_distinct_shapes_leave_nothing_behind() -> None:
    """After 1,000 shapes, 10,000 others, forwards and backwards, grow the process by less than 1 MB."""
    printed = subprocess.run(
        [sys.executable, "-c", GROWTH], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    assert int(printed) < 1e6


# --- Scratch ----------------------------------------------------------------------------------------

# Layers as large as networks have them.
LARGE_LAYERS = [
    problem.on(pass_)
    for problem in (
        conv2d(64, 64, (224, 224), (3, 3), padding=grid.SAME, n=32),
        conv2d(512, 512, (28, 28), (3, 3), padding=grid.SAME, n=32),
        conv2d(2048, 512, (14, 14), (1, 1), n=32),
        conv2d(3, 64, (448, 448), (7, 7), stride=(2, 2), padding=((3, 3), (3, 3)), n=32),
        conv2d(256, 256, (112, 112), (7, 7), g=256, padding=((3, 3), (3, 3)), n=32),
        conv2d(32, 32, (512, 512), (3, 3), dilation=(12, 12), padding=((12, 12), (12, 12)), n=8),
        conv1d(1, 512, 160000, 10, stride=5, n=8),
        conv1d(768, 768, 1500, 128, g=16, padding=(64, 63), n=8),
        conv1d(1, 1, 1_000_000, 1025, padding=(512, 512)),
        conv1d(64, 64, 1_000_000, 3),
    )
    for pass_ in ("output", "input_grad", "weight_grad")
]


@pytest.mark.parametrize("isa", AVAILABLE_ISAS)
@pytest.mark.parametrize("problem", LARGE_LAYERS, ids=lambda p: p.id)
def test_scratch_is_bounded(problem: Problem, isa: str) -> None:
    """2 MiB a thread, the packed weights, and for weight gradients the partial sums that the plan states."""
    weights = 4 * np.prod(problem.weight_shape)
    for algorithm in ALGORITHMS:
        if refusal(problem, algorithm) is not None:
            continue
        plan = _C.plan(str(problem), isa, algorithm)
        assert plan["thread_bytes"] <= 2 * 2**20
        chunks = max(1, plan["blocks"].get("chunks", 1)) if problem.pass_ == "weight_grad" else 1
        # Packing rounds channels up to whole tiles: at most 4x where a group has few of them.
        assert plan["shared_bytes"] <= 4 * chunks * weights + 2 * 2**20
        assert plan["shared_bytes"] <= 256 * 2**20


# --- Beyond 2^31 elements ---------------------------------------------------------------------------


def available() -> int:
    """Bytes of memory that are free for the asking."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def zeros(shape: tuple[int, ...], in_huge_pages: bool = True) -> np.ndarray:
    """Float32 zeros that take memory only where they are written: a page, or 2 MiB, at a time."""
    memory = mmap.mmap(-1, 4 * math.prod(shape), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
    if in_huge_pages:
        memory.madvise(mmap.MADV_HUGEPAGE)  # else most of the time goes into page faults
    return np.frombuffer(memory, np.float32).reshape(shape)


def draw_but(problem: Problem, *empty: str) -> Operands:
    """Operands of integers; what is written, and these, are zeros that take no memory yet."""
    rng = np.random.default_rng(0)

    def array(name: str) -> np.ndarray:
        shape = getattr(problem, f"{name}_shape")
        if name in empty or name in written(problem):
            return zeros(shape)
        return rng.integers(-4, 5, shape).astype(np.float32)

    return Operands(array("input"), array("weight"), array("output"), None)


# More than 2^31 elements of input. The taps of two outputs never touch the same pixel.
HUGE_INPUTS = {
    "pointwise": conv1d(1, 3, 2**31 + 5, 1, stride=2**20 + 7),
    "pointwise-2d": conv2d(2, 3, (1049, 2**20 + 3), (1, 1), stride=(523, 10021)),
    "dense": conv2d(2, 3, (1049, 2**20 + 3), (3, 3), stride=(523, 10021), dilation=(1, 3)),
    "dense-dilated": conv1d(1, 2, 2**31 + 5, 2, dilation=2**31),
    "depthwise": conv2d(3, 3, (700, 2**20 + 3), (3, 3), stride=(331, 10021), g=3),
}


def gathered(problem: Problem) -> Problem:
    """The problem whose image consists of the pixels that the taps of `problem` read, and of no others."""
    together = {"ih": problem.oh * problem.kh, "iw": problem.ow * problem.kw}
    together |= {"stride_h": problem.kh, "stride_w": problem.kw, "dilation_h": 1, "dilation_w": 1}
    return replace(problem, **together)


def places(out: int, kernel: int, stride: int, dilation: int) -> np.ndarray:
    """Where these pixels lie, along one dimension."""
    return (np.arange(out)[:, None] * stride + np.arange(kernel) * dilation).ravel()


def compute(problem: Problem, operands: Operands, algorithm: str = "") -> None:
    """Runs the problem in place (no copy of an operand would fit)."""
    addresses = {name: getattr(operands, name).ctypes.data for name in ("input", "weight", "output")}
    _C.run(str(problem), **addresses, bias=0, threads=2, algorithm=algorithm)


@pytest.fixture(params=HUGE_INPUTS)
def huge_input(request: pytest.FixtureRequest) -> Problem:
    return HUGE_INPUTS[request.param]


@pytest.mark.parametrize("pass_", ("output", "weight_grad"))
def test_an_input_beyond_32_bits(huge_input: Problem, pass_: str) -> None:
    problem = huge_input.on(pass_)
    small = gathered(problem)
    rows = places(problem.oh, problem.kh, problem.stride_h, problem.dilation_h)
    cols = places(problem.ow, problem.kw, problem.stride_w, problem.dilation_w)
    for algorithm in ("", *(a for a in ALGORITHMS if refusal(problem, a) is None)):
        operands, (expected,) = draw(small, "integers"), given(small, "integers")[1]
        image = zeros(problem.input_shape, in_huge_pages=False)
        image[:, :, rows[:, None], cols] = operands.input
        operands.input = image
        compute(problem, operands, algorithm)
        (name,) = written(problem)
        check_exact(getattr(operands, name), expected)


def test_an_input_beyond_32_bits_through_torch() -> None:
    x = torch.from_numpy(zeros((1, 1, 2**31 + 5)))
    x[0, 0, -1] = 3
    w = torch.tensor([[[1.0, 2.0]]], requires_grad=True)
    output = convext.conv1d(x, w, dilation=2**31)
    assert output.tolist() == [[[0, 0, 0, 0, 6]]]
    output.sum().backward()
    assert w.grad.tolist() == [[[0, 3]]]


# A product of every row with every column: 46,342^2 = 2^31 + 90,316 results of operands that are small.
HUGE_RESULTS = {
    "output": conv1d(1, 46342, 46342, 1),
    "input_grad": conv1d(46342, 1, 46342, 1),
}


@pytest.mark.parametrize("pass_", HUGE_RESULTS)
@pytest.mark.skipif(available() < 11 * GIB, reason="needs 11 GiB of memory")
def test_a_result_beyond_32_bits(pass_: str) -> None:
    problem = HUGE_RESULTS[pass_].on(pass_)
    operands = draw_but(problem)
    compute(problem, operands)
    result = getattr(operands, written(problem)[0]).reshape(46342, 46342)
    pixels = (operands.input if pass_ == "output" else operands.output).ravel()
    for channel in (0, 1, 23171, 46340, 46341):
        assert np.array_equal(result[channel], operands.weight.ravel()[channel] * pixels)


@pytest.mark.skipif(available() < 11 * GIB, reason="needs 11 GiB of memory")
def test_a_depthwise_result_beyond_32_bits() -> None:
    """The input is all zeros but for the first and the last pixel of each channel."""
    problem = conv1d(2, 2, 2**30 + 5, 3, g=2, padding=(1, 1))
    operands = draw_but(problem, "input")
    first, last = operands.input[:, :, :, :1], operands.input[:, :, :, -1:]
    first[...], last[...] = 2, 3
    compute(problem, operands)
    result, weight = operands.output[0, :, 0], operands.weight[:, 0, 0]
    assert np.array_equal(result[:, :2], 2 * weight[:, 1::-1])
    assert np.array_equal(result[:, -2:], 3 * weight[:, :0:-1])
    assert not result[:, 2:-2].any()
