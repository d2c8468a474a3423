"""The pixel-stencil kernels, each by its name: as test_channel_kernels.py does with those on a panel.

Pixels that a run says to be outside the image are outside the memory too; lanes past the last channel hold
NaNs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from helpers.kernels import Kernel, integers, kernels, offsets, strided
from helpers.memory import SIDES, guarded

GAP = 77  # between the pixels of a result
RUNS = ((-2, 3), (0, 4), (1, 1), (-1, 2), (3, 4))  # the first pixel, and how many taps
TAP_STEP = 2
VECTORS = 8 * len(RUNS) + 1  # of a lane group, the last of which is the bias


class Case:
    """A row of an image, the runs as the kernel takes them, and which pixel and vector each tap means."""

    def __init__(self, rng: np.random.Generator, kernel: Kernel, side: str, channels: int) -> None:
        self.channels, width = channels, kernel.mr + 2
        self.groups = -(-channels // kernel.lanes)
        self.pixels = rng.integers(-4, 5, (width, channels)).astype(kernel.dtype)
        step = channels + 3
        self.x = guarded(strided(self.pixels, (step, 1)), side)
        rows = []
        for i, (first, taps) in enumerate(RUNS):
            inside = sum(1 << j for j in range(kernel.mr + taps - 1) if 0 <= first + j < width)
            rows.append((first * step, 8 * i * kernel.lanes, taps, inside))
        self.fields = {
            "x": self.x, "x_step": step, "runs": guarded(offsets(rows), side), "run_count": len(RUNS),
            "tap_step": TAP_STEP * kernel.lanes, "pitch": VECTORS * kernel.lanes, "y_step": step,
            "channels": channels,
        }  # fmt: skip
        # [vector, lane group and lane]: whole vectors, of which the last is only partly the channels'.
        self.vectors = integers(rng, kernel, side, self.groups, VECTORS, kernel.lanes)
        if channels % kernel.lanes:
            self.vectors[-1, :, channels % kernel.lanes :] = np.nan
        self.y_strides = (step, 1)

    def of_channels(self) -> np.ndarray:
        return self.vectors.transpose(1, 0, 2).reshape(VECTORS, -1)[:, : self.channels]

    def taps(self, columns: int) -> Iterator[tuple[int, np.ndarray]]:
        """The vector of each tap, and the pixels that it reads, zeros where there are none."""
        far = 8
        padded = np.pad(self.pixels, ((far, far), (0, 0)))
        for i, (first, taps) in enumerate(RUNS):
            for t in range(taps):
                yield 8 * i + t * TAP_STEP, padded[far + first + t :][:columns]


def cases(kernel: Kernel, side: str) -> Iterator[Case]:
    rng = np.random.default_rng(0)
    for channels in range(1, 2 * kernel.lanes + 2):
        yield Case(rng, kernel, side, channels)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("pixel_stencil"))
def test_correlate(kernel: Kernel, side: str) -> None:
    for case in cases(kernel, side):
        weight = case.of_channels()
        want = np.tile(weight[-1], (kernel.mr, 1))
        for vector, pixels in case.taps(kernel.mr):
            want += weight[vector] * pixels
        y = guarded(strided(np.full_like(want, np.nan), case.y_strides, GAP), side)
        bias = case.vectors[0, -1]
        kernel.run(**case.fields, weight=case.vectors, bias=bias, y=y)
        np.testing.assert_array_equal(y, strided(want, case.y_strides, GAP))


@pytest.mark.parametrize("bias", (False, True))
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("pixel_weight_grad"))
def test_weight_grad(kernel: Kernel, side: str, bias: bool) -> None:
    rng = np.random.default_rng(1)
    for case in cases(kernel, side):
        values = rng.integers(-4, 5, (kernel.mr, case.channels)).astype(kernel.dtype)
        want = case.of_channels().copy()
        for vector, pixels in case.taps(kernel.mr):
            want[vector] += (values * pixels).sum(axis=0)
        if bias:
            want[-1] += values.sum(axis=0)
        y = guarded(strided(values, case.y_strides), side)
        kernel.run(**case.fields, weight=case.vectors, bias=case.vectors[0, -1] if bias else 0, y=y)
        np.testing.assert_array_equal(case.of_channels(), want)
