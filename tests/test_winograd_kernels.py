"""The Winograd transforms, each by its name, against the matrices of their definition."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.kernels import Kernel, kernels, nans
from helpers.memory import SIDES, guarded
from numpy.polynomial import polynomial

POINTS = np.array([0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)])  # and infinity
TAPS, OUTPUTS, INPUTS = 3, 4, 6
TILE = np.dtype([("source", "i8"), ("destination", "i8"), ("rows", "i4"), ("cols", "i4")])


def matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Toom and Cook's product of polynomials, transposed into a filter (Winograd 1980)."""
    others = [np.delete(POINTS, i) for i in range(len(POINTS))]
    scale = [np.prod(p - q) for p, q in zip(POINTS, others, strict=True)]
    source = np.zeros((INPUTS, INPUTS))
    for row, roots in zip(source, [*others, POINTS], strict=True):
        row[: len(roots) + 1] = polynomial.polyfromroots(roots)
    filter_ = np.vander(POINTS, TAPS, increasing=True) / np.array(scale)[:, None]
    destination = np.vander(POINTS, OUTPUTS, increasing=True).T
    return (
        source,
        np.vstack([filter_, np.eye(TAPS)[-1]]),
        np.hstack([destination, np.eye(OUTPUTS)[:, -1:]]),
    )


SOURCE, FILTER, DESTINATION = matrices()


def test_the_matrices_filter() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(INPUTS), rng.standard_normal(TAPS)
    np.testing.assert_allclose(DESTINATION @ ((FILTER @ w) * (SOURCE @ x)), np.correlate(x, w), rtol=1e-12)


def along(kernel: Kernel, matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The matrix along w and, by the kernels for square tiles, along h of (..., h, w, lane)."""
    rows = matrix if kernel.mr > 1 else np.eye(x.shape[-3])
    return np.einsum("ij,lk,...jkv->...ilv", rows, matrix, x.astype(np.float64))


def check(kernel: Kernel, result: np.ndarray, want: np.ndarray) -> None:
    """A transform is a few additions of numbers near 1."""
    assert not np.isnan(want).any()
    np.testing.assert_allclose(result, want, rtol=0, atol=64 * np.finfo(kernel.dtype).eps)


def random(rng: np.random.Generator, kernel: Kernel, side: str, *shape: int) -> np.ndarray:
    return guarded(rng.uniform(-1, 1, shape).astype(kernel.dtype), side)


def check_tiles(kernel: Kernel, side: str, matrix: np.ndarray) -> None:
    """The kernels that bring tiles, as large as the matrix is wide, to frequencies."""
    rng = np.random.default_rng(0)
    size = matrix.shape[1]
    rows = size if kernel.mr > 1 else 1
    for count, step_h, step_w in ((1, 1, 1), (3, 1, 1), (2, 2, 3)):
        height, width = (rows - 1) * step_h + 1, (size - 1) * step_w + count
        x = random(rng, kernel, side, height, width, kernel.lanes)
        tiles = np.zeros(count, TILE)
        tiles["source"] = np.arange(count)[::-1] * kernel.lanes  # tiles lie where the list says
        v = nans(kernel, side, (INPUTS if kernel.mr > 1 else 1) * INPUTS, count, kernel.lanes)
        kernel.run(
            x=x, x_h=step_h * width * kernel.lanes, x_w=step_w * kernel.lanes, tiles=guarded(tiles, side),
            count=count, v=v, v_tile=kernel.lanes, v_frequency=count * kernel.lanes,
        )  # fmt: skip
        for t in range(count):
            first = count - 1 - t
            tile = x[::step_h, first : first + (size - 1) * step_w + 1 : step_w]
            check(kernel, v[:, t], along(kernel, matrix, tile).reshape(-1, kernel.lanes))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("winograd_source"))
def test_source(kernel: Kernel, side: str) -> None:
    check_tiles(kernel, side, SOURCE)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("winograd_gradient"))
def test_gradient(kernel: Kernel, side: str) -> None:
    check_tiles(kernel, side, DESTINATION.T)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("winograd_filter_grad"))
def test_filter_grad(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    rows, most = (INPUTS, TAPS) if kernel.mr > 1 else (1, 1)
    for taps_h in range(1, most + 1):
        for taps_w in range(1, TAPS + 1):
            count = taps_h + taps_w
            u = random(rng, kernel, side, rows * INPUTS, count, kernel.lanes)
            w = nans(kernel, side, taps_h, taps_w, count, kernel.lanes)
            check_ = guarded(np.zeros(kernel.lanes, kernel.dtype), side)
            kernel.run(
                u=u, u_filter=kernel.lanes, u_frequency=count * kernel.lanes, count=count,
                w=w, w_filter=kernel.lanes, w_h=taps_w * count * kernel.lanes, w_w=count * kernel.lanes,
                taps_h=taps_h, taps_w=taps_w, check=check_,
            )  # fmt: skip
            frequencies = u.swapaxes(0, 1).reshape(count, rows, INPUTS, kernel.lanes)
            want = along(kernel, FILTER.T, frequencies)[:, :taps_h, :taps_w]
            check(kernel, w, want.transpose(1, 2, 0, 3))
            assert (check_ == 0).all()
            u[0, count - 1, 0] = np.nan
            kernel.run(
                u=u, u_filter=kernel.lanes, u_frequency=count * kernel.lanes, count=count,
                w=w, w_filter=kernel.lanes, w_h=taps_w * count * kernel.lanes, w_w=count * kernel.lanes,
                taps_h=taps_h, taps_w=taps_w, check=check_,
            )  # fmt: skip
            assert (np.isnan(check_) == (np.arange(kernel.lanes) == 0)).all()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("winograd_filter"))
def test_filter(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    rows = INPUTS if kernel.mr > 1 else 1
    for taps_h in range(1, TAPS + 1 if kernel.mr > 1 else 2):
        for taps_w in range(1, TAPS + 1):
            count = taps_h + taps_w
            w = random(rng, kernel, side, count, taps_h, taps_w, kernel.lanes)
            u = nans(kernel, side, rows * INPUTS, count, kernel.lanes)
            kernel.run(
                w=w, w_filter=taps_h * taps_w * kernel.lanes, w_h=taps_w * kernel.lanes, w_w=kernel.lanes,
                taps_h=taps_h, taps_w=taps_w, count=count,
                u=u, u_filter=kernel.lanes, u_frequency=count * kernel.lanes,
            )  # fmt: skip
            whole = np.zeros((count, TAPS if kernel.mr > 1 else 1, TAPS, kernel.lanes))
            whole[:, :taps_h, :taps_w] = w
            check(kernel, u, along(kernel, FILTER, whole).reshape(count, -1, kernel.lanes).swapaxes(0, 1))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("winograd_destination"))
def test_destination(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    points, outputs = (INPUTS, OUTPUTS) if kernel.mr > 1 else (1, 1)
    sizes = [(rows, cols) for rows in range(1, outputs + 1) for cols in range(1, OUTPUTS + 1)]
    count, lanes = len(sizes), kernel.lanes
    m = random(rng, kernel, side, points * INPUTS, count, lanes)
    bias = random(rng, kernel, side, lanes)
    tiles = np.zeros(count, TILE)
    tiles["destination"] = np.arange(count) * outputs * OUTPUTS * lanes
    tiles["rows"], tiles["cols"] = np.transpose(sizes)
    want = along(kernel, DESTINATION, m.swapaxes(0, 1).reshape(count, points, INPUTS, lanes)) + bias
    for infinite in (False, True):
        y = guarded(np.full((count, outputs, OUTPUTS, lanes), 77, kernel.dtype), side)
        check_ = guarded(np.zeros(lanes, kernel.dtype), side)
        if infinite:
            m[0, 0, 1] = np.inf
        kernel.run(
            m=m, m_tile=lanes, m_frequency=count * lanes, tiles=guarded(tiles, side), count=count, bias=bias,
            y=y, y_h=OUTPUTS * lanes, y_w=lanes, check=check_,
        )  # fmt: skip
        assert (np.isnan(check_) == (infinite & (np.arange(lanes) == 1))).all()
        for t, (rows, cols) in enumerate(sizes):
            assert (y[t, rows:] == 77).all() and (y[t, :, cols:] == 77).all()
            if not infinite:
                check(kernel, y[t, :rows, :cols], want[t, :rows, :cols])
