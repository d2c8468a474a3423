"""What can compute a layer in this process: convext, and PyTorch in several settings."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

import convext
from benchmarks.layer import Layer
from benchmarks.passes import Operands, convolution, prepare
from convext.explanation import Choice, Recorder

Work = Callable[[], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Library:
    """A way to compute a pass of a layer; `prepare` returns None for what it cannot compute."""

    name: str
    prepare: Callable[[Layer, Operands, str], Work | None]
    settings: Callable[[], AbstractContextManager[object]] = nullcontext


def _torch(layer: Layer, operands: Operands, pass_: str) -> Work:
    return prepare(convolution(F, layer), operands, pass_)


def _convext(layer: Layer, operands: Operands, pass_: str) -> Work:
    return prepare(convolution(convext, layer), operands, pass_)


def _without_mkldnn(layer: Layer, operands: Operands, pass_: str) -> Work:
    with _mkldnn_off():  # the graph that is recorded here decides what runs backwards
        return _torch(layer, operands, pass_)


@contextmanager
def _mkldnn_off() -> Iterator[None]:
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def _mkldnn_layout(layer: Layer, operands: Operands, pass_: str) -> Work | None:
    """oneDNN on tensors in its own layout: what it can do when nothing is converted."""
    if pass_ != "output" or layer.transposed or operands.x.dtype != torch.float32:
        return None
    x = operands.x.to_mkldnn()
    reorder = getattr(torch._C._nn, f"mkldnn_reorder_conv{layer.dimensions}d_weight", None)
    if reorder is None:
        return None
    weight = reorder(operands.weight.to_mkldnn(), layer.padding, layer.stride, layer.dilation, layer.groups)
    bias = None if operands.bias is None else operands.bias.to_mkldnn()
    return prepare(convolution(F, layer), Operands(x, weight, bias, operands.output_grad), pass_)


def _compiled(layer: Layer, operands: Operands, pass_: str) -> Work:
    torch._functorch.config.donated_buffer = False  # a graph is run backwards more than once here
    torch._dynamo.reset()
    return prepare(torch.compile(convolution(F, layer), dynamic=False), operands, pass_)


CONVEXT = Library("convext", _convext)
OTHERS = {
    library.name: library
    for library in (
        Library("torch", _torch),
        Library("torch-nomkldnn", _without_mkldnn, _mkldnn_off),
        Library("torch-mkldnn-layout", _mkldnn_layout),
        Library("torch-compile", _compiled),
    )
}


def torch_backend(layer: Layer, operands: Operands) -> str:
    """The implementation that PyTorch chooses for a layer, such as Mkldnn or Slow2d."""
    backend = torch._C._select_conv_backend(
        operands.x,
        operands.weight,
        operands.bias,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.transposed,
        [0] * layer.dimensions,
        layer.groups,
        None if operands.bias is None else list(operands.bias.shape),
    )
    # PyTorch 2.13 forgot to name this one.
    return "MkldnnTranspose" if backend.name == "???" else str(backend.name)


def convext_choice(work: Work) -> Choice | None:
    """How convext computes a call; None if PyTorch does."""
    with Recorder() as recorder:
        work()
    return next((call for call in recorder.calls if isinstance(call, Choice)), None)
