"""`threads`: how both sides scale. The layers are those of `layers`, from one thread to all cores."""

from collections.abc import Iterator
from functools import partial

from benchmarks.job import Job, Setting
from benchmarks.kinds.layers import chosen, measure
from benchmarks.layer import Layer, representatives


def jobs(setting: Setting) -> Iterator[Job]:
    for layer in subjects(setting):
        for pass_ in setting.options.passes:
            for threads in setting.threads:
                name = f"{layer.network}: {layer} {pass_}, {threads} thread{'s' * (threads > 1)}"
                yield Job(name, partial(measure, "threads", layer, pass_, threads, setting))


def subjects(setting: Setting) -> list[Layer]:
    """The median layer of each family: one is enough to see how a family scales."""
    return representatives(chosen(setting), each=1)


def counts(cores: int) -> list[int]:
    """Powers of two up to the number of cores, and that.

    >>> counts(6)
    [1, 2, 4, 6]
    """
    return [2**i for i in range(cores.bit_length()) if 2**i < cores] + [cores]
