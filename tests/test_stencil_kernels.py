"""The stencil kernels of depthwise planes by their names, as test_kernels.py tests the others."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.kernels import Kernel, integers, kernels, nans, offsets
from helpers.memory import SIDES

from convext import _C


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("stencil"))
def test_stencil(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    taps_h, taps_w = 3, 2
    for columns in range(1, 2 * kernel.nr + 2):
        for rows in {1, 2, 1 + columns % 13, kernel.mr, 2 * kernel.mr + 1}:
            width = columns + taps_w - 1
            x = integers(rng, kernel, side, rows + taps_h - 1, width)
            weight = integers(rng, kernel, side, taps_h, taps_w)
            offset = offsets([h * width + w for h in range(taps_h) for w in range(taps_w)])
            accumulate = (rows + columns) % 2 == 0
            y = nans(kernel, side, rows, columns)
            if accumulate:
                y[...] = rng.integers(-4, 5, y.shape)
            want = y.copy() if accumulate else np.full(y.shape, 3, kernel.dtype)
            for h in range(taps_h):
                for w in range(taps_w):
                    want += weight[h, w] * x[h:, w:][:rows, :columns]
            kernel.run(
                x=x, x_pitch=width, x_step=1, offset=offset, weight=weight, taps=taps_h * taps_w,
                y=y, y_pitch=columns, y_step=1, rows=rows, columns=columns, bias=3, accumulate=accumulate,
            )  # fmt: skip
            np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("stencil"))
def test_stencil_at_the_edges(kernel: Kernel, side: str) -> None:
    """Taps beyond the rows of x read zeros, however far beyond."""
    rng = np.random.default_rng(0)
    far = 3 * kernel.lanes
    for columns, step in itertools.product(range(1, 2 * kernel.nr + 2), (1, 2)):
        width, rows = max(1, columns * step + int(rng.integers(-3, 4))), 1 + columns % 5
        for column in ((-1, 0, 1), (0, 1), (-2 * kernel.lanes - 3, -kernel.lanes, kernel.lanes + 2)):
            x = integers(rng, kernel, side, rows, width)
            weight = integers(rng, kernel, side, len(column))
            y = nans(kernel, side, rows, columns)
            padded = np.pad(x, ((0, 0), (far, 2 * columns + far)))
            want = 3 + sum(
                w * padded[:, far + c :: step][:, :columns] for w, c in zip(weight, column, strict=True)
            )
            kernel.run(
                x=x, x_pitch=width, x_step=step, offset=offsets(column), column=offsets(column), width=width,
                weight=weight, taps=len(column), y=y, y_pitch=columns, y_step=1,
                rows=rows, columns=columns, bias=3,
            )  # fmt: skip
            np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("stencil"))
def test_stencil_of_two_phases(kernel: Kernel, side: str) -> None:
    """The columns of y alternate between two lists of taps."""
    rng = np.random.default_rng(0)
    far = 3 * kernel.lanes
    phases = (
        ((-1, 0), (0,)),
        ((0,), (0, 1)),
        ((), (-1, 0, 1)),
        ((-2 * kernel.lanes - 3, 1), (kernel.lanes + 2,)),
    )
    for columns, (even, odd) in itertools.product(range(1, 2 * kernel.nr + 2), phases):
        half, rows = (columns + 1) // 2, 1 + columns % 9
        width = max(1, half + int(rng.integers(-3, 4)))
        x = integers(rng, kernel, side, rows, width)
        weights = [integers(rng, kernel, side, len(column)) for column in (even, odd)]
        y = nans(kernel, side, rows, columns)
        padded = np.pad(x, ((0, 0), (far, half + far)))
        want = np.full((rows, 2 * half), 3, kernel.dtype)
        for p, column in enumerate((even, odd)):
            for w, c in zip(weights[p], column, strict=True):
                want[:, p::2] += w * padded[:, far + c :][:, :half]
        kernel.run(
            x=x, x_pitch=width, x_step=1, width=width, offset=offsets(even), column=offsets(even),
            weight=weights[0], taps=len(even), odd_offset=offsets(odd), odd_column=offsets(odd),
            odd_weight=weights[1], odd_taps=len(odd), y=y, y_pitch=columns, y_step=2,
            rows=rows, columns=columns, bias=3,
        )  # fmt: skip
        np.testing.assert_array_equal(y, want[:, :columns])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("stencil_rows"))
def test_stencil_rows(kernel: Kernel, side: str) -> None:
    """Rows and columns of taps inside x, at its edges and far outside, taps forwards and backwards."""
    rng = np.random.default_rng(0)
    far = 3 * kernel.lanes
    most = _C.stencil_row_taps(kernel.isa, 1)
    for columns, taps_h in itertools.product(range(1, 2 * kernel.nr + 2), (1, 2, 3, 4, 5, 7)):
        rows, top = 1 + (columns + taps_h) % 19, int(rng.integers(-3, 4))
        height = max(1, rows + taps_h - 1 + int(rng.integers(-3, 4)))
        width = max(1, columns + int(rng.integers(-3, 4)))
        for column in ((-1, 0, 1), (0, 1), (-2 * kernel.lanes - 3, -kernel.lanes, kernel.lanes + 2)):
            x = integers(rng, kernel, side, height, width)
            weight = integers(rng, kernel, side, taps_h, len(column))
            y = nans(kernel, side, rows, columns)
            padded = np.pad(x, ((3, rows + taps_h + 3), (far, far + columns + 4)))
            want = np.full(y.shape, 3, kernel.dtype)
            for h in range(taps_h):
                for w, c in enumerate(column):
                    want += weight[h, w] * padded[3 + top + h :, far + c :][:rows, :columns]
            groups = [
                ((top + h) * width, h * len(column), min(most, taps_h - h), -top - h, height - top - h)
                for h in range(0, taps_h, most)
            ]
            kernel.run(
                x=x, x_pitch=width, width=width, row_taps=offsets(groups), groups=len(groups),
                column=offsets(column), taps=len(column), weight=weight, weight_h=len(column), weight_w=1,
                y=y, y_pitch=columns, rows=rows, columns=columns, bias=3, spread=1, stride=1, above=0,
            )  # fmt: skip
            np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("stencil_rows"))
def test_stencil_rows_that_a_vector_holds(kernel: Kernel, side: str) -> None:
    """As many rows of taps as columns, the weights in either order, side by side and apart."""
    rng = np.random.default_rng(0)
    lanes = kernel.lanes
    for columns, taps in itertools.product(range(1, lanes + 1), (3, 5, 7)):
        if taps > _C.stencil_row_taps(kernel.isa, 1):
            continue
        for step, apart, dilation in ((1, taps, 1), (-1, -taps, 1), (1, taps + 1, 2), (-2, 2 * taps, 1)):
            width = int(rng.integers(1, lanes + 1))
            rows, top = 1 + int(rng.integers(0, 40)), int(rng.integers(-4, 3))
            left = int(rng.choice((*range(-4, 3), -lanes - 1, lanes + 2)))
            height = max(1, rows + taps - 1 + int(rng.integers(-5, 4)))
            x = integers(rng, kernel, side, height, width)
            tap = np.arange(taps)
            place = apart * tap[:, None] + step * tap
            weight = integers(rng, kernel, side, int(np.ptp(place)) + 1)
            y = nans(kernel, side, rows, columns)
            far = 2 * lanes
            padded = np.pad(x, ((4, rows + taps + 4), (far, far + columns + dilation * taps)))
            want = np.full(y.shape, 3, kernel.dtype)
            for h, w in itertools.product(tap, tap):
                moved = padded[4 + top + h :, far + left + dilation * w :][:rows, :columns]
                want += weight[place[h, w] - place.min()] * moved
            kernel.run(
                x=x, x_pitch=width, width=width, groups=1, taps=taps,
                row_taps=offsets([(top * width, -int(place.min()), taps, -top, height - top)]),
                column=offsets(left + dilation * tap), weight=weight, weight_h=apart, weight_w=step,
                y=y, y_pitch=columns, rows=rows, columns=columns, bias=3, spread=1, stride=1, above=0,
            )  # fmt: skip
            np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("stencil_rows"))
def test_stencil_rows_spread(kernel: Kernel, side: str) -> None:
    """Zeros between the numbers of x: rows and columns of y begin in either phase, at edges and outside."""
    rng = np.random.default_rng(0)
    most = _C.stencil_row_taps(kernel.isa, 1) // 2 * 2
    for columns, taps_h in itertools.product(range(1, 2 * kernel.nr + 2), (1, 2, 3, 4, 5, 7)):
        rows, taps_w = 1 + (columns + taps_h) % 19, 1 + columns % 4
        height, width = (max(1, n // 2 + int(rng.integers(-2, 4))) for n in (rows + taps_h, columns + taps_w))
        for top, left in rng.integers(-6, 5, (4, 2)).tolist():
            x = integers(rng, kernel, side, height, width)
            weight = integers(rng, kernel, side, taps_h, taps_w)
            y = nans(kernel, side, rows, columns)
            size = (20 + rows + taps_h + 2 * height, 20 + columns + taps_w + 2 * width)
            spread = np.zeros(size, kernel.dtype)
            spread[6 : 6 + 2 * height : 2, 6 : 6 + 2 * width : 2] = x
            want = np.full(y.shape, 3, kernel.dtype)
            for h, w in itertools.product(range(taps_h), range(taps_w)):
                want += weight[h, w] * spread[6 + top + h :, 6 + left + w :][:rows, :columns]
            groups = []
            for h in range(0, taps_h, most):
                row = (top + 1 + h) // 2  # of x, for the second of two taps
                groups += [(row * width, h * taps_w, min(most, taps_h - h), -row, height - row)]
            kernel.run(
                x=x, x_pitch=width, width=width, row_taps=offsets(groups), groups=len(groups),
                column=offsets(range(left, left + taps_w)), taps=taps_w,
                weight=weight, weight_h=taps_w, weight_w=1,
                y=y, y_pitch=columns, rows=rows, columns=columns, bias=3,
                spread=2, stride=1, above=(top + 1) % 2,
            )  # fmt: skip
            np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("stencil_rows"))
def test_stencil_rows_strided(kernel: Kernel, side: str) -> None:
    """Every second row and column of x: inside, at its edges and far outside; one to four columns of taps."""
    rng = np.random.default_rng(0)
    most = _C.stencil_row_taps(kernel.isa, 2)
    for columns, taps_h in itertools.product(range(1, 2 * kernel.nr + 2), (1, 2, 3, 4, 5, 7)):
        rows, taps_w = 1 + (columns + taps_h) % 19, 1 + columns % 4
        reach_h, reach_w = 2 * rows + taps_h, 2 * columns + taps_w
        height, width = (max(1, n + int(rng.integers(-4, 3))) for n in (reach_h, reach_w))
        x = integers(rng, kernel, side, height, width)
        weight = integers(rng, kernel, side, taps_h, taps_w)
        far = 2 * kernel.lanes + 3
        padded = np.pad(x, ((5, reach_h + 5), (far, reach_w + far)))
        for top, left in (*rng.integers(-5, 6, (2, 2)).tolist(), (0, -far), (-1, far)):
            y = nans(kernel, side, rows, columns)
            want = np.full(y.shape, 3, kernel.dtype)
            for h, w in itertools.product(range(taps_h), range(taps_w)):
                want += weight[h, w] * padded[5 + top + h :: 2, far + left + w :: 2][:rows, :columns]
            groups = [
                ((top + h) * width, h * taps_w, min(most, taps_h - h), -top - h, height - top - h)
                for h in range(0, taps_h, most)
            ]
            kernel.run(
                x=x, x_pitch=width, width=width, row_taps=offsets(groups), groups=len(groups),
                column=offsets(range(left, left + taps_w)), taps=taps_w,
                weight=weight, weight_h=taps_w, weight_w=1,
                y=y, y_pitch=columns, rows=rows, columns=columns, bias=3, spread=1, stride=2, above=0,
            )  # fmt: skip
            np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("line_stencil"))
def test_line_stencil(kernel: Kernel, side: str) -> None:
    """Few taps and more than a vector has lanes, inside x, at its edges and far outside, both ways round."""
    rng = np.random.default_rng(0)
    one_at_a_time = (3 * kernel.nr - 5, 3 * kernel.nr + 1)
    lengths = (*range(1, 2 * kernel.nr + 2), *one_at_a_time)
    for columns, taps in itertools.product(lengths, (1, 3, 2 * kernel.lanes + 3)):
        lines, dilation = 1 + (columns + taps) % 7, 1 + columns % 3
        reach = (taps - 1) * dilation
        width = max(1, columns + reach + int(rng.integers(-reach - 3, 4)))
        x = integers(rng, kernel, side, lines, width)
        weight = integers(rng, kernel, side, lines, taps)
        bias = integers(rng, kernel, side, lines)
        for column, backwards in ((0, False), (-(reach // 2), True), (-reach - kernel.lanes - 3, False)):
            y = nans(kernel, side, lines, columns)
            far = reach + kernel.lanes + 3
            padded = np.pad(x, ((0, 0), (far, columns + reach)))
            want = np.zeros_like(y) if backwards else np.repeat(bias[:, None], columns, 1)
            for t in range(taps):
                tap = weight[:, taps - 1 - t if backwards else t]
                want += tap[:, None] * padded[:, far + column + t * dilation :][:, :columns]
            kernel.run(
                x=x, x_pitch=width, width=width, column=column, dilation=dilation, taps=taps,
                weight=weight.ctypes.data + backwards * (taps - 1) * weight.itemsize, weight_pitch=taps,
                weight_step=-1 if backwards else 1, bias=0 if backwards else bias, bias_pitch=1,
                y=y, y_pitch=columns, lines=lines, columns=columns,
            )  # fmt: skip
            np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("line_stencil_grad"))
def test_line_stencil_grad(kernel: Kernel, side: str) -> None:
    """One set of taps and several, inside x, at its edges and far outside; infinity meets its taps alone."""
    rng = np.random.default_rng(0)
    images, far = 2, 6 * kernel.lanes
    for columns, taps in itertools.product(
        range(1, 3 * kernel.lanes + 2), (1, 3, kernel.nr + 1, 2 * kernel.lanes - 1, 2 * kernel.lanes + 3)
    ):
        lines, dilation = 1 + (columns + taps) % 3, 1 + columns % 3
        reach = (taps - 1) * dilation
        width = max(1, columns + reach + int(rng.integers(-reach - 3, 4)))
        y = integers(rng, kernel, side, images, lines, columns)
        for column in (0, -(reach // 2), -reach - 2, width - columns // 2):
            x = integers(rng, kernel, side, images, lines, width)
            x[-1, -1, int(rng.integers(width))] = np.inf
            padded = np.pad(x, ((0, 0), (0, 0), (far + reach, far + reach + columns)))
            total = nans(kernel, side, lines, taps + 1)
            total[...] = rng.integers(-4, 5, total.shape)
            want = total.copy()
            for t in range(taps):
                moved = padded[..., far + reach + column + t * dilation :][..., :columns]
                with np.errstate(invalid="ignore"):
                    want[:, t] += (y * moved).sum((0, 2))
            kernel.run(
                x=x, x_image=lines * width, x_pitch=width, width=width,
                column=column, dilation=dilation, taps=taps,
                y=y, y_image=lines * columns, y_pitch=columns, images=images, lines=lines, columns=columns,
                sum=total, sum_pitch=taps + 1,
            )  # fmt: skip
            np.testing.assert_array_equal(total, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("stencil_grad"))
def test_stencil_grad(kernel: Kernel, side: str) -> None:
    """Rows and columns of taps inside x, at its edges and far outside. What y does not meet is no number."""
    rng = np.random.default_rng(0)
    taps_h, taps_w, images, far = kernel.mr, kernel.nr, 2, 3 * kernel.lanes
    for columns in (*range(1, 2 * kernel.lanes + 2), 4 * kernel.lanes - 3, 6 * kernel.lanes + 1):
        for step_h, step_w, dilation_h, dilation_w in (
            (1, 1, 1, 1),
            (1, 1, 1, 3),
            (2, 1, 2, 3),
            (2, 2, 1, 1),
            (1, 1, 2, 3),
            (1, 2, 1, 2),
        ):
            rows = 1 + columns % 9
            height = max(1, (rows - 1) * step_h + (taps_h - 1) * dilation_h + int(rng.integers(-3, 3)))
            width = max(1, (columns - 1) * step_w + (taps_w - 1) * dilation_w + int(rng.integers(-5, 5)))
            x = integers(rng, kernel, side, images, height, width)
            y = integers(rng, kernel, side, images, rows, columns)
            for row, column in ((-1, -2), (0, 0), (1, -kernel.lanes - 1), (2, kernel.lanes + 2)):
                x[...] = rng.integers(-4, 5, x.shape)
                padded = np.pad(x, ((0, 0), (2, 40), (far, far + 2 * columns + 50)))
                met = np.zeros(padded.shape, bool)
                total = nans(kernel, side, taps_h, taps_w + 1)
                total[...] = rng.integers(-4, 5, total.shape)
                want = total.copy()
                for h in range(taps_h):
                    for w in range(taps_w):
                        at = slice(2 + row + h * dilation_h, None), slice(far + column + w * dilation_w, None)
                        moved = padded[:, *at][:, ::step_h, ::step_w][:, :rows, :columns]
                        want[h, w] += (y * moved).sum()
                        met[:, *at][:, ::step_h, ::step_w][:, :rows, :columns] = True
                x[~met[:, 2 : 2 + height, far : far + width]] = np.nan
                kernel.run(
                    x=x, x_image=height * width, height=height, width=width,
                    y=y, y_image=rows * columns, y_pitch=columns, images=images, rows=rows, columns=columns,
                    row=row, column=column, step_h=step_h, step_w=step_w,
                    dilation_h=dilation_h, dilation_w=dilation_w, sum=total, sum_pitch=taps_w + 1,
                )  # fmt: skip
                np.testing.assert_array_equal(total, want)
