"""The checks of test_algorithms.py must fail for a kernel that is wrong in one of the usual ways."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
from helpers import grid
from helpers.problem import DATA, PASSES, Operands, Problem, conv1d, conv2d, draw, written
from helpers.reference import check_bound, check_exact, check_rms, convolve, expect, unit_roundoff
from helpers.run import torch_results

PROBLEMS = [
    problem.on(pass_, dtype)
    for problem in (
        conv1d(16, 12, 40, 3, dilation=2, padding=(4, 0), n=2),
        conv2d(16, 8, (9, 10), (1, 1), n=2),
        conv2d(8, 12, (9, 10), (3, 3), padding=grid.SAME, n=2),
        conv2d(8, 8, (9, 10), (3, 3), g=8, stride=(2, 2), padding=((2, 2), (2, 2)), n=2),
    )
    for pass_ in PASSES
    for dtype in ("f32", "f64")
]
TILE = 4


def last_tap_dropped(operands: Operands, results: Operands) -> None:
    operands.weight[..., -1, -1] = results.weight[..., -1, -1] = 0


def last_pixel_dropped(operands: Operands, results: Operands) -> None:
    for o in (operands, results):
        o.output[..., -1, -1] = 0


def last_channel_dropped(operands: Operands, results: Operands) -> None:
    for o in (operands, results):
        o.output[:, -1] = 0
        o.weight[-1] = 0


def last_image_dropped(operands: Operands, results: Operands) -> None:
    for o in (operands, results):
        o.input[-1] = o.output[-1] = 0


def one_element_from_the_next_tile(operands: Operands, results: Operands) -> None:
    for result in (results.input, results.weight, results.output):
        flat = result.reshape(-1)
        flat[-1] = flat[-1 - TILE]


def one_element_not_written(operands: Operands, results: Operands) -> None:
    for result in (results.input, results.weight, results.output):
        result.reshape(-1)[0] = np.nan


MUTANTS = (
    last_tap_dropped,
    last_pixel_dropped,
    last_channel_dropped,
    last_image_dropped,
    one_element_from_the_next_tile,
    one_element_not_written,
)


def computed(problem: Problem, operands: Operands, mutant: Callable | None) -> np.ndarray:
    """The result of the pass as a kernel with that fault would leave it, rounded to the problem's dtype.

    A fault acts on what the kernel reads and on what it writes: a dropped pixel is not read, or is left zero.
    """
    operands, results = deepcopy(operands), deepcopy(operands)
    (name,) = written(problem)
    if mutant is not None:
        mutant(operands, results)
    getattr(operands, name)[...] = 0
    result = np.ascontiguousarray(convolve(problem, operands)[0], problem.numpy_dtype)
    setattr(results, name, result)
    if mutant is not None:
        mutant(operands, results)
    return result


def checks(problem: Problem, data: str, result: np.ndarray) -> None:
    """What test_algorithms.py checks on such data."""
    operands = draw(problem, data)
    (expected,) = expect(problem, operands)
    if data == "integers":
        check_exact(result, expected)
    else:
        check_bound(result, expected, unit_roundoff(problem.dtype))


def fails(check: Callable, *args: object) -> bool:
    try:
        check(*args)
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.id)
def test_the_checks_accept_what_is_right(problem: Problem, data: str) -> None:
    checks(problem, data, computed(problem, draw(problem, data), None))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.__name__)
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.id)
def test_the_checks_refuse_a_mutant(problem: Problem, data: str, mutant: Callable) -> None:
    assert fails(checks, problem, data, computed(problem, draw(problem, data), mutant))


@pytest.mark.parametrize("problem", [p for p in grid.ACCURACY if p.dtype == "f32"], ids=lambda p: p.id)
def test_the_comparison_with_torch_refuses_sums_in_half_the_precision(problem: Problem) -> None:
    """Operands rounded to bfloat16's 8 bits give an error that is far above twice torch's."""
    operands = draw(problem, "zero-mean")
    (expected,) = expect(problem, operands)
    (torchs,) = torch_results(problem, operands)
    coarse = deepcopy(operands)
    for array in (coarse.input, coarse.weight, coarse.output):
        array.view(np.uint32)[...] &= 0xFFFF0000
    (result,) = convolve(problem, coarse)
    assert not fails(check_rms, torchs, torchs, expected)
    assert fails(check_rms, result.astype(np.float32), torchs, expected)
