"""Which layers of a model are convext's, what computes them, and what that takes."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from convext import _measurement
from convext._tables import Row, as_html, as_text
from convext.conversion import is_converted, is_convolution, why_not
from convext.explanation import Choice, PassedOn


@dataclass(frozen=True)
class Layer:
    """A convolution layer of a model. What follows the reason is known only if the model was run."""

    name: str
    module: nn.Module
    converted: bool
    reason: str | None  # why convext.convert() leaves it alone
    calls: tuple[Choice | PassedOn, ...] = ()  # the different ones, in the order in which they ran
    seconds: float | None = None
    torch_seconds: float | None = None  # with torch.nn's layers in place of convext's, and convext disabled
    share: float | None = None  # of the time of the whole model

    @property
    def status(self) -> str:
        return "converted" if self.converted else f"not converted: {self.reason or 'it could be'}"

    @property
    def computed_by(self) -> tuple[str, ...]:
        """For each call "<algorithm> <kernel>", or "torch"."""
        return tuple(call.label for call in self.calls)

    @property
    def is_taken_over(self) -> bool:
        """Whether convext computes it though it is not converted: by :func:`convext.enable`, or as a layer of
        the user's calls it."""
        return not self.converted and any(isinstance(call, Choice) for call in self.calls)

    def to_dict(self) -> dict[str, Any]:
        """All that is known of the layer, as plain data."""
        return {
            "name": self.name,
            "module": _described(self.module),
            "converted": self.converted,
            "reason": self.reason,
            "calls": [call.to_dict() for call in self.calls],
            "seconds": self.seconds,
            "torch_seconds": self.torch_seconds,
            "share": self.share,
        }


@dataclass(frozen=True, repr=False)
class Report:
    """The convolution layers of a model; prints as a table."""

    layers: tuple[Layer, ...]
    seconds: float | None = None  # of the whole model
    torch_seconds: float | None = None  # of the whole model with torch.nn's layers

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON and the like.

        >>> report(torch.nn.Conv1d(3, 8, 3)).to_dict()["layers"][0]["module"]
        'Conv1d(3, 8, kernel_size=(3,), stride=(1,))'
        """
        return {
            "layers": [layer.to_dict() for layer in self.layers],
            "seconds": self.seconds,
            "torch_seconds": self.torch_seconds,
        }

    def __str__(self) -> str:
        return f"{as_text([self._header, *self._rows])}\n{self._summary}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"{as_html(self._rows, self._header)}<p>{self._summary}</p>"

    @property
    def _header(self) -> Row:
        if self.seconds is None:
            return ["layer", "module", "status"]
        return ["layer", "ms", "torch ms", "share", "algorithm", "kernel", "problem"]

    @property
    def _rows(self) -> list[Row]:
        if self.seconds is None:
            return [[_named(layer), _described(layer.module), layer.status] for layer in self.layers]
        return [row for layer in self.layers for row in _measured(layer)]

    @property
    def _summary(self) -> str:
        converted = sum(layer.converted for layer in self.layers)
        summary = f"{converted} of {len(self.layers)} convolution layers are convext's"
        if self.seconds is None or self.torch_seconds is None:
            return summary
        if taken_over := sum(layer.is_taken_over for layer in self.layers):
            summary += f", and it computes {taken_over} more"
        ours, theirs = _ms(self.seconds), _ms(self.torch_seconds)
        return f"{summary}; the model takes {ours} ms, with torch.nn's layers {theirs} ms"


def report(model: nn.Module, *example_inputs: Any, train: bool = False, **keyword_inputs: Any) -> Report:
    """Says of each convolution layer of a model whether it is convext's and, if not, why not.

    With inputs, the model is run on them. Then the report also says which algorithm and kernel computed each
    layer ("torch" where PyTorch did), how long it took, what share of the model's time that is, and how long
    it takes with torch.nn's layers in place of convext's: medians of runs that take turns, timed by hooks on
    the layers. The model is left as it was: its buffers and the random numbers are restored. Lazy layers are
    materialised, and their buffers keep the values that they start with.

    While convext is enabled, it is disabled for torch's turns; for all threads, as the setting is the
    process's. Other threads should not enable or disable it meanwhile. A layer that calls convext by itself,
    as a class derived from convext's does, calls it in torch's turns too.

    Args:
        model: any module, converted or not.
        example_inputs: the arguments of its `forward`.
        keyword_inputs: those that it takes by keyword; `model` and `train` cannot be among them.
        train: whether to run a training step, in training mode and with the backward pass of the sum of
            the outputs, in place of a forward pass in evaluation mode and without gradients. Then a layer's
            time is that of both passes.

    Returns:
        A :class:`Report`: print it, look at it in a notebook, read its `layers`, or take it as plain data by
        `to_dict()`.

    Raises:
        ValueError: if `train` is asked for and nothing in the output needs a gradient.

    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Conv3d(1, 1, 1))
    >>> print(convext.report(convext.convert(model)))
    layer  module                                                 status
    0      Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))        converted
    1      Conv3d(1, 1, kernel_size=(1, 1, 1), stride=(1, 1, 1))  not converted: ...
    1 of 2 convolution layers are convext's
    >>> print(convext.report(model[0], torch.randn(1, 3, 32, 32), train=True))
    layer    ms    torch ms  share  algorithm  kernel   problem
    (model)  ...  pass=output ...
             ...  pass=weight_grad ...
    1 of 1 convolution layers are convext's; the model takes ... ms, with torch.nn's layers ... ms
    """
    layers = {name: module for name, module in model.named_modules() if is_convolution(module)}
    inputs = example_inputs, keyword_inputs
    if not any(inputs):
        rows = [Layer(name, module, is_converted(module), why_not(module)) for name, module in layers.items()]
        return Report(tuple(rows))
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        if any(map(is_lazy, model.buffers())):
            # A run gives them their first values, which can then be restored as those of other buffers.
            with _measurement.unchanged(model, training=False):
                _measurement.inference(model, inputs)
        stack.enter_context(_measurement.unchanged(model, training=train))
        run = _measurement.training_step if train else _measurement.inference
        calls = _measurement.record(run, model, layers, inputs)
        ours, theirs = _measurement.race(run, model, layers, inputs)
    rows = [
        Layer(
            name,
            module,
            is_converted(module),
            why_not(module),
            tuple({str(call): call for call in calls[name]}.values()),
            ours.layers[name],
            theirs.layers[name],
            ours.layers[name] / ours.model,
        )
        for name, module in layers.items()
    ]
    return Report(tuple(rows), ours.model, theirs.model)


def _named(layer: Layer) -> str:
    return layer.name or "(model)"


def _described(module: nn.Module) -> str:
    # Not the module's repr: that of a parametrized layer has many lines.
    return f"{type(module).__name__}({module.extra_repr()})"


def _ms(seconds: float | None) -> str:
    return f"{1e3 * (seconds or 0):.2f}"


def _measured(layer: Layer) -> list[Row]:
    """A line for each call of a layer; the first one has what is known of them together."""
    first = [_named(layer), _ms(layer.seconds), _ms(layer.torch_seconds), f"{layer.share or 0:.1%}"]
    if not layer.calls:
        said = [["not called", "-", layer.status]]
    elif not layer.converted and not layer.is_taken_over:
        said = [["torch", "-", layer.status]]
    else:
        said = [
            [call.plan["algorithm"], call.plan["kernel"] or "-", call.problem]
            if isinstance(call, Choice)
            else [call.label, "-", str(call)]
            for call in layer.calls
        ]
    return [[*first, *said[0]], *([""] * len(first) + more for more in said[1:])]
