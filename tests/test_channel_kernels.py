"""The micro-kernels with channels in the lanes, each by its name: as test_kernels.py does with the others.

Pixels of ``x`` are whole vectors; here NaNs fill the lanes that belong to no channel, and must stay there.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from helpers.kernels import Kernel, integers, kernels, nans, offsets, strided
from helpers.memory import SIDES, guarded

GAP = 77  # between the pixels of a result


def tails(kernel: Kernel) -> Iterator[tuple[int, int, int]]:
    """Channels, columns and the step from pixel to pixel: every number of channels in a vector, with pixels
    that adjoin and pixels that do not."""
    for columns in range(1, 2 * kernel.lanes + 2):
        gaps, channel = divmod(columns - 1, kernel.lanes)
        yield channel + 1, columns, channel + 1 + 3 * gaps


def vectors(rng: np.random.Generator, kernel: Kernel, side: str, count: int, channels: int) -> np.ndarray:
    x = integers(rng, kernel, side, count, kernel.lanes)
    x[:, channels:] = np.nan
    return x


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("channel_stencil"))
def test_correlate(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    runs = ((0, 3), (5, 4), (2, 1), (9, 2), (4, 4))  # the first pixel, and how many taps
    first_tap = np.cumsum([0, *(taps for _, taps in runs)])
    rows = ((0, 5), (1, 4), (2, 2), (3, 5))  # the runs of each; none: the bias alone
    pitch = 7
    pixels = max(
        r * pitch + at + taps - 1 + kernel.mr for r, row in enumerate(rows) for at, taps in runs[slice(*row)]
    )
    for channels, _, step in tails(kernel):
        x = vectors(rng, kernel, side, pixels, channels)
        weight = vectors(rng, kernel, side, first_tap[-1], channels)
        bias = vectors(rng, kernel, side, 1, channels)
        want = np.tile(bias[0, :channels], (len(rows), kernel.mr, 1))
        for r, (first, last) in enumerate(rows):
            for (at, taps), tap in zip(runs[first:last], first_tap[first:last], strict=True):
                for t in range(taps):
                    want[r] += (weight[tap + t] * x[r * pitch + at + t :][: kernel.mr])[:, :channels]
        strides = (kernel.mr * step + 5, step, 1)
        y = guarded(strided(np.full_like(want, np.nan), strides, GAP), side)
        kernel.run(
            x=x, x_pitch=pitch * kernel.lanes, runs=guarded(offsets(runs) * (kernel.lanes, 1), side),
            row_runs=guarded(offsets([(*row, first_tap[row[0]]) for row in rows]), side),
            weight=weight, bias=bias, y=y, y_pitch=strides[0], y_step=step, rows=len(rows), channels=channels,
        )  # fmt: skip
        np.testing.assert_array_equal(y, strided(want, strides, GAP))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("channel_weight_grad"))
def test_weight_grad(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for channels, columns, step in tails(kernel):
        rows, pitch = 1 + columns % 3, columns + 1
        at = rng.permutation(kernel.mr) * 2
        x = vectors(rng, kernel, side, at.max() + (rows - 1) * pitch + columns, channels)
        values = rng.integers(-4, 5, (rows, columns, channels)).astype(kernel.dtype)
        total = vectors(rng, kernel, side, kernel.mr, channels)
        want = total[:, :channels].copy()
        for r in range(rows):
            for t in range(kernel.mr):
                want[t] += (values[r] * x[at[t] + r * pitch :][:columns, :channels]).sum(axis=0)
        y_pitch = columns * step + 5
        kernel.run(
            x=x, x_pitch=pitch * kernel.lanes, offset=guarded(at * kernel.lanes, side),
            y=guarded(strided(values, (y_pitch, step, 1)), side), y_pitch=y_pitch, y_step=step,
            rows=rows, columns=columns, channels=channels, sum=total,
        )  # fmt: skip
        np.testing.assert_array_equal(total[:, :channels], want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("channel_bias_grad"))
def test_bias_grad(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for channels, columns, step in tails(kernel):
        rows = 1 + columns % 3
        values = rng.integers(-4, 5, (rows, columns, channels)).astype(kernel.dtype)
        total = vectors(rng, kernel, side, 1, channels)
        want = total[0, :channels] + values.sum(axis=(0, 1))
        y_pitch = columns * step + 5
        kernel.run(
            y=guarded(strided(values, (y_pitch, step, 1)), side), y_pitch=y_pitch, y_step=step,
            rows=rows, columns=columns, channels=channels, sum=total,
        )  # fmt: skip
        np.testing.assert_array_equal(total[0, :channels], want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("channel_spread"))
def test_spread(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for channels, columns, step in tails(kernel):
        values = rng.integers(-4, 5, (columns, channels)).astype(kernel.dtype)
        order = rng.permutation(columns)
        # A NaN lies between the vectors.
        x = nans(kernel, side, columns * (kernel.lanes + 1) - 1)
        kernel.run(
            x=x, place=guarded(np.argsort(order) * (kernel.lanes + 1), side),
            y=guarded(strided(values, (step, 1), GAP), side), y_step=step, columns=columns, channels=channels,
        )  # fmt: skip
        got = np.append(x, np.nan).reshape(columns, kernel.lanes + 1)
        np.testing.assert_array_equal(got[:, :channels], values[order])
        assert np.isnan(got[:, kernel.lanes]).all()
