"""Convolution by transforms: its kernels by their names, and its algorithm on long rows of taps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.kernels import Kernel, integers, kernels, nans
from helpers.memory import SIDES, guarded
from helpers.problem import PASSES, Operands, Problem, conv1d, conv2d, draw
from helpers.reference import Expected, check_rms, check_spread, unit_roundoff
from helpers.run import AVAILABLE_ISAS, run, torch_results

from convext import _C

# --- Kernels ----------------------------------------------------------------------------------------

POINTS = [2**i for i in range(2, 13)]


def roots(kernel: Kernel, side: str, points: int) -> np.ndarray:
    """exp(-2 pi i k / points), the parts of each side by side."""
    circle = np.exp(-2j * np.pi * np.arange(points) / points)
    return guarded(np.stack((circle.real, circle.imag), -1).astype(kernel.dtype), side)


def parts(values: np.ndarray, kernel: Kernel, side: str) -> np.ndarray:
    """Complex [point][lane] as the kernels keep it: [point][part][lane]."""
    return guarded(np.stack((values.real, values.imag), 1).astype(kernel.dtype), side)


def whole(block: np.ndarray) -> np.ndarray:
    return block[..., 0, :] + 1j * block[..., 1, :].astype(np.complex128)


def frequencies(kernel: Kernel, points: int) -> np.ndarray:
    """Which frequency forward() leaves where: of a signal that is 1 at point 1 they are the roots."""
    block = parts(np.eye(points, 1, -1) * np.ones(kernel.nr), kernel, "behind")
    Kernel(kernel.name.replace("backward", "forward")).run(
        block=block, points=points, roots=roots(kernel, "behind", points)
    )
    turns = np.angle(whole(block)[:, 0]) / (-2 * np.pi) * points
    return np.rint(turns).astype(int) % points


def signals(rng: np.random.Generator, points: int, lanes: int) -> np.ndarray:
    return rng.standard_normal((points, lanes)) + 1j * rng.standard_normal((points, lanes))


def close(result: np.ndarray, wanted: np.ndarray, kernel: Kernel) -> bool:
    """Within u log2(points) of the largest: an error of half a unit for each level."""
    bound = np.finfo(kernel.dtype).eps * np.log2(len(wanted)) * np.abs(wanted).max()
    return bool((np.abs(result - wanted) <= bound).all())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("fft_forward"))
def test_forward(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for points in POINTS:
        order = frequencies(kernel, points)
        assert sorted(order) == list(range(points))
        block = parts(signals(rng, points, kernel.nr), kernel, side)
        wanted = np.fft.fft(whole(block), axis=0)[order]
        kernel.run(block=block, points=points, roots=roots(kernel, side, points))
        assert close(whole(block), wanted, kernel)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("fft_backward"))
def test_backward(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for points in POINTS:
        block = parts(signals(rng, points, kernel.nr), kernel, side)
        spectrum = np.empty((points, kernel.nr), complex)
        spectrum[frequencies(kernel, points)] = whole(block)
        kernel.run(block=block, points=points, roots=roots(kernel, side, points))
        assert close(whole(block), points * np.fft.ifft(spectrum, axis=0), kernel)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("fft_multiply"))
def test_multiply(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for points, outputs, steps in ((1, 1, 1), (4, 2, 3), (3, 4, 1), (5, 7, 2), (2, 9, 4)):
        for accumulate in (False, True):
            z = integers(rng, kernel, side, steps, points, 2, kernel.nr)
            w = integers(rng, kernel, side, outputs, steps, 2, points)
            y = nans(kernel, side, outputs, points, 2, kernel.nr)
            if accumulate:
                y[...] = rng.integers(-4, 5, y.shape)
            wanted = np.einsum("skl,msk->mkl", whole(z), w[:, :, 0] + 1j * w[:, :, 1])
            wanted += whole(y) if accumulate else 0
            kernel.run(
                y=y, y_pitch=y[0].size, z=z, z_pitch=z[0].size, w=w, w_output=w[0].size, w_step=w[0, 0].size,
                outputs=outputs, steps=steps, points=points, accumulate=accumulate,
            )  # fmt: skip
            np.testing.assert_array_equal(whole(y), wanted)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("fft_correlate"))
def test_correlate(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for points in (1, 2, 5):
        for accumulate in (False, True):
            a, b = (integers(rng, kernel, side, points, 2, kernel.nr) for _ in range(2))
            c = nans(kernel, side, points, 2, kernel.nr)
            if accumulate:
                c[...] = rng.integers(-4, 5, c.shape)
            wanted = whole(a) * whole(b).conj() + (whole(c) if accumulate else 0)
            kernel.run(a=a, b=b, c=c, points=points, accumulate=accumulate)
            np.testing.assert_array_equal(whole(c), wanted)


# --- The algorithm ----------------------------------------------------------------------------------


def expect_1d(p: Problem, operands: Operands) -> Expected:
    """As helpers.reference.expect, row by row: its tables would not fit for rows of taps as long as these."""
    wide = np.float64 if p.dtype == "f32" else np.longdouble
    last = (p.ow - 1) + p.kw - 1 - p.pad_left  # the last input that a tap reads

    def convolve(x: np.ndarray, w: np.ndarray, y: np.ndarray) -> np.ndarray:
        pads = ((0, 0), (0, 0), (0, 0), (p.pad_left, max(0, last - p.iw + 1)))
        padded = np.pad(x, pads)[..., : p.ow + p.kw - 1]
        result = np.zeros({"output": y, "input_grad": padded, "weight_grad": w}[p.pass_].shape, wide)
        for n in range(p.n):
            for oc in range(p.oc):
                for c in range(p.ic // p.g):
                    ic = oc // (p.oc // p.g) * (p.ic // p.g) + c
                    for h in range(p.ih):
                        if p.pass_ == "output":
                            result[n, oc, h] += np.correlate(padded[n, ic, h], w[oc, c, 0])
                        elif p.pass_ == "input_grad":
                            result[n, ic, h] += np.convolve(y[n, oc, h], w[oc, c, 0])
                        else:
                            result[oc, c, 0] += np.correlate(padded[n, ic, h], y[n, oc, h])
        return result[..., p.pad_left : p.pad_left + p.iw] if p.pass_ == "input_grad" else result

    arrays = [a.astype(wide) for a in (operands.input, operands.weight, operands.output)]
    terms = np.maximum(np.rint(convolve(*(np.ones_like(a) for a in arrays))), 1)
    return Expected(convolve(*arrays), convolve(*map(np.abs, arrays)), terms.astype(float))


LONG = [
    conv1d(2, 2, 1500, 301, g=2, padding=(150, 150), n=3),
    conv1d(1, 1, 5000, 1025, padding=(512, 512)),
    conv1d(6, 10, 700, 129, g=2, padding=(128, 0), n=4),
    conv1d(2, 4, 3000, 2500, g=2, padding=(2499, 0)),  # taps in parts
    conv1d(3, 2, 2100, 1499),
    conv2d(3, 3, (5, 400), (1, 101), padding=((0, 0), (50, 50)), n=2),
]


@pytest.mark.parametrize("data", ("zero-mean", "positive"))
@pytest.mark.parametrize("dtype", ("f32", "f64"))
@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("problem", LONG, ids=lambda p: p.id)
def test_long_rows_of_taps(problem: Problem, pass_: str, dtype: str, data: str) -> None:
    problem = problem.on(pass_, dtype)
    operands = draw(problem, data)
    expected = expect_1d(problem, operands)
    (torchs,) = torch_results(problem, operands)
    for isa in AVAILABLE_ISAS:
        (result,) = run(problem, operands, algorithm="fft", isa=isa, threads=2)
        check_spread(result, expected, unit_roundoff(dtype))
        # Of positive numbers, the frequency 0 is so large that its rounding shows.
        check_rms(result, torchs, expected, 2 if data == "zero-mean" else 3)


@pytest.mark.parametrize("pass_", PASSES)
def test_it_is_chosen_where_taps_are_many_and_share_their_transforms(pass_: str) -> None:
    many = conv1d(16, 16, 16384, 1024, g=16, padding=(512, 512), n=4)
    assert _C.plan(str(many.on(pass_)))["algorithm"] == "fft"
    few_taps = replace(many, kw=31, ow=16384 + 1024 - 30)
    few_segments = conv1d(48, 48, 50, 40, n=1)
    for problem in (few_taps, few_segments):
        assert _C.plan(str(problem.on(pass_)))["algorithm"] != "fft"


@pytest.mark.parametrize("value", (np.nan, np.inf, -np.inf))
@pytest.mark.parametrize("isa", AVAILABLE_ISAS)
@pytest.mark.parametrize("pass_", PASSES)
def test_values_beyond_the_transform_go_where_they_belong(pass_: str, isa: str, value: float) -> None:
    """They reach the sums that contain them, and no others."""
    problem = conv1d(2, 2, 700, 65, g=2, padding=(32, 32), n=3).on(pass_)
    operands = draw(problem, "integers")
    read = operands.output if pass_ == "input_grad" else operands.input
    read[1, 1, 0, 300] = value
    (result,) = run(problem, operands, algorithm="fft", isa=isa)
    (direct,) = run(problem, operands, algorithm="depthwise", isa=isa)
    assert (~np.isfinite(direct)).sum() == 65
    np.testing.assert_allclose(result, direct, atol=1e-3)


@pytest.mark.parametrize("isa", AVAILABLE_ISAS)
def test_sums_of_a_transform_beyond_the_largest_number(isa: str) -> None:
    """Numbers that no tap brings together are summed in a transform all the same."""
    problem = conv1d(1, 1, 2000, 65, padding=(32, 32))
    operands = draw(problem, "integers")
    operands.input[..., ::70] = 2e38
    operands.weight[...] = np.where(operands.weight < 0, -1, 1)
    (result,) = run(problem, operands, algorithm="fft", isa=isa)
    (direct,) = run(problem, operands, algorithm="depthwise", isa=isa)
    np.testing.assert_array_equal(result, direct)


@pytest.mark.parametrize("n", (1, 2, 3))
@pytest.mark.parametrize("pass_", ("output", "input_grad"))
def test_images_do_not_disturb_each_other(pass_: str, n: int) -> None:
    problem = conv1d(2, 2, 700, 65, g=2, padding=(32, 32), n=n + 1).on(pass_)
    operands = draw(problem, "zero-mean")
    (before,) = run(problem, operands, algorithm="fft")
    (operands.output if pass_ == "input_grad" else operands.input)[n] *= 1e20
    (after,) = run(problem, operands, algorithm="fft")
    np.testing.assert_array_equal(before[:n], after[:n])
