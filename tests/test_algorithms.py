"""Every algorithm, on every instruction set of the machine, on every problem that it does not refuse."""

import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import grid
from helpers.memory import SIDES
from helpers.problem import PASSES, Problem, conv2d, draw
from helpers.reference import Expected, check_bound, check_exact, check_rms, check_spread, unit_roundoff
from helpers.run import ALGORITHMS, distinct_isas, given, refusal, run, torch_results

from convext import _C

ERROR_FACTORS = _C.error_factors()
FROM_MEMORY = ["grouped_pixels", "depthwise_rows", "depthwise"]
DIRECT = [algorithm for algorithm in ALGORITHMS if ERROR_FACTORS[algorithm] == 1]


def check(algorithm: str, problem: Problem, result: np.ndarray, expected: Expected) -> None:
    """The bound of a direct sum or, of the algorithms that take more, what they state."""
    bound = check_spread if ERROR_FACTORS[algorithm] > 1 else check_bound
    bound(result, expected, unit_roundoff(problem.dtype) * ERROR_FACTORS[algorithm])


def cases(problems: list[Problem], algorithms: list[str] = ALGORITHMS):
    """Parameters (problem, algorithm, isa); the problem outermost: its reference is computed once."""
    return pytest.mark.parametrize(
        ("problem", "algorithm", "isa"),
        [
            pytest.param(problem, algorithm, isa, id=f"{algorithm}-{isa}-{problem.id}")
            for problem in problems
            for algorithm in algorithms
            if refusal(problem, algorithm) is None
            for isa in distinct_isas(problem, algorithm)
        ],
    )


@cases(grid.GRID, DIRECT)
def test_exact_on_integers(problem: Problem, algorithm: str, isa: str) -> None:
    operands, expected = given(problem, "integers")
    for side in SIDES:
        results = run(problem, operands, algorithm=algorithm, isa=isa, side=side)
        for result, wanted in zip(results, expected, strict=True):
            check_exact(result, wanted)


@cases([grid.LONG_ROWS.on("weight_grad", dtype, bias=1) for dtype in ("f32", "f64")], DIRECT)
def test_biases_of_blocks_of_part_of_a_row_are_exact(problem: Problem, algorithm: str, isa: str) -> None:
    operands, expected = given(problem, "integers")
    for result, wanted in zip(run(problem, operands, algorithm=algorithm, isa=isa), expected, strict=True):
        check_exact(result, wanted)


@cases([problem.on(pass_) for problem in grid.FROM_MEMORY for pass_ in PASSES], FROM_MEMORY)
def test_images_that_come_from_memory_are_exact(problem: Problem, algorithm: str, isa: str) -> None:
    """Tiles ask for the pixels of the next one: where there is none they may name any address."""
    numbers = problem.n * (problem.ic * problem.ih * problem.iw + problem.oc * problem.oh * problem.ow)
    assert 4 * numbers > (16 if problem.n < 32 else 32) << 20
    test_exact_on_integers(problem, algorithm, isa)


@pytest.mark.parametrize("data", ("zero-mean", "positive"))
@cases(grid.GRID)
def test_error_bound(problem: Problem, algorithm: str, isa: str, data: str) -> None:
    operands, expected = given(problem, data)
    results = run(problem, operands, algorithm=algorithm, isa=isa)
    for result, wanted in zip(results, expected, strict=True):
        check(algorithm, problem, result, wanted)


@pytest.mark.parametrize("data", ("zero-mean", "positive"))
@pytest.mark.parametrize("problem", grid.ACCURACY, ids=lambda p: p.id)
def test_at_most_twice_the_error_of_torch(problem: Problem, data: str) -> None:
    """Of what is chosen for the problem, with the machine's best instructions: torch takes these too.

    (Or, of algorithms that state a larger factor, that.)"""
    algorithm = _C.plan(str(problem))["algorithm"]
    assert algorithm != "reference"
    operands, expected = given(problem, data)
    results = run(problem, operands, threads=2)
    for result, torchs, wanted in zip(results, torch_results(problem, operands), expected, strict=True):
        check(algorithm, problem, result, wanted)
        check_rms(result, torchs, wanted, max(2, ERROR_FACTORS[algorithm]))


@pytest.mark.parametrize("problem", grid.GRID, ids=lambda p: p.id)
def test_something_computes_it_and_what_does_not_says_why(problem: Problem) -> None:
    refusals = {algorithm: refusal(problem, algorithm) for algorithm in ALGORITHMS}
    assert None in refusals.values()
    for algorithm, text in refusals.items():
        assert text is None or re.fullmatch(f"convext: {algorithm} cannot compute this: .+", text)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_grid_reaches_every_algorithm(algorithm: str) -> None:
    """An algorithm that refused the whole grid would pass every test above."""
    accepted = [problem for problem in grid.GRID if refusal(problem, algorithm) is None]
    assert len(accepted) >= 100
    assert {problem.dtype for problem in accepted} == {"f32", "f64"}


@pytest.mark.parametrize("pass_", PASSES)
def test_a_kernel_as_large_as_the_image_is_a_product_of_matrices(pass_: str) -> None:
    problem = conv2d(8, 6, (4, 5), (4, 5), n=3).on(pass_)
    last = replace(problem, input="nhwc", weight="nhwc", output="nhwc")
    assert [_C.plan(str(p))["algorithm"] for p in (problem, last)] == ["pointwise"] * 2


@pytest.mark.parametrize("pass_", PASSES)
def test_values_that_are_not_finite_go_where_they_belong(pass_: str) -> None:
    """One NaN in what is read reaches the results whose sums contain it, and no others."""
    problem = conv2d(4, 8, (9, 10), (3, 3), padding=grid.SAME).on(pass_)
    for algorithm in ALGORITHMS:
        if refusal(problem, algorithm) is not None:
            continue
        for isa in distinct_isas(problem, algorithm):
            operands, _ = given(problem, "integers")
            read = operands.output if pass_ == "input_grad" else operands.input
            kept = read[0, 1, 4, 5]
            read[0, 1, 4, 5] = np.nan
            (result,) = run(problem, operands, algorithm=algorithm, isa=isa)
            read[0, 1, 4, 5] = kept
            reached = np.isnan(result)
            if pass_ == "weight_grad":
                assert reached[:, 1].all() and reached.sum() == problem.oc * 9
            else:
                assert reached[0, :, 3:6, 4:7].all() and reached.sum() == reached.shape[1] * 9


@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("problem", grid.WIDE_DILATION, ids=lambda p: p.id)
def test_wide_dilation_multiplies_no_padding(problem: Problem, pass_: str) -> None:
    """Zero times infinity is NaN: an infinite weight or gradient of an output meets no padding.

    (But in the phases of a strided input gradient, which keep their taps.)"""
    problem = problem.on(pass_)
    if pass_ == "input_grad" and problem.stride_h > 1:
        return
    for isa in distinct_isas(problem, "dense"):
        operands = draw(problem, "positive")
        factor = operands.output if pass_ == "weight_grad" else operands.weight
        factor[0, 0, 0, 0] = np.inf
        (result,) = run(problem, operands, algorithm="dense", isa=isa)
        assert np.isfinite(result).any() and not np.isnan(result).any()


def test_an_unknown_algorithm_is_an_error() -> None:
    with pytest.raises(ValueError, match="no algorithm is called 'magic'"):
        _C.plan(str(conv2d(1, 1, (3, 3), (3, 3))), "", "magic")
