"""The Winograd transforms, each by its name, against the matrices of their definition."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from helpers.kernels import Kernel, kernels, nans
from helpers.memory import SIDES, guarded
from numpy.polynomial import polynomial

POINTS = {
    2: [0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)],
    3: [0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)],
    4: [0.35, -0.35, 0.8, -0.8, 1.8, -1.8],
}
OUTPUTS = {1: 1, 2: 4, 3: 4, 4: 4}
TILE = np.dtype([("source", "i8"), ("destination", "i8"), ("rows", "i4"), ("cols", "i4")])


class Transform(NamedTuple):
    """The matrices along an axis of a filter with some taps: to the frequencies, and back."""

    source: np.ndarray
    filter: np.ndarray
    destination: np.ndarray


def transform(taps: int) -> Transform:
    """Toom and Cook's product of polynomials, transposed into a filter (Winograd 1980)."""
    if taps == 1:
        return Transform(np.eye(1), np.eye(1), np.eye(1))
    points, inputs = np.array(POINTS[taps]), OUTPUTS[taps] + taps - 1  # and infinity
    others = [np.delete(points, i) for i in range(len(points))]
    scale = [np.prod(p - q) for p, q in zip(points, others, strict=True)]
    source = np.zeros((inputs, inputs))
    for row, roots in zip(source, [*others, points], strict=True):
        row[: len(roots) + 1] = polynomial.polyfromroots(roots)
    filter_ = np.vander(points, taps, increasing=True) / np.array(scale)[:, None]
    destination = np.vander(points, OUTPUTS[taps], increasing=True).T
    return Transform(
        source,
        np.vstack([filter_, np.eye(taps)[-1]]),
        np.hstack([destination, np.eye(OUTPUTS[taps])[:, -1:]]),
    )


@pytest.mark.parametrize("taps", OUTPUTS)
def test_the_matrices_filter(taps: int) -> None:
    rng = np.random.default_rng(0)
    t = transform(taps)
    x, w = rng.standard_normal(len(t.source)), rng.standard_normal(taps)
    np.testing.assert_allclose(
        t.destination @ ((t.filter @ w) * (t.source @ x)), np.correlate(x, w), rtol=1e-12
    )


def along(h: np.ndarray, w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A matrix along h and one along w of (..., h, w, lane)."""
    return np.einsum("ij,lk,...jkv->...ilv", h, w, x.astype(np.float64))


class Transformed(NamedTuple):
    """A matrix along h and one along w of (..., h, w, lane), and the same of all magnitudes."""

    values: np.ndarray
    magnitudes: np.ndarray

    @classmethod
    def of(cls, h: np.ndarray, w: np.ndarray, x: np.ndarray) -> Transformed:
        return cls(along(h, w, x), along(abs(h), abs(w), abs(x)))


def check(kernel: Kernel, result: np.ndarray, want: Transformed) -> None:
    """Numbers of the matrices, products and sums are rounded, along both axes."""
    roundings, error = 8, abs(result.reshape(want.values.shape) - want.values)
    assert (error <= roundings * np.finfo(kernel.dtype).eps * want.magnitudes).all()


def random(rng: np.random.Generator, kernel: Kernel, side: str, *shape: int) -> np.ndarray:
    return guarded(rng.uniform(-1, 1, shape).astype(kernel.dtype), side)


def check_tiles(kernel: Kernel, side: str, place: str, h: np.ndarray, w: np.ndarray) -> None:
    """The kernels that bring tiles, as large as the matrices are wide, from their `place` to frequencies."""
    rng = np.random.default_rng(0)
    rows, cols = h.shape[1], w.shape[1]
    for count, step_h, step_w in ((1, 1, 1), (3, 1, 1), (2, 2, 3)):
        height, width = (rows - 1) * step_h + 1, (cols - 1) * step_w + count
        x = random(rng, kernel, side, height, width, kernel.lanes)
        tiles = np.zeros(count, TILE)
        tiles[place] = np.arange(count)[::-1] * kernel.lanes  # tiles lie where the list says
        tiles["rows"], tiles["cols"] = rows, cols
        v = nans(kernel, side, len(h) * len(w), count, kernel.lanes)
        kernel.run(
            x=x, x_h=step_h * width * kernel.lanes, x_w=step_w * kernel.lanes, tiles=guarded(tiles, side),
            count=count, v=v, v_tile=kernel.lanes, v_frequency=count * kernel.lanes,
        )  # fmt: skip
        for t in range(count):
            first = count - 1 - t
            tile = x[::step_h, first : first + (cols - 1) * step_w + 1 : step_w]
            check(kernel, v[:, t], Transformed.of(h, w, tile))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("winograd_source"))
def test_source(kernel: Kernel, side: str) -> None:
    check_tiles(kernel, side, "source", transform(kernel.mr).source, transform(kernel.nr).source)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("winograd_gradient"))
def test_gradient(kernel: Kernel, side: str) -> None:
    h, w = (transform(taps).destination.T for taps in (kernel.mr, kernel.nr))
    for rows in range(1, h.shape[1] + 1):
        for cols in range(1, w.shape[1] + 1):
            check_tiles(kernel, side, "destination", h[:, :rows], w[:, :cols])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("winograd_filter_grad"))
def test_filter_grad(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    h, w_ = transform(kernel.mr).filter, transform(kernel.nr).filter
    for taps_h in range(1, kernel.mr + 1):
        for taps_w in range(1, kernel.nr + 1):
            count = taps_h + taps_w
            u = random(rng, kernel, side, len(h) * len(w_), count, kernel.lanes)
            w = nans(kernel, side, taps_h, taps_w, count, kernel.lanes)
            check_ = guarded(np.zeros(kernel.lanes, kernel.dtype), side)
            kernel.run(
                u=u, u_filter=kernel.lanes, u_frequency=count * kernel.lanes, count=count,
                w=w, w_filter=kernel.lanes, w_h=taps_w * count * kernel.lanes, w_w=count * kernel.lanes,
                taps_h=taps_h, taps_w=taps_w, check=check_,
            )  # fmt: skip
            frequencies = u.swapaxes(0, 1).reshape(count, len(h), len(w_), kernel.lanes)
            want = Transformed.of(h[:, :taps_h].T, w_[:, :taps_w].T, frequencies)
            check(kernel, w.transpose(2, 0, 1, 3), want)
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
    h, w_ = transform(kernel.mr).filter, transform(kernel.nr).filter
    for taps_h in range(1, kernel.mr + 1):
        for taps_w in range(1, kernel.nr + 1):
            count = taps_h + taps_w
            w = random(rng, kernel, side, count, taps_h, taps_w, kernel.lanes)
            u = nans(kernel, side, len(h) * len(w_), count, kernel.lanes)
            kernel.run(
                w=w, w_filter=taps_h * taps_w * kernel.lanes, w_h=taps_w * kernel.lanes, w_w=kernel.lanes,
                taps_h=taps_h, taps_w=taps_w, count=count,
                u=u, u_filter=kernel.lanes, u_frequency=count * kernel.lanes,
            )  # fmt: skip
            whole = np.zeros((count, kernel.mr, kernel.nr, kernel.lanes))
            whole[:, :taps_h, :taps_w] = w
            check(kernel, u.swapaxes(0, 1), Transformed.of(h, w_, whole))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("winograd_destination"))
def test_destination(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    h, w = transform(kernel.mr).destination, transform(kernel.nr).destination
    sizes = [(rows, cols) for rows in range(1, len(h) + 1) for cols in range(1, len(w) + 1)]
    count, lanes = len(sizes), kernel.lanes
    m = random(rng, kernel, side, h.shape[1] * w.shape[1], count, lanes)
    bias = random(rng, kernel, side, lanes)
    tiles = np.zeros(count, TILE)
    tiles["destination"] = np.arange(count) * len(h) * len(w) * lanes
    tiles["rows"], tiles["cols"] = np.transpose(sizes)
    want = Transformed.of(h, w, m.swapaxes(0, 1).reshape(count, h.shape[1], w.shape[1], lanes))
    for t, (rows, cols) in enumerate(sizes):  # tiles without a fourth output have no value at infinity
        at = m.reshape(h.shape[1], w.shape[1], count, lanes)[:, :, t]
        at[-1 if rows < len(h) else len(at) :] = np.nan
        at[:, -1 if cols < len(w) else at.shape[1] :] = np.nan
    for added in (False, True):
        for infinite in (False, True):
            y = guarded(np.full((count, len(h), len(w), lanes), 2, kernel.dtype), side)
            check_ = guarded(np.zeros(lanes, kernel.dtype), side)
            first = m[0, 0, 1]
            if infinite:
                m[0, 0, 1] = np.inf
            kernel.run(
                m=m, m_tile=lanes, m_frequency=count * lanes, tiles=guarded(tiles, side), count=count,
                bias=0 if added else bias, y=y, y_h=len(w) * lanes, y_w=lanes, check=check_,
            )  # fmt: skip
            m[0, 0, 1] = first
            assert (np.isnan(check_) == (infinite & (np.arange(lanes) == 1))).all()
            for t, (rows, cols) in enumerate(sizes):
                assert (y[t, rows:] == 2).all() and (y[t, :, cols:] == 2).all()
                if not infinite:
                    before = 2 if added else bias
                    values, magnitudes = (a[t, :rows, :cols] for a in want)
                    check(kernel, y[t, :rows, :cols], Transformed(values + before, magnitudes + abs(before)))
