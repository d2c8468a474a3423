"""`models`: whole networks before and after the swap, and the share of the time that is convolution."""

import copy
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

import convext
from benchmarks import networks, passes
from benchmarks.job import Job, Setting
from benchmarks.networks import Network
from benchmarks.pairing import Contestant, race
from benchmarks.results import Row, Side, Speedup
from convext.reporting import Report


def jobs(setting: Setting) -> Iterator[Job]:
    for network in networks.chosen(setting.options.networks):
        for threads in setting.threads:
            for kind in networks.CALLS:
                name = f"{network.name}, {kind}, {threads} thread{'s' * (threads > 1)}"
                yield Job(name, partial(measure, network, kind, threads, setting))


def measure(network: Network, kind: str, threads: int, setting: Setting) -> Row:
    torch.set_num_threads(threads)
    dtype = getattr(torch, setting.options.dtype)
    theirs = network.model(dtype)
    batch = network.batch(kind, dtype)
    if setting.options.memory_format == "channels_last" and batch.dim() == 4:
        theirs.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        batch = batch.to(memory_format=torch.channels_last)
    ours = convext.convert(copy.deepcopy(theirs))
    models = {"convext": ours, "torch": theirs}
    # Before training, which changes what a network remembers of its batches.
    exact = output(copy.deepcopy(theirs).double(), batch.double())
    errors = {name: passes.error((output(model, batch),), (exact,)) for name, model in models.items()}
    timed = race(
        [Contestant(name, networks.call(model, batch, kind)) for name, model in models.items()],
        setting.effort,
    )
    report = convext.report(ours, batch, train=kind == "training")
    return Row(
        benchmark="models",
        network=network.name,
        name=network.name,
        family=kind,
        pass_=kind,
        dtype=setting.options.dtype,
        memory_format=setting.options.memory_format,
        threads=threads,
        sides=tuple(Side(name, timed.summary(name), errors[name]) for name in models),
        speedups=(Speedup("convext", "torch", timed.speedup("convext", "torch")),),
        convolution_share=shares(report),
    )


@torch.no_grad()
def output(model: nn.Module, batch: Tensor) -> Tensor:
    """In evaluation mode."""
    y: Tensor = model.eval()(batch)
    return y


def shares(report: Report) -> tuple[float, float]:
    """The share of the model's time that its convolutions take: with torch.nn's, and with convext's."""
    theirs = sum(layer.torch_seconds or 0 for layer in report.layers) / (report.torch_seconds or 1)
    ours = sum(layer.seconds or 0 for layer in report.layers) / (report.seconds or 1)
    return theirs, ours
