"""How :func:`torch.vmap` maps the operators.

`B` convolutions are one convolution: of a batch `B` times as large if they share the weight, with `B` times
the channels of the result if they share the input, and else with `B` times the groups.
"""

from typing import Any

import torch
from torch import Tensor
from torch.library import register_vmap

_ops = torch.ops.convext


def _fold(x: Tensor, dim: int | None, size: int, into: int) -> Tensor:
    """Merges the mapped dimension into dimension `into` of a slice; a shared tensor is repeated first."""
    mapped = x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
    return mapped.movedim(0, into).flatten(into, into + 1)


def _unfold(x: Tensor, size: int, dim: int) -> tuple[Tensor, int]:
    """The inverse of `_fold`, with the place of the mapped dimension."""
    return x.unflatten(dim, (size, x.shape[dim] // size)), dim


def _register(op: Any, channels: int) -> None:
    """For conv_output and conv_input_grad; `channels`: the weight's dimension with the result's channels."""

    def rule(
        info: Any, in_dims: Any, x: Tensor, weight: Tensor, bias: Tensor | None, *args: Any
    ) -> tuple[Tensor, int]:
        x_dim, weight_dim, bias_dim, *_ = in_dims
        geometry, groups, rest = args[:4], args[4], args[5:]
        size = info.batch_size
        if weight_dim is None and bias_dim is None:
            return _unfold(op(_fold(x, x_dim, size, 0), weight, bias, *args), size, 0)
        if bias is not None:
            bias = _fold(bias, bias_dim, size, 0)
        if x_dim is None and groups == 1:
            weight = _fold(weight, weight_dim, size, channels)
        else:
            x, weight = _fold(x, x_dim, size, 1), _fold(weight, weight_dim, size, 0)
            groups *= size
        return _unfold(op(x, weight, bias, *geometry, groups, *rest), size, 1)

    register_vmap(op, rule)


_register(_ops.conv_output.default, 0)
_register(_ops.conv_input_grad.default, 1)


def _map_weight_grad(
    info: Any, in_dims: Any, output: Tensor, input: Tensor, *args: Any
) -> tuple[tuple[Tensor, Tensor], tuple[int, int | None]]:
    output_dim, input_dim, *_ = in_dims
    geometry, groups, mode, bias, *rest = args[:4], *args[4:]
    size, weight_dim = info.batch_size, 0
    if groups == 1 and input_dim is None:
        output = _fold(output, output_dim, size, 1)
    elif groups == 1 and output_dim is None:
        input, weight_dim = _fold(input, input_dim, size, 1), 1
    else:
        output, input = _fold(output, output_dim, size, 1), _fold(input, input_dim, size, 1)
        groups *= size
    weight, total = _ops.conv_weight_grad(output, input, *geometry, groups, mode, bias, *rest)
    weight, weight_dim = _unfold(weight, size, weight_dim)
    if not bias or weight_dim == 1:  # one for all
        return (weight, total), (weight_dim, None)
    return (weight, total.unflatten(0, (size, -1))), (weight_dim, 0)


register_vmap(_ops.conv_weight_grad.default, _map_weight_grad)
