"""Memory: none that grows with the number of shapes, bounded scratch, tensors beyond 2^31 elements."""

import math
import mmap
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.problem import DTYPES, PASSES, Operands, Problem, conv1d, conv2d, draw, written
from helpers.process import run_python
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
    assert int(run_python(GROWTH).stdout) < 1e6


# --- Huge pages -------------------------------------------------------------------------------------


def asks_for_huge_pages(x: torch.Tensor) -> bool:
    """Whether the mapping that holds the middle of a tensor is advised to (Linux: "hg" in smaps)."""
    middle, inside = x.data_ptr() + x.nbytes // 2, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        key, *values = line.split()
        if not key.endswith(":"):
            begin, end = (int(address, 16) for address in key.split("-"))
            inside = begin <= middle < end
        elif inside and key == "VmFlags:":
            return "hg" in values
    raise AssertionError("no mapping holds the tensor")


def test_huge_pages_hold_large_results_that_are_not_recorded() -> None:
    """64 MiB: malloc maps such a block anew, so nothing else has advised it."""
    x = torch.zeros(1, 1, 2**24)
    weight = torch.ones(1, 1, 1, requires_grad=True)
    with torch.no_grad():
        assert asks_for_huge_pages(convext.conv1d(x, weight))
    y = convext.conv1d(x.requires_grad_(), weight)
    assert not asks_for_huge_pages(y)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert asks_for_huge_pages(gradient)


# --- Scratch ----------------------------------------------------------------------------------------


SCRATCH = 2 * 2**20  # of a thread


def random_layers(count: int) -> list[Problem]:
    """Layers of all kinds, from those of networks to absurd ones; the same at every call."""
    rng, layers = random.Random(0), []
    while len(layers) < count:
        groups = rng.choice((1, 1, 1, 2, 8, 64, 256))
        ic, oc = (groups * rng.choice((1, 1, 2, 3, 4, 16, 64, 128)) for _ in range(2))
        if rng.random() < 0.5:
            size, kernel = (
                (1, rng.choice((200, 3000, 10**5, 10**6))),
                (1, rng.choice((1, 3, 5, 31, 128, 1025))),
            )
        else:
            size = rng.choice((7, 56, 224, 1024)), rng.choice((7, 56, 112, 4000))
            kernel = rng.choice((1, 2, 3, 5, 11)), rng.choice((1, 3, 5, 31))
        dilation = rng.choice((1, 1, 2, 12)) if kernel[0] > 1 else 1, rng.choice((1, 1, 3, 64))
        stride = rng.choice((1, 1, 2, 4)) if size[0] > 1 else 1, rng.choice((1, 1, 2, 5))
        padding = [(d * (k - 1) // 2,) * 2 for k, d in zip(kernel, dilation, strict=True)]
        if all(
            s + 2 * p[0] > d * (k - 1) for s, p, d, k in zip(size, padding, dilation, kernel, strict=True)
        ):
            geometry = {"stride": stride, "dilation": dilation, "padding": padding}
            layers.append(conv2d(ic, oc, size, kernel, g=groups, n=rng.choice((1, 4, 32)), **geometry))
    return layers


@pytest.mark.parametrize("layout", ("nchw", "nhwc"))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pass_", PASSES)
def test_scratch_is_bounded(pass_: str, dtype: str, layout: str) -> None:
    """2 MiB a thread, and for all threads packed weights or, for weight gradients, at most 8 MiB of sums.

    Winograd's filters are up to 5 times as many numbers, which 64 MiB bounds."""
    excess = []
    for layer in random_layers(1000):
        problem = layer.on(pass_, dtype, input=layout, output=layout)
        weights = np.dtype(DTYPES[dtype]).itemsize * math.prod(problem.weight_shape)
        shared_limit = 1.1 * max(weights, 8 * 2**20)  # packing rounds channels up to whole tiles
        for isa in AVAILABLE_ISAS:
            plan = _C.plan(str(problem), isa)
            if plan["algorithm"] == "winograd":
                limit = min(max(5 * weights, 8 * 2**20), 64 * 2**20)
            else:
                limit = shared_limit
            if plan["thread_bytes"] > SCRATCH or plan["shared_bytes"] > limit:
                excess.append((plan["thread_bytes"], plan["shared_bytes"], plan["algorithm"], str(problem)))
    assert not excess, f"{len(excess)} plans need too much, this one most: {max(excess)}"


@pytest.mark.parametrize(
    ("dtype", "outputs", "kernel"),
    [("f32", 2, 160), ("f32", 2, 224), ("f32", 4, 160), ("f32", 17, 100), ("f64", 2, 128), ("f64", 5, 128)],
)
def test_there_is_room_for_large_patches(dtype: str, outputs: int, kernel: int) -> None:
    size = outputs * kernel
    patches = conv2d(3, 64, (size, size), (kernel, kernel), stride=(kernel, kernel), n=4)
    for isa in AVAILABLE_ISAS:
        assert _C.plan(str(patches.on("output", dtype)), isa)["algorithm"] != "reference"


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
    able = [a for a in ALGORITHMS if refusal(problem, a) is None]
    # One that is chosen for small planes only keeps a whole plane.
    able = [a for a in able if _C.plan(str(problem), "", a)["thread_bytes"] <= SCRATCH]
    for algorithm in ("", *able):
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


@pytest.fixture
def room_for_a_huge_result() -> None:
    if available() < 11 * GIB:
        pytest.skip(f"needs 11 GiB of free memory, and {available() / GIB:.1f} are free")


@pytest.mark.parametrize("pass_", HUGE_RESULTS)
@pytest.mark.usefixtures("room_for_a_huge_result")
def test_a_result_beyond_32_bits(pass_: str) -> None:
    problem = HUGE_RESULTS[pass_].on(pass_)
    operands = draw_but(problem)
    compute(problem, operands)
    result = getattr(operands, written(problem)[0]).reshape(46342, 46342)
    pixels = (operands.input if pass_ == "output" else operands.output).ravel()
    for channel in (0, 1, 23171, 46340, 46341):
        assert np.array_equal(result[channel], operands.weight.ravel()[channel] * pixels)


@pytest.mark.usefixtures("room_for_a_huge_result")
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
