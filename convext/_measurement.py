"""Runs of a model with its convolution layers watched: what computes each, and how long that takes."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from convext import _C
from convext.conversion import is_converted, revert
from convext.explanation import Choice, PassedOn, Recorder

# A race runs at least MIN_PAIRS pairs, and more while it takes less than SECONDS.
_MIN_PAIRS, _MAX_PAIRS, _SECONDS = 3, 25, 1.0

Inputs = tuple[tuple[Any, ...], dict[str, Any]]  # by position, and by keyword
Run = Callable[[nn.Module, Inputs], object]
Layers = Mapping[str, nn.Module]


def inference(model: nn.Module, inputs: Inputs) -> object:
    positional, keywords = inputs
    with torch.no_grad():
        return model(*positional, **keywords)


def training_step(model: nn.Module, inputs: Inputs) -> object:
    """Forward and backward; the gradients are returned, and none is accumulated."""
    positional, keywords = inputs
    with torch.enable_grad():
        outputs = tree_leaves(model(*positional, **keywords))
        ends = [y for y in outputs if isinstance(y, Tensor) and y.requires_grad]
        leaves = [
            x for x in (*model.parameters(), *tree_leaves(inputs)) if getattr(x, "requires_grad", False)
        ]
        if not ends:
            raise ValueError("convext.report: nothing in the output of the model needs a gradient")
        return torch.autograd.grad(ends, leaves, [torch.ones_like(y) for y in ends], allow_unused=True)


@contextmanager
def unchanged(model: nn.Module, training: bool) -> Iterator[None]:
    """Training or evaluation mode by the flags alone, as a model's own train() may do more than to set them;
    afterwards the flags and the buffers are as before, but for buffers that had no values yet."""
    flags = [(module, module.training) for module in model.modules()]
    buffers = [
        (module._buffers, name, buffer)
        for module, _ in flags
        for name, buffer in module._buffers.items()
        if buffer is None or not is_lazy(buffer)
    ]
    values = [(buffer, buffer.clone()) for *_, buffer in buffers if buffer is not None]
    try:
        for module, _ in flags:
            module.training = training
        yield
    finally:
        for module, flag in flags:
            module.training = flag
        for table, name, buffer in buffers:  # the names first: a module may have given them to other tensors
            table[name] = buffer
        with torch.no_grad():
            for buffer, value in values:
                buffer.copy_(value)


@contextmanager
def _as_torch(model: nn.Module) -> Iterator[None]:
    """:func:`convext.revert` for the length of a `with` block, with :func:`convext.enable` undone.

    Undone for all threads, as the setting is the process's; what others disable meanwhile is lost.
    """
    classes = [(module, type(module)) for module in model.modules() if is_converted(module)]
    depth = 0
    try:
        while _C.is_enabled():
            _C.disable()
            depth += 1
        revert(model)
        yield
    finally:
        for module, cls in classes:
            module.__class__ = cls
        for _ in range(depth):
            _C.enable()


@contextmanager
def _watched(layers: Layers, enter: Callable[[str], None], leave: Callable[[str], None]) -> Iterator[None]:
    """Calls `enter` and `leave` with a layer's name around its own forward, inside of all other hooks, and
    around each step of its backward."""
    handles = []
    first_node: dict[str, int] = {}

    def before(name: str) -> None:
        first_node[name] = torch._C._autograd._get_sequence_nr()
        enter(name)

    def after(name: str, output: Any) -> None:
        leave(name)
        for node in _nodes(output, first_node[name]):
            node.register_prehook(lambda _: enter(name))
            node.register_hook(lambda *_: leave(name))

    try:
        for name, module in layers.items():
            handles.append(module.register_forward_pre_hook(lambda *_, name=name: before(name)))
            handles.append(
                module.register_forward_hook(lambda *args, name=name: after(name, args[2]), prepend=True)
            )
        yield
    finally:
        for handle in handles:
            handle.remove()


def _nodes(output: Any, first: int) -> list[Node]:
    """The steps of the backward pass that lead to `output`, from number `first` on."""
    accumulates = 2**64 - 1  # the number of the nodes that belong to parameters
    found: dict[Node, None] = {}
    queue = [y.grad_fn for y in tree_leaves(output) if isinstance(y, Tensor)]
    while queue:
        node = queue.pop()
        if node is not None and node not in found and first <= node._sequence_nr() < accumulates:
            found[node] = None
            queue += [before for before, _ in node.next_functions]
    return list(found)


def record(
    run: Run, model: nn.Module, layers: Layers, inputs: Inputs
) -> Mapping[str, list[Choice | PassedOn]]:
    """What computed each layer."""
    calls: dict[str, list[Choice | PassedOn]] = defaultdict(list)
    with Recorder() as recorder:

        def leave(name: str) -> None:
            calls[name] += recorder.calls

        with _watched(layers, lambda _: recorder.calls.clear(), leave):
            run(model, inputs)
    return calls


@dataclass
class Seconds:
    """Of the model, and of each layer."""

    model: float = 0.0
    layers: dict[str, float] = field(default_factory=dict)


def race(run: Run, model: nn.Module, layers: Layers, inputs: Inputs) -> tuple[Seconds, Seconds]:
    """The medians of the model as it is, and of the model with torch's layers."""
    ours: list[Seconds] = []
    theirs: list[Seconds] = []
    turns: list[tuple[list[Seconds], Callable[[], AbstractContextManager[None]]]]
    turns = [(ours, nullcontext), (theirs, partial(_as_torch, model))]
    start = perf_counter()
    # The first pair warms up.
    while len(ours) <= _MIN_PAIRS or (len(ours) <= _MAX_PAIRS and perf_counter() - start < _SECONDS):
        for runs, context in turns:
            with context():
                runs.append(_time(run, model, layers, inputs))
        turns.reverse()
    return _median(ours[1:]), _median(theirs[1:])


def _median(runs: list[Seconds]) -> Seconds:
    layers = {name: median(run.layers[name] for run in runs) for name in runs[0].layers}
    return Seconds(median(run.model for run in runs), layers)


def _time(run: Run, model: nn.Module, layers: Layers, inputs: Inputs) -> Seconds:
    seconds = dict.fromkeys(layers, 0.0)

    def enter(name: str) -> None:
        seconds[name] -= perf_counter()

    def leave(name: str) -> None:
        seconds[name] += perf_counter()

    with _watched(layers, enter, leave):
        start = perf_counter()
        run(model, inputs)
        return Seconds(perf_counter() - start, seconds)
