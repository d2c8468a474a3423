"""Which layers of a model are convext's, what computes them, and what that takes."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import nn

from convext.conversion import is_converted, is_convolution, why_not
from convext.explanation import Recorder

_TIMED_RUNS = 3


@dataclass(frozen=True)
class Layer:
    """A convolution layer of a model. What follows the reason is known only if the model was run."""

    name: str
    module: nn.Module
    converted: bool
    reason: str | None  # why convext.convert() leaves it alone
    computed_by: tuple[str, ...] = ()  # "<algorithm> <kernel>", or "torch"
    seconds: float | None = None
    share: float | None = None  # of the time of the whole model

    @property
    def status(self) -> str:
        return "converted" if self.converted else f"not converted: {self.reason or 'it could be'}"


@dataclass(frozen=True, repr=False)
class Report:
    """The convolution layers of a model; prints as a table."""

    layers: tuple[Layer, ...]
    seconds: float | None = None  # of the whole model

    def __str__(self) -> str:
        converted = sum(layer.converted for layer in self.layers)
        summary = f"{converted} of {len(self.layers)} convolution layers are convext's"
        if self.seconds is None:
            header = ["layer", "module", "status"]
            rows = [[*_identity(layer), layer.status] for layer in self.layers]
        else:
            header = ["layer", "module", "ms", "share", "computed by"]
            rows = [[*_identity(layer), *_cost(layer)] for layer in self.layers]
            summary += f"; the model takes {1e3 * self.seconds:.2f} ms"
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (header, *rows)]
        return "\n".join([*lines, summary])

    __repr__ = __str__


def report(model: nn.Module, *example_inputs: Any) -> Report:
    """Says of each convolution layer of a model whether it is convext's and, if not, why not.

    With inputs, the model is run on them, in evaluation mode and without gradients. Then the report also says
    which algorithm and kernel computed each layer ("torch" where PyTorch did), how long it took, and what
    share of the model's time that is: the fastest of three runs, timed by hooks.

    Args:
        model: any module, converted or not.
        example_inputs: the arguments of its `forward`.

    Returns:
        A :class:`Report`: print it, or read its `layers`.

    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Conv3d(1, 1, 1))
    >>> print(convext.report(convext.convert(model)))
    layer  module                                                 status
    0      Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))        converted
    1      Conv3d(1, 1, kernel_size=(1, 1, 1), stride=(1, 1, 1))  not converted: ...
    1 of 2 convolution layers are convext's
    """
    layers = {name: module for name, module in model.named_modules() if is_convolution(module)}
    if not example_inputs:
        rows = [Layer(name, module, is_converted(module), why_not(module)) for name, module in layers.items()]
        return Report(tuple(rows))
    with _evaluating(model), torch.no_grad():
        computed_by = _record(model, layers, example_inputs)
        total, seconds = min(
            (_time(model, layers, example_inputs) for _ in range(_TIMED_RUNS)), key=lambda run: run[0]
        )
    rows = [
        Layer(
            name,
            module,
            is_converted(module),
            why_not(module),
            tuple(dict.fromkeys(computed_by[name])),
            seconds[name],
            seconds[name] / total,
        )
        for name, module in layers.items()
    ]
    return Report(tuple(rows), total)


def _identity(layer: Layer) -> list[str]:
    # Not the module's repr: that of a parametrized layer has many lines.
    return [layer.name or "(model)", f"{type(layer.module).__name__}({layer.module.extra_repr()})"]


def _cost(layer: Layer) -> list[str]:
    computed_by = ", ".join(layer.computed_by) or "not called"
    return [
        f"{1e3 * (layer.seconds or 0):.2f}",
        f"{layer.share or 0:.1%}",
        computed_by if layer.converted else f"{computed_by} ({layer.status})",
    ]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode by the flags alone: a model's own train() may do more than to set them."""
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _hooked(
    layers: dict[str, nn.Module], enter: Callable[[str], None], leave: Callable[[str], None]
) -> Iterator[None]:
    """Calls `enter` and `leave` with a layer's name around its own forward, inside of all other hooks."""
    handles = []
    try:
        for name, module in layers.items():
            handles.append(module.register_forward_pre_hook(lambda *_, name=name: enter(name)))
            handles.append(module.register_forward_hook(lambda *_, name=name: leave(name), prepend=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _record(model: nn.Module, layers: dict[str, nn.Module], inputs: tuple[Any, ...]) -> dict[str, list[str]]:
    """What computed each layer."""
    computed_by: dict[str, list[str]] = defaultdict(list)
    with Recorder() as recorder:

        def enter(name: str) -> None:
            recorder.calls.clear()

        def leave(name: str) -> None:
            computed_by[name] += [call.label for call in recorder.calls]

        with _hooked(layers, enter, leave):
            model(*inputs)
    return computed_by


def _time(
    model: nn.Module, layers: dict[str, nn.Module], inputs: tuple[Any, ...]
) -> tuple[float, dict[str, float]]:
    """Seconds of one run: of the model, and of each layer."""
    seconds = dict.fromkeys(layers, 0.0)

    def enter(name: str) -> None:
        seconds[name] -= perf_counter()

    def leave(name: str) -> None:
        seconds[name] += perf_counter()

    with _hooked(layers, enter, leave):
        start = perf_counter()
        model(*inputs)
        total = perf_counter() - start
    return total, seconds
