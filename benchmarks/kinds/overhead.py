"""`overhead`: what a call costs: modules on inputs too small for the arithmetic to take time."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

import convext
from benchmarks.job import Job, Setting
from benchmarks.pairing import Contestant, race
from benchmarks.results import Row, Side, Speedup

SUBJECTS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Conv2d(1, 1, 3) on 1 x 1 x 9 x 9": (partial(nn.Conv2d, 1, 1, 3), (1, 1, 9, 9)),
    "Conv2d(8, 8, 1) on 1 x 8 x 4 x 4": (partial(nn.Conv2d, 8, 8, 1), (1, 8, 4, 4)),
    "Conv1d(4, 4, 3) on 1 x 4 x 16": (partial(nn.Conv1d, 4, 4, 3), (1, 4, 16)),
    "ConvTranspose2d(1, 1, 2) on 1 x 1 x 8 x 8": (partial(nn.ConvTranspose2d, 1, 1, 2), (1, 1, 8, 8)),
}


def inference(layer: nn.Module, x: Tensor) -> Callable[[], object]:
    def call() -> object:
        with torch.inference_mode():
            return layer(x)

    return call


def forward(layer: nn.Module, x: Tensor) -> Callable[[], object]:
    """Records the graph too."""
    return lambda: layer(x)


def backward(layer: nn.Module, x: Tensor) -> Callable[[], object]:
    """The gradients of input, weight and bias."""
    y = layer(x)
    leaves, ones = (x, *layer.parameters()), torch.ones_like(y)
    return lambda: torch.autograd.grad(y, leaves, ones, retain_graph=True)


CALLS = {"inference": inference, "forward": forward, "backward": backward}


def jobs(setting: Setting) -> Iterator[Job]:
    for name in SUBJECTS:
        for call in CALLS:
            yield Job(f"{name}, {call}", partial(measure, name, call, setting))


def measure(name: str, call: str, setting: Setting) -> Row:
    threads = setting.threads[-1]
    torch.set_num_threads(threads)
    create, shape = SUBJECTS[name]
    dtype = getattr(torch, setting.options.dtype)
    theirs = create().to(dtype)
    ours = convext.convert(create().to(dtype))
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    contestants = [Contestant("convext", CALLS[call](ours, x)), Contestant("torch", CALLS[call](theirs, x))]
    timed = race(contestants, setting.effort)
    return Row(
        benchmark="overhead",
        network="",
        name=name,
        family="call",
        pass_=call,
        dtype=setting.options.dtype,
        threads=threads,
        sides=tuple(Side(side, timed.summary(side)) for side in timed.names),
        speedups=(Speedup("convext", "torch", timed.speedup("convext", "torch")),),
    )
