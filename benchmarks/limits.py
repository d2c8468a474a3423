"""What the machine can do, measured: the limits that a convolution is held against.

A convolution needs at least the time of its arithmetic at the FMA peak, and at least the time of moving its
operands once (Williams, Waterman, Patterson: Roofline. CACM 52(4), 2009). Both limits are measured with the
threads, the instruction set and the number type in question:

- FMA peak: independent fused multiply-adds in registers (csrc/kernels/fma_chains).
- micro-kernel: convext's fastest packed outer product, its operands in the first cache.
- copy: numbers copied between two arrays that together have a given size. Each size has its own rate, as a
  cache has: a layer of 1 MB that is run again and again does not touch memory.
- page fault: the first touch of a page of fresh memory, which the system clears. Large outputs pay it.
"""

import mmap
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from convext import _C

ISAS = ("scalar", "avx2", "avx512")
SAMPLE = 0.02  # seconds of one measurement
REPEATS = 5  # of which the best counts: a limit is a maximum
PAGE = 4096
COPY_BYTES = tuple(2**k for k in range(17, 29))  # 128 KiB to 256 MiB


@dataclass(frozen=True)
class Limit:
    """One measured limit; what does not apply is empty."""

    name: str
    value: float
    unit: str
    threads: int
    isa: str = ""
    dtype: str = ""
    bytes: int = 0  # of the arrays that are copied
    detail: str = ""


class Limits:
    """The limits of a machine."""

    def __init__(self, measured: Sequence[Limit]) -> None:
        self.measured = list(measured)

    def rate(self, name: str, isa: str, dtype: str, threads: int) -> float:
        """GFLOP/s of "FMA peak" or "micro-kernel"; NaN if it was not measured."""
        key = (name, isa, dtype, threads)
        found = [
            limit.value
            for limit in self.measured
            if (limit.name, limit.isa, limit.dtype, limit.threads) == key
        ]
        return found[0] if found else float("nan")

    def bandwidth(self, moved: float, threads: int) -> float:
        """GB/s at which arrays of `moved` bytes together are copied; between sizes by interpolation.

        What fits a smaller cache is not slower: there, the copies were too short to measure.
        """
        points = sorted(
            (limit.bytes, limit.value)
            for limit in self.measured
            if limit.name == "copy" and limit.threads == threads
        )
        if not points:
            return float("nan")
        sizes, rates = zip(*points, strict=True)
        attainable = np.maximum.accumulate(rates[::-1])[::-1]
        return float(np.interp(np.log(moved), np.log(sizes), attainable))

    def seconds(self, flops: float, moved: float, isa: str, dtype: str, threads: int) -> float:
        """The least time in which `flops` operations on `moved` bytes can be done; NaN if unknown."""
        arithmetic = flops / (1e9 * self.rate("FMA peak", isa, dtype, threads))
        return float(np.maximum(arithmetic, moved / (1e9 * self.bandwidth(moved, threads))))


def measure(threads: Sequence[int], dtypes: Sequence[str]) -> Limits:
    """Measures this machine, in a few seconds for each number of threads."""
    limits = _page_faults()
    available = ISAS[: ISAS.index(_C.detected_isa()) + 1]
    for count in threads:
        for dtype in dtypes:
            for isa in available:
                limits.append(_fma_peak(isa, dtype, count))
                limits.append(_micro_kernel(isa, dtype, count))
        limits += [_copy(size, count) for size in COPY_BYTES]
    return Limits(limits)


def rate(threads: int, worker: Callable[[], Callable[[], float]], sample: float = SAMPLE) -> float:
    """How much work a second all threads do together: the best of a few measurements.

    `worker()` prepares a thread's work, of which a call does some and returns how much. The work must
    release Python's lock, for a good part of a millisecond: the lock is taken between calls.
    """
    barrier = threading.Barrier(threads)

    def run() -> list[tuple[float, float, float]]:
        work = worker()
        start = time.perf_counter()
        work()
        calls = max(1, round(sample / (time.perf_counter() - start)))
        samples = []
        for _ in range(REPEATS):
            barrier.wait()
            start = time.perf_counter()
            done = sum(work() for _ in range(calls))
            samples.append((start, time.perf_counter(), done))
        return samples

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(run) for _ in range(threads)]
        by_thread = [future.result() for future in futures]
    repeats = zip(*by_thread, strict=True)
    best: float = max(sum(done / (end - start) for start, end, done in repeat) for repeat in repeats)
    return best


def _kernels(shape: str, isa: str, dtype: str) -> list[tuple[str, int, int]]:
    """The kernels of a shape, and the tile that their names end with."""
    prefix = f"{shape}_{dtype.replace('float', 'f')}_"
    names = [name for name in _C.kernels() if name.startswith(prefix) and name.endswith(f"_{isa}")]
    tiles = [name.removeprefix(prefix).removesuffix(f"_{isa}").split("x") for name in names]
    return [(name, int(mr), int(nr)) for name, (mr, nr) in zip(names, tiles, strict=True)]


def _fma_peak(isa: str, dtype: str, threads: int) -> Limit:
    ((name, chains, lanes),) = _kernels("fma_chains", isa, dtype)
    steps = 200_000

    def worker() -> Callable[[], float]:
        total = np.empty(lanes, dtype)
        fields: dict[str, object] = {"x": 0.5, "y": 1.0, "steps": steps, "sum": total.ctypes.data}

        def work() -> float:
            _C.run_kernel(name, fields)
            return 2e-9 * chains * lanes * steps

        return work

    return Limit("FMA peak", rate(threads, worker), "GFLOP/s", threads, isa, dtype)


def _micro_kernel(isa: str, dtype: str, threads: int) -> Limit:
    """The tile that is fastest on one thread, with all threads."""
    works = {
        name: _outer_product(name, mr, nr, dtype)
        for name, mr, nr in _kernels("outer_product_packed", isa, dtype)
    }
    fastest = max(works, key=lambda name: rate(1, works[name], sample=1e-3))
    value = rate(threads, works[fastest])
    return Limit("micro-kernel", value, "GFLOP/s", threads, isa, dtype, detail=fastest)


def _outer_product(name: str, mr: int, nr: int, dtype: str) -> Callable[[], Callable[[], float]]:
    """C[mr, nr] = A[steps, mr]^T B[steps, nr], with A and B of 32 KiB together."""
    steps = 32 * 1024 // ((mr + nr) * np.dtype(dtype).itemsize)
    repeats = 500

    def worker() -> Callable[[], float]:
        arrays = {
            "a": aligned(steps * mr, dtype),
            "b": aligned(steps * nr, dtype),
            "b_offset": np.arange(steps, dtype=np.int64) * nr,
            "c": aligned(mr * nr, dtype),
        }
        sizes = {"steps": steps, "c_stride": nr, "columns": nr, "repeats": repeats}

        def work() -> float:
            _C.run_kernel(name, {**{field: array.ctypes.data for field, array in arrays.items()}, **sizes})
            return 2e-9 * mr * nr * steps * repeats

        return work

    return worker


def aligned(count: int, dtype: str) -> np.ndarray:
    """Ones, from the beginning of a page on: no vector crosses cache lines, no two arrays share one."""
    size = count * np.dtype(dtype).itemsize
    memory = np.empty(size + 2 * PAGE, np.uint8)
    start = -memory.ctypes.data % PAGE
    array = memory[start : start + size].view(dtype)
    array.fill(1)
    return array


def _copy(size: int, threads: int) -> Limit:
    def worker() -> Callable[[], float]:
        source = np.ones(size // 2 // threads, np.uint8)
        target = np.zeros_like(source)
        calls = max(1, 2**22 // source.size)

        def work() -> float:
            for _ in range(calls):
                np.copyto(target, source)
            return 2e-9 * source.size * calls

        return work

    return Limit("copy", rate(threads, worker), "GB/s", threads, bytes=size)


def _page_faults() -> list[Limit]:
    """Of one thread, for small pages, and for a region that asked for huge ones."""
    limits = []
    for detail, advice in (("small pages", mmap.MADV_NOHUGEPAGE), ("huge pages", mmap.MADV_HUGEPAGE)):
        best = min(_first_touch(advice) for _ in range(REPEATS))
        limits.append(Limit("page fault", best * 1e6, "us for 4 KiB", 1, detail=detail))
    return limits


def _first_touch(advice: int, size: int = 2**25) -> float:
    """Seconds a page: the first write to fresh memory, less the second."""
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(advice)
        pages = np.frombuffer(memory, np.uint8)[::PAGE]
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            pages += 1
            seconds.append(time.perf_counter() - start)
        del pages
    return (seconds[0] - seconds[1]) / (size // PAGE)
