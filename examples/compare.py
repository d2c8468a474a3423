"""Compare a torch.nn model with its swapped copy: the same output? the same training? how fast?

**The bounds.** Let u = 2^-24 be the unit roundoff of float32.

*Layer by layer.* A convolution sums K products, K = input channels a group x taps. Whatever the order
of summation, the computed value is off by at most lambda u sqrt(K + 1) (|x| * |w| + |b|) with a probability
that grows with lambda, if rounding errors are independent of mean zero (Higham and Mary: A new approach to
probabilistic rounding error analysis. SIAM Journal on Scientific Computing 41(5), 2019). convext's tests
hold every kernel to lambda = 4, elementwise. Two results for the same input, each within that of the exact
one, differ by no more than twice as much:

    |convext - torch| <= 8 u sqrt(K + 1) (|x| * |w| + |b|)

*The whole network.* Worst cases multiplied through fifty layers say nothing, so the second bound is
measured: E is the root mean square (RMS) of torch's own rounding error, float32 against the same network in
float64. convext promises an RMS error of at most twice torch's for a layer's output, which its tests check
layer by layer. To first order the error of the network's output is linear in those of its layers, and so is
expected to be at most 2 E; and the RMS is a norm, so by the triangle inequality through the float64 result

    RMS(convext - torch) <= RMS(convext - float64) + RMS(torch - float64) <= 3 E
"""

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import convext

UNIT_ROUNDOFF = 2.0**-24
Batch = tuple[Tensor, ...]


def swapped_copy(model: nn.Module) -> nn.Module:
    """A copy of the model, its convolutions swapped for convext's; the weights are equal."""
    twin: nn.Module = convext.convert(copy.deepcopy(model))
    return twin


def convolutions(model: nn.Module) -> dict[str, nn.Conv1d | nn.Conv2d]:
    """The model's convolutions by name, torch's and convext's alike."""
    return {
        name: module for name, module in model.named_modules() if isinstance(module, nn.Conv1d | nn.Conv2d)
    }


def rms(x: Tensor) -> float:
    """The root mean square of all elements."""
    return x.double().square().mean().sqrt().item()


class ConvextOperators(TorchDispatchMode):
    """Counts convext's operators as they run: an equal result alone could also be torch's own."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function.namespace == "convext"
        return function(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Agreement:
    """How close two models with the same weights come on the same input."""

    layers: int
    computed_by_convext: int  # of these layers, counted by the operators that ran
    layer_share: float  # largest |difference| / bound of all elements of all convolutions
    rms_difference: float  # of the network's output
    rms_bound: float
    rms_output: float

    @property
    def within_bounds(self) -> bool:
        return (
            self.layer_share <= 1
            and self.rms_difference <= self.rms_bound
            and self.layers == self.computed_by_convext
        )


@torch.no_grad()
def agreement(model: nn.Module, twin: nn.Module, x: Tensor) -> Agreement:
    """Run a torch model and its swapped twin in evaluation mode, and measure both bounds of this module."""
    model.eval()
    twin.eval()
    twins = convolutions(twin)
    shares: list[float] = []

    def compare(name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
        def hook(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            shares.append(layer_share(layer, twins[name](inputs[0]), output, inputs[0]))

        return hook

    hooks = [layer.register_forward_hook(compare(name)) for name, layer in convolutions(model).items()]
    output = model(x)
    for hook in hooks:
        hook.remove()

    with ConvextOperators() as operators:
        actual = twin(x)
    exact = copy.deepcopy(model).double()(x.double())
    return Agreement(
        layers=len(shares),
        computed_by_convext=operators.count,
        layer_share=max(shares),
        rms_difference=rms(actual - output),
        rms_bound=3 * rms(output - exact),
        rms_output=rms(output),
    )


def layer_share(layer: Any, actual: Tensor, expected: Tensor, x: Tensor) -> float:
    """The largest |actual - expected| of one convolution of x, as a share of the bound of a layer."""
    bias = None if layer.bias is None else layer.bias.abs()
    magnitude = layer._conv_forward(x.abs(), layer.weight.abs(), bias)
    bound = 8 * UNIT_ROUNDOFF * math.sqrt(layer.weight[0].numel() + 1) * magnitude
    difference = (actual - expected).abs()
    # Where everything read is zero, so is the bound: nothing but equality will do.
    return torch.where(difference == 0, 0.0, difference / bound).max().item()


@dataclass
class Times:
    """Seconds of the same work done by torch and by convext, pair by pair."""

    torch: list[float] = field(default_factory=list)
    convext: list[float] = field(default_factory=list)

    @property
    def medians(self) -> tuple[float, float]:
        return statistics.median(self.torch), statistics.median(self.convext)

    @property
    def speedup(self) -> float:
        """The median of torch's time / convext's, pair by pair: what slows the machine slows both."""
        return statistics.median(a / b for a, b in zip(self.torch, self.convext, strict=True))


def take_turns(turn: int, first: Callable[[], None], second: Callable[[], None], times: Times) -> None:
    """Time both, in the order A B in even turns and B A in odd ones."""
    contestants = [(first, times.torch), (second, times.convext)]
    for work, seconds in contestants if turn % 2 == 0 else reversed(contestants):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)


@torch.no_grad()
def race(model: nn.Module, twin: nn.Module, x: Tensor, turns: Iterable[int]) -> Times:
    """Time the forward pass of both in evaluation mode, after a first run of each to warm up."""
    times = Times()
    model.eval()(x)
    twin.eval()(x)
    for turn in turns:
        take_turns(turn, lambda: model(x), lambda: twin(x), times)
    return times


@dataclass
class Training:
    """What became of three copies of a model: torch's, convext's, and torch's in float64 as the exact one."""

    torch: nn.Module
    convext: nn.Module
    losses: dict[str, list[float]]
    times: Times

    @property
    def largest_difference(self) -> float:
        return max(self.difference("torch", "convext"))

    def difference(self, a: str, b: str) -> list[float]:
        """|loss of a - loss of b| after each step."""
        return [abs(p - q) for p, q in zip(self.losses[a], self.losses[b], strict=True)]


def train(
    model: nn.Module,
    batches: Iterable[Batch],
    loss_of: Callable[[nn.Module, Batch], Tensor],
    optimizer_of: Callable[[nn.Module], torch.optim.Optimizer],
) -> Training:
    """Train a torch copy, a swapped copy and a float64 copy of the model in lockstep on the same batches.

    `loss_of(model, batch)` is the loss, `optimizer_of(model)` makes a copy's optimizer. The model itself is
    left as it is. Only the first two are timed.
    """
    copies = {
        "torch": copy.deepcopy(model).train(),
        "convext": swapped_copy(model).train(),
        "float64": copy.deepcopy(model).double().train(),
    }
    optimizers = {name: optimizer_of(copy) for name, copy in copies.items()}
    losses: dict[str, list[float]] = {name: [] for name in copies}
    times = Times()

    def step(name: str, batch: Sequence[Tensor]) -> None:
        loss = loss_of(copies[name], tuple(batch))
        optimizers[name].zero_grad()
        loss.backward()
        optimizers[name].step()
        losses[name].append(loss.item())

    for turn, batch in enumerate(batches):
        take_turns(turn, partial(step, "torch", batch), partial(step, "convext", batch), times)
        step("float64", [t.double() if t.is_floating_point() else t for t in batch])
    return Training(copies["torch"], copies["convext"], losses, times)
