"""`layers`: the layers of real networks, pass by pass, beside PyTorch and, if asked for, beside peers."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks import layer as layers
from benchmarks import libraries, passes
from benchmarks.arrays import Arrays
from benchmarks.job import Job, Setting
from benchmarks.layer import Layer
from benchmarks.libraries import CONVEXT, OTHERS, Library, Work
from benchmarks.pairing import Contestant, race
from benchmarks.passes import Operands
from benchmarks.peers import contest
from benchmarks.results import Row, Side, Speedup
from benchmarks.statistics import Ratio
from convext import _C

# In float64 the reference of a larger layer takes longer than everything else together.
CHECKED_FLOPS = 2.5e9


def jobs(setting: Setting) -> Iterator[Job]:
    for layer in chosen(setting):
        for threads in setting.threads:
            for pass_ in setting.options.passes:
                name = f"{layer.network}: {layer} {pass_}, {threads} thread{'s' * (threads > 1)}"
                yield Job(name, partial(measure, "layers", layer, pass_, threads, setting))


def chosen(setting: Setting) -> list[Layer]:
    """The layers of the suite that the options admit."""
    options = setting.options
    suite = [layer.with_batch(options.batch) for layer in layers.suite(options.suite)]
    return [
        layer
        for layer in suite
        if layer.flops <= options.max_gflop * 1e9
        and (layer.dimensions == 2 or options.memory_format == "contiguous")
    ]


def measure(benchmark: str, layer: Layer, pass_: str, threads: int, setting: Setting) -> Row:
    """One pass of one layer: the race, the errors, and what computed it."""
    options = setting.options
    torch.set_num_threads(threads)
    operands = Operands.of(Arrays.draw(layer, options.dtype), options.memory_format)
    exact = None
    if layer.flops <= CHECKED_FLOPS:
        exact = passes.prepare(passes.convolution(F, layer), operands.double(), pass_)()
    works = prepared([CONVEXT, *(OTHERS[name] for name in options.against)], layer, operands, pass_)
    timed = race([Contestant(lib.name, work, lib.settings) for lib, work in works], setting.effort)

    backend = libraries.torch_backend(layer, operands)
    choice = libraries.convext_choice(works[0][1])
    computed_by = {"convext": choice.label if choice else "torch", "torch": backend}
    sides = []
    for library, work in works:
        with library.settings():
            found = work()
        error = None if exact is None or found[0].is_mkldnn else passes.error(found, exact)
        sides.append(
            Side(library.name, timed.summary(library.name), error, computed_by.get(library.name, ""))
        )
    speedups = [Speedup("convext", lib.name, timed.speedup("convext", lib.name)) for lib, _ in works[1:]]
    exact_arrays = None if exact is None else [result.numpy() for result in exact]
    peers = contest.run(layer, pass_, options.peers, threads, setting.effort, exact_arrays)

    moved = float(layer.numbers * np.dtype(options.dtype).itemsize)
    plan = choice.plan if choice else None
    return Row(
        benchmark=benchmark,
        network=layer.network,
        name=str(layer),
        family=layer.family,
        pass_=pass_,
        dtype=options.dtype,
        memory_format=options.memory_format,
        threads=threads,
        sides=(*sides, *peers.sides),
        speedups=(*speedups, *peers.speedups),
        flops=float(layer.flops),
        bytes=moved,
        limit=setting.limits.seconds(layer.flops, moved, _C.isa(), options.dtype, threads),
        problem=choice.problem if choice else "",
        refused=peers.refused,
        scratch_bytes=plan["shared_bytes"] + threads * plan["thread_bytes"] if plan else None,
    )


def prepared(
    candidates: list[Library], layer: Layer, operands: Operands, pass_: str
) -> list[tuple[Library, Work]]:
    """The libraries that can compute the pass, with their work; the first one must."""
    works = [(library, library.prepare(layer, operands, pass_)) for library in candidates]
    return [(library, work) for library, work in works if work is not None]


def noise(layer: Layer, pass_: str, setting: Setting) -> Ratio:
    """PyTorch raced against itself: how far from 1 this method finds what is 1."""
    torch.set_num_threads(setting.threads[0])
    arrays = Arrays.draw(layer, setting.options.dtype)
    operands = Operands.of(arrays, setting.options.memory_format)
    work = [OTHERS["torch"].prepare(layer, operands, pass_) for _ in range(2)]
    contestants = [Contestant(str(i), one) for i, one in enumerate(work) if one is not None]
    return race(contestants, setting.effort).speedup("0", "1")
