"""A layer's tensors, and its three passes as calls that can be timed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.arrays import Arrays
from benchmarks.layer import Layer

Convolution = Callable[[Tensor, Tensor, Tensor | None], Tensor]
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class Operands:
    """The tensors that a layer reads, forwards and backwards."""

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    output_grad: Tensor

    @classmethod
    def of(cls, arrays: Arrays, memory_format: str = "contiguous") -> "Operands":
        """The arrays as tensors, those of images in a memory format."""

        def tensor(array: np.ndarray) -> Tensor:
            x = torch.from_numpy(array)
            return x.contiguous(memory_format=MEMORY_FORMATS[memory_format]) if x.dim() == 4 else x

        bias = None if arrays.bias is None else tensor(arrays.bias)
        return cls(tensor(arrays.x), tensor(arrays.weight), bias, tensor(arrays.output_grad))

    def double(self) -> "Operands":
        bias = None if self.bias is None else self.bias.double()
        return Operands(self.x.double(), self.weight.double(), bias, self.output_grad.double())


def convolution(library: object, layer: Layer) -> Convolution:
    """The layer's convolution by torch.nn.functional or by convext, whose functions have the same names."""
    if layer.transposed:
        function = getattr(library, f"conv_transpose{layer.dimensions}d")
        return lambda x, weight, bias: function(
            x, weight, bias, layer.stride, layer.padding, 0, layer.groups, layer.dilation
        )
    function = getattr(library, f"conv{layer.dimensions}d")
    return lambda x, weight, bias: function(
        x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups
    )


def prepare(convolution: Convolution, operands: Operands, pass_: str) -> Callable[[], tuple[Tensor, ...]]:
    """One pass of a convolution: a call that returns its results.

    "output" runs without gradients; "input_grad" and "weight_grad" (with the bias's) run backwards through
    a graph that is recorded once, here.
    """
    x, weight = operands.x.detach(), operands.weight.detach()
    bias = None if operands.bias is None else operands.bias.detach()
    if pass_ == "output":

        def forward() -> tuple[Tensor, ...]:
            with torch.no_grad():
                return (convolution(x, weight, bias),)

        return forward
    leaves = [x] if pass_ == "input_grad" else [weight] if bias is None else [weight, bias]
    for leaf in leaves:
        leaf.requires_grad_()
    y = convolution(x, weight, bias)
    return lambda: torch.autograd.grad(y, leaves, operands.output_grad, retain_graph=True)


def error(results: tuple[Tensor, ...], exact: tuple[Tensor, ...]) -> float:
    """The largest |error| of the results, relative to the largest number of each."""
    return max(
        ((result.double() - reference).abs().max() / reference.abs().max().clamp(min=1e-300)).item()
        for result, reference in zip(results, exact, strict=True)
    )
