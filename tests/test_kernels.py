"""Every micro-kernel of the lists by its name: exact on small integers, every tail, and inaccessible pages
right behind and right before everything that it reads or writes.

The results are computed in a fresh array of NaNs, so a number that a kernel forgets shows, and the whole
array is compared, so a number that it writes where it must not shows too. Kernels of a family of their own
are in test_*_kernels.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from helpers import grid
from helpers.kernels import Kernel, integers, kernels, nans, offsets, strided
from helpers.memory import SIDES, guarded
from helpers.run import ALGORITHMS, AVAILABLE_ISAS, refusal

from convext import _C


def test_every_kernel_of_a_plan_is_listed() -> None:
    """Then it is tested by its name: here or in test_*_kernels.py."""
    planned = {
        _C.plan(str(problem), isa, algorithm)["kernel"]
        for problem in grid.GRID + grid.ACCURACY
        for algorithm in ALGORITHMS
        if refusal(problem, algorithm) is None
        for isa in AVAILABLE_ISAS
    }
    assert planned - set(_C.kernels()) == {"reference"}


def tails(kernel: Kernel) -> Iterator[int]:
    """The columns that the last vector of a tile of NR columns may hold."""
    return iter(range(kernel.nr - kernel.lanes + 1, kernel.nr + 1))


ZERO, ROW_BIAS, COLUMN_BIAS, ADD = range(4)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("outer_product_packed", "outer_product_keeping"))
def test_outer_product_packed(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for columns in tails(kernel):
        for start, steps in ((ZERO, 1), (ROW_BIAS, 5), (COLUMN_BIAS, 2), (ADD, 7), (ZERO, 0)):
            a = integers(rng, kernel, side, steps, kernel.mr)
            b = integers(rng, kernel, side, max(steps, 1) * 3 + columns)
            b_offset = offsets(rng.permutation(max(steps, 1)) * 3 + 3)[:steps]
            c = nans(kernel, side, kernel.mr, columns)
            bias = integers(rng, kernel, side, kernel.mr if start == ROW_BIAS else columns)
            if start == ADD:
                c[...] = rng.integers(-4, 5, c.shape)
            first = {ZERO: 0, ROW_BIAS: bias[:, None], COLUMN_BIAS: bias, ADD: c.copy()}[start]
            want = first + sum(
                (np.outer(a[k], b[b_offset[k] :][:columns]) for k in range(steps)), np.zeros(c.shape)
            )
            keeps = "keeping" in kernel.name
            kept = nans(kernel, side, steps, kernel.nr + keeps * columns % 3)
            kernel.run(
                a=a, b=b, b_offset=b_offset, steps=steps,
                c=c, c_stride=columns, columns=columns, start=start, bias=bias,
                kept=kept, kept_pitch=kept.shape[1],
            )  # fmt: skip
            np.testing.assert_array_equal(c, want)
            if keeps:
                want = np.full(kept.shape, np.nan)
                want[:, : kernel.nr] = 0
                for k, j in enumerate(b_offset):
                    want[k, :columns] = b[j:][:columns]
                np.testing.assert_array_equal(kept, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("outer_product_rows"))
def test_outer_product_rows(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for columns in tails(kernel):
        for start, steps in ((ZERO, 1), (COLUMN_BIAS, 6), (ADD, 5)):
            rows = [integers(rng, kernel, side, 2 * steps + 1) for _ in range(kernel.mr)]
            a_offset, b_offset = offsets(rng.permutation(steps) * 2 + 1), offsets(rng.permutation(steps) * 5)
            b = integers(rng, kernel, side, (steps - 1) * 5 + columns)
            c = nans(kernel, side, kernel.mr, columns + 2)  # rows of C that do not adjoin
            c[:, columns:] = 77
            if start == ADD:
                c[:, :columns] = rng.integers(-4, 5, (kernel.mr, columns))
            bias = integers(rng, kernel, side, columns)
            want = c.copy()
            want[:, :columns] = {ZERO: 0, COLUMN_BIAS: bias, ADD: c[:, :columns]}[start]
            for i, j in zip(a_offset, b_offset, strict=True):
                want[:, :columns] += np.outer([row[i] for row in rows], b[j:][:columns])
            kernel.run(
                rows=[row.ctypes.data for row in rows], a_offset=a_offset,
                b=b, b_offset=b_offset, steps=steps,
                c=c, c_stride=columns + 2, columns=columns, start=start, bias=bias,
            )  # fmt: skip
            np.testing.assert_array_equal(c, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("outer_product_strided"))
def test_outer_product_strided(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for columns in tails(kernel):
        for start, steps in ((ZERO, 1), (COLUMN_BIAS, 6), (ADD, 5)):
            apart = columns % 3  # lines of A adjoin, or do not: they are rows, or steps
            row, step = (steps + apart, 1) if columns % 2 else (1, kernel.mr + apart)
            a = integers(rng, kernel, side, (kernel.mr - 1) * row + (steps - 1) * step + 1)
            b_offset = offsets(rng.permutation(steps) * 5)
            b = integers(rng, kernel, side, (steps - 1) * 5 + columns)
            c, bias = nans(kernel, side, kernel.mr, columns), integers(rng, kernel, side, columns)
            if start == ADD:
                c[...] = rng.integers(-4, 5, c.shape)
            want = np.zeros(c.shape) + {ZERO: 0, COLUMN_BIAS: bias, ADD: c}[start]
            for k, j in enumerate(b_offset):
                want += np.outer(a[k * step :: row][: kernel.mr], b[j:][:columns])
            kernel.run(
                a=a, a_row=row, a_step=step, next=a, next_offset=offsets(range(steps)) * -4096,
                b=b, b_offset=b_offset, steps=steps,
                c=c, c_stride=columns, columns=columns, start=start, bias=bias,
            )  # fmt: skip
            np.testing.assert_array_equal(c, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("inner_product"))
def test_inner_product(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for length in [*range(1, 2 * kernel.lanes + 2), 0]:
        segments = 1 + length % 3
        a = [integers(rng, kernel, side, segments * (length + 1)) for _ in range(kernel.mr)]
        b = [integers(rng, kernel, side, segments * (length + 2)) for _ in range(kernel.nr)]
        a_at, b_at = offsets(range(segments)) * (length + 1), offsets(range(segments)) * (length + 2)
        bias = integers(rng, kernel, side, kernel.nr)
        for accumulate, with_bias in ((False, False), (True, False), (False, True)):
            c = nans(kernel, side, kernel.mr, kernel.nr)
            if accumulate:
                c[...] = rng.integers(-4, 5, c.shape)
            want = (
                c.copy()
                if accumulate
                else np.broadcast_to(bias if with_bias else 0, c.shape).astype(kernel.dtype)
            )
            for i, j in zip(a_at, b_at, strict=True):
                want += np.array([[x[i:][:length] @ y[j:][:length] for y in b] for x in a])
            fields: dict[str, object] = {"bias": bias} if with_bias else {}
            kernel.run(
                a=[x.ctypes.data for x in a], b=[x.ctypes.data for x in b], a_segments=a_at, b_segments=b_at,
                segments=segments, length=length,
                c=c, c_row=kernel.nr, c_column=1, accumulate=accumulate, **fields,
            )  # fmt: skip
            np.testing.assert_array_equal(c, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("copy_rows"))
def test_copy_rows(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for width in range(1, 2 * kernel.lanes + 3):
        src = integers(rng, kernel, side, 3, width)
        for step in (1, 2, 3, 4):
            for start in (-2 * kernel.lanes - 1, -3, -1, 0, 1, width - 1, width + 2):
                count = int(rng.integers(1, 2 * kernel.lanes + 4))
                at = start + step * np.arange(count)
                inside = (at >= 0) & (at < width)
                want = np.where(inside, src[:, np.where(inside, at, 0)], 0)
                dst = nans(kernel, side, 3, count)
                kernel.run(
                    dst=dst,
                    dst_pitch=count,
                    src=src,
                    src_pitch=width,
                    rows=3,
                    start=start,
                    step=step,
                    count=count,
                    width=width,
                )
                np.testing.assert_array_equal(dst, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("copy_rows"))
def test_copy_rows_of_phases_and_planes(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for step in (2, 3, 4, 5, 8, 9, 16, 19):
        for phases in sorted({1, 2, step - 1, step}):
            for start in (-step - 1, -1, 0, 3):
                planes, rows, count = 2, 2, int(rng.integers(1, 2 * kernel.lanes + 4))
                width = int(rng.integers(1, step * count + 2))
                src = integers(rng, kernel, side, planes, rows, width)
                at = start + np.arange(phases)[:, None] + step * np.arange(count)
                inside = (at >= 0) & (at < width)
                want = np.where(inside[:, None], src[:, :, np.where(inside, at, 0)].swapaxes(1, 2), 0)
                dst = nans(kernel, side, planes, phases, rows, count)
                kernel.run(
                    dst=dst, dst_pitch=count, dst_phase=rows * count, dst_plane=phases * rows * count,
                    src=src, src_pitch=width, src_plane=rows * width, planes=planes, phases=phases,
                    rows=rows, start=start, step=step, count=count, width=width,
                )  # fmt: skip
                np.testing.assert_array_equal(dst, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("interleave_rows"))
def test_interleave_rows(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for phases in (1, 2, 3, 4, 8):
        for count in range(1, 5 * kernel.lanes + 2):
            pitch = -(-count // phases)
            # The last row of a phase ends where the numbers that it has end.
            have = [(count - p + phases - 1) // phases for p in range(phases)]
            src = integers(rng, kernel, side, phases * 2 * pitch - (pitch - have[-1]))
            dst = nans(kernel, side, 2, count)
            want = np.empty(dst.shape, kernel.dtype)
            for r in range(2):
                for i in range(count):
                    want[r, i] = src[i % phases * 2 * pitch + r * pitch + i // phases]
            kernel.run(
                dst=dst,
                dst_pitch=count,
                src=src,
                src_pitch=pitch,
                src_phase=2 * pitch,
                rows=2,
                phases=phases,
                count=count,
            )
            np.testing.assert_array_equal(dst, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("cut_rows"))
def test_cut_rows(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for count in range(1, 3 * kernel.lanes + 2):
        for parts in {1, -(-count // 14), -(-count // 3), count}:
            pitch, steps = count + int(rng.integers(3)), 1 + count % 4 + 64 * (count % 5 == 0)
            src = integers(rng, kernel, side, (steps - 1) * pitch + count)
            dst = nans(kernel, side, steps * count)
            offset = pitch * rng.permutation(steps)
            rows = np.stack([src[at : at + count] for at in offset])
            want = np.concatenate([part.ravel() for part in np.array_split(rows, parts, axis=1)])
            kernel.run(dst=dst, src=src, offset=offsets(offset), steps=steps, count=count, parts=parts)
            np.testing.assert_array_equal(dst, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("sum_rows"))
def test_sum_rows(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for count in range(8 * kernel.lanes + 2):  # four vectors at a time
        rows, pitch = 1 + count % 3, count + int(rng.integers(3))
        # float32 holds such numbers, but not their sums.
        numbers = rng.integers(-4, 5, (rows - 1) * pitch + count) + rng.integers(2) * 2**23
        src = guarded(numbers.astype(kernel.dtype), side)
        total = guarded(np.full(1, np.nan), side)
        kernel.run(src=src, count=count, rows=rows, src_pitch=pitch, sum=total)
        assert total[0] == sum(src[r * pitch :][:count].sum(dtype=np.float64) for r in range(rows))


TAP = np.dtype([(field, np.int64) for field in ("offset", "begin", "end")])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("fold"))
def test_fold(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    tile = kernel.mr * kernel.nr
    for columns in (*range(1, 2 * kernel.nr + 3), tile - 1, tile + 3, 2 * tile + kernel.nr + 1):
        for rows in (1, 2, kernel.mr - 1, kernel.mr, kernel.mr + 3):
            tap = np.zeros(4, TAP)
            edge = min(3, columns)
            tap["begin"] = (0, rng.integers(edge + 1), 0, columns)
            tap["end"] = (columns, columns, columns - rng.integers(edge), columns)  # the last has none
            tap["offset"] = np.arange(len(tap)) * rows * columns - tap["begin"]
            x = np.full((3, rows, columns), np.nan, kernel.dtype)  # the last tap's plane is not there
            want = np.full((rows, columns), 3, kernel.dtype)
            for plane, (_, begin, end) in zip(x, tap, strict=False):
                plane[:, : end - begin] = rng.integers(-4, 5, (rows, end - begin))
                want[:, begin:end] += plane[:, : end - begin]
            for taps in (3, 4):  # with the last one no column has all
                y = nans(kernel, side, rows, columns)
                kernel.run(
                    x=guarded(x, side), x_pitch=columns, tap=guarded(tap, side), taps=taps,
                    y=y, y_pitch=columns, rows=rows, columns=columns, bias=3,
                )  # fmt: skip
                np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("transpose"))
def test_transpose(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for rows in range(1, 2 * kernel.nr + 2):
        for cols in range(1, 2 * kernel.nr + 2):
            block = rng.integers(-4, 5, (rows, cols)).astype(kernel.dtype)
            src_stride, dst_stride = cols + rows % 3, rows + cols % 2
            want = strided(block.T, (dst_stride, 1))
            src, dst = guarded(strided(block, (src_stride, 1)), side), nans(kernel, side, want.size)
            kernel.run(src=src, src_stride=src_stride, rows=rows, cols=cols, dst=dst, place=dst_stride)
            np.testing.assert_array_equal(dst, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("transpose_scatter"))
def test_transpose_scatter(kernel: Kernel, side: str) -> None:
    rng = np.random.default_rng(0)
    for rows in range(1, 2 * kernel.nr + 2):
        for cols in range(1, 2 * kernel.nr + 2):
            block = rng.integers(-4, 5, (rows, cols)).astype(kernel.dtype)
            src_stride, dst_stride = cols + rows % 3, rows + cols % 2
            order = rng.permutation(cols)
            want = strided(block.T[order], (dst_stride, 1))
            place = guarded(np.argsort(order) * dst_stride, side)
            src, dst = guarded(strided(block, (src_stride, 1)), side), nans(kernel, side, want.size)
            kernel.run(src=src, src_stride=src_stride, rows=rows, cols=cols, dst=dst, place=place)
            np.testing.assert_array_equal(dst, want)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kernel", kernels("fma_chains"))
def test_fma_chains(kernel: Kernel, side: str) -> None:
    chains = np.arange(kernel.mr)
    for steps in range(3):
        total = nans(kernel, side, kernel.nr)
        kernel.run(x=3.0, y=2.0, steps=steps, sum=total)
        assert (total == chains.sum()).all()
        chains = 3 * chains + 2
