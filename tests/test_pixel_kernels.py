"""The pixel-stencil kernels, each by its name: as test_channel_kernels.py does with those on a panel.

Pixels that a run says to be outside the image are outside the memory too; lanes past the last channel hold
NaNs. Of groups of several channels one holds an infinity, which no other may meet.
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
TAPS = 8 * len(RUNS)  # that a lane group has room for; the bias follows them
GROUPS = (1, 2, 4, 8, 16)


class Case:
    """A row of an image, the runs as the kernel takes them, and which pixel and vector each tap means."""

    def __init__(
        self, rng: np.random.Generator, kernel: Kernel, side: str, channels: int, group: int
    ) -> None:
        self.channels, self.group, width = channels, group, kernel.mr + 2
        self.vectors_of_lanes = TAPS * group + 1
        self.groups = -(-channels // kernel.lanes)
        self.pixels = rng.integers(-4, 5, (width, channels)).astype(kernel.dtype)
        if group > 1:
            self.pixels[1, 0] = np.inf
        step = channels + 3
        self.x = guarded(strided(self.pixels, (step, 1)), side)
        rows = []
        for i, (first, taps) in enumerate(RUNS):
            inside = sum(1 << j for j in range(kernel.mr + taps - 1) if 0 <= first + j < width)
            rows.append((first * step, 8 * i * group * kernel.lanes, taps, inside))
        self.fields = {
            "x": self.x, "x_step": step, "runs": guarded(offsets(rows), side), "run_count": len(RUNS),
            "tap_step": TAP_STEP * group * kernel.lanes, "pitch": self.vectors_of_lanes * kernel.lanes,
            "y_step": step, "channels": channels, "group": group,
        }  # fmt: skip
        # [vector, lane group and lane]: whole vectors, of which the last is only partly the channels'.
        self.vectors = integers(rng, kernel, side, self.groups, self.vectors_of_lanes, kernel.lanes)
        if channels % kernel.lanes:
            self.vectors[-1, :, channels % kernel.lanes :] = np.nan
        self.y_strides = (step, 1)

    def of_channels(self) -> np.ndarray:
        return self.vectors.transpose(1, 0, 2).reshape(self.vectors_of_lanes, -1)[:, : self.channels]

    def taps(self, columns: int) -> Iterator[tuple[int, np.ndarray]]:
        """Each vector of a tap, and what it is multiplied by: zeros where there are no pixels."""
        far = 8
        padded = np.pad(self.pixels, ((far, far), (0, 0)))
        for i, (first, taps) in enumerate(RUNS):
            for t in range(taps):
                for j in range(self.group):
                    of_group = np.arange(self.channels) // self.group * self.group + j
                    columns_of_tap = padded[far + first + t :][:columns]
                    yield (8 * i + t * TAP_STEP) * self.group + j, columns_of_tap[:, of_group]


def cases(kernel: Kernel, side: str, group: int) -> Iterator[Case]:
    rng = np.random.default_rng(0)
    for channels in range(group, 2 * max(kernel.lanes, group) + 2, group):
        yield Case(rng, kernel, side, channels, group)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("pixel_stencil"))
def test_correlate(kernel: Kernel, side: str, group: int) -> None:
    for case in cases(kernel, side, group):
        weight = case.of_channels()
        want = np.tile(weight[-1], (kernel.mr, 1))
        for vector, pixels in case.taps(kernel.mr):
            want += weight[vector] * pixels
        y = guarded(strided(np.full_like(want, np.nan), case.y_strides, GAP), side)
        bias = case.vectors[0, -1]
        kernel.run(**case.fields, weight=case.vectors, bias=bias, y=y)
        np.testing.assert_array_equal(y, strided(want, case.y_strides, GAP))


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("bias", (False, True))
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("pixel_weight_grad"))
def test_weight_grad(kernel: Kernel, side: str, bias: bool, group: int) -> None:
    rng = np.random.default_rng(1)
    for case in cases(kernel, side, group):
        values = rng.integers(-4, 5, (kernel.mr, case.channels)).astype(kernel.dtype)
        want = case.of_channels().copy()
        for vector, pixels in case.taps(kernel.mr):
            want[vector] += (values * pixels).sum(axis=0)
        if bias:
            want[-1] += values.sum(axis=0)
        y = guarded(strided(values, case.y_strides), side)
        kernel.run(**case.fields, weight=case.vectors, bias=case.vectors[0, -1] if bias else 0, y=y)
        np.testing.assert_array_equal(case.of_channels(), want)
