"""Convolutions as functions, with the signatures of :mod:`torch.nn.functional`.

Each calls an operator of `torch.ops.convext`, which is differentiable to any order, in both directions, and
works under autocast, `torch.func`, `torch.compile` and with tensor subclasses. float32 and float64 tensors on
the CPU are computed by convext; anything else, and every call with wrong arguments, is passed on to PyTorch,
so that errors are PyTorch's own.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.compiler import assume_constant_result, is_dynamo_compiling

from convext import _C

# torch.compile cannot look into functions that are written in C++, but knows operators.
_ops: Any = torch.ops.convext


def _sizes(value: Any) -> Any:
    """Operators, unlike functions, take no number for a list."""
    return (value,) if isinstance(value, int) else value


# torch.compile calls it; it would take the condition to be false.
@assume_constant_result  # type: ignore[untyped-decorator]
def refuse_onnx_export() -> None:
    """Raises if this call is traced for ONNX: the export would fail at its end, and not say what to do."""
    if torch.onnx.is_in_onnx_export():
        raise RuntimeError("ONNX has no operators of convext: export the model after convext.revert(model)")


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Tensor:
    """Convolves a signal, as :func:`torch.nn.functional.conv1d` does.

    `output[n, o, x]` is `bias[o]` plus the sum over `c` and `k` of
    `input[n, c, stride * x + dilation * k - padding] * weight[o, c, k]`, where `c` runs over the channels of
    `o`'s group. (A cross-correlation: the kernel is not flipped.)

    Args:
        input: `(N, C, L)` or `(C, L)`. float32 and float64 on the CPU is convext's to compute; what is of
            another dtype or on another device goes to PyTorch.
        weight: `(O, C / groups, K)`, of the input's dtype.
        bias: `(O)`, or None.
        stride: the step between outputs, at least 1.
        padding: how far the input is extended at both ends: a number, or "valid" (0), "same" (as many
            outputs as inputs; where that needs an odd number, one more at the end; stride 1 only) or "full"
            (`dilation * (K - 1)`: every output that touches the input).
        dilation: the step between taps, at least 1.
        groups: output channel `o` sees only the input channels of its own group.
        padding_mode: what lies in the padding: "zeros", or "reflect" (of fewer numbers than the input has),
            "replicate" or "circular" (of no more than the input has) as in
            :func:`torch.nn.functional.pad`; with these three, negative padding takes numbers away.

    Returns:
        `(N, O, M)` or `(O, M)` with `M = (L + 2 * padding - dilation * (K - 1) - 1) // stride + 1`.

    Raises:
        RuntimeError, ValueError, TypeError: as PyTorch does for the same arguments.

    >>> signal, kernel = torch.tensor([[1., 2, 3, 4, 5]]), torch.tensor([[[1., 0, -1]]])
    >>> conv1d(signal, kernel)
    tensor([[-2., -2., -2.]])
    >>> conv1d(signal, kernel, padding="same")
    tensor([[-2., -2., -2., -2.,  4.]])
    >>> conv1d(signal, kernel, padding="full")
    tensor([[-1., -2., -2., -2., -2.,  4.,  5.]])
    """
    if is_dynamo_compiling():
        refuse_onnx_export()
        traced: Tensor = _ops.conv1d(
            input, weight, bias, _sizes(stride), _sizes(padding), _sizes(dilation), groups, padding_mode
        )
        return traced
    return _C.conv1d(input, weight, bias, stride, padding, dilation, groups, padding_mode)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Tensor:
    """Convolves an image, as :func:`torch.nn.functional.conv2d` does.

    The definition is that of :func:`conv1d` in both directions at once; every argument that is a number
    there may be a pair (height, width) here.

    Args:
        input: `(N, C, H, W)` or `(C, H, W)`; contiguous or channels_last. Dtypes and devices as for
            :func:`conv1d`.
        weight: `(O, C / groups, KH, KW)`.
        bias, stride, padding, dilation, groups, padding_mode: see :func:`conv1d`.

    Returns:
        `(N, O, OH, OW)` or `(O, OH, OW)`, where OH and OW follow from H and W as :func:`conv1d`'s M from L;
        channels_last if the input or the weight is.

    Raises:
        RuntimeError, ValueError, TypeError: as PyTorch does for the same arguments.

    >>> image = torch.arange(9.).reshape(1, 3, 3)
    >>> conv2d(image, torch.ones(1, 1, 3, 3), padding=1)
    tensor([[[ 8., 15., 12.],
             [21., 36., 27.],
             [20., 33., 24.]]])
    >>> conv2d(image, torch.ones(1, 1, 3, 3), padding=1, padding_mode="circular")
    tensor([[[36., 36., 36.],
             [36., 36., 36.],
             [36., 36., 36.]]])
    """
    if is_dynamo_compiling():
        refuse_onnx_export()
        traced: Tensor = _ops.conv2d(
            input, weight, bias, _sizes(stride), _sizes(padding), _sizes(dilation), groups, padding_mode
        )
        return traced
    return _C.conv2d(input, weight, bias, stride, padding, dilation, groups, padding_mode)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Transposed convolution of a signal, as :func:`torch.nn.functional.conv_transpose1d` computes it.

    It is the gradient of :func:`conv1d` with respect to its input: each input value adds a scaled copy of the
    kernel to the output, `stride` apart.

    Args:
        input: `(N, C, L)` or `(C, L)`. Dtypes and devices as for :func:`conv1d`.
        weight: `(C, O / groups, K)`.
        bias: `(O)`, or None.
        stride: the step between the copies, at least 1.
        padding: how much is cut off at both ends.
        output_padding: how much longer the output is at its end: less than stride, or less than dilation.
        groups, dilation: see :func:`conv1d`.

    Returns:
        `(N, O, M)` or `(O, M)` with
        `M = (L - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1`.

    Raises:
        RuntimeError, ValueError, TypeError: as PyTorch does for the same arguments.

    >>> conv_transpose1d(torch.tensor([[1., 10]]), torch.tensor([[[1., 2, 3]]]), stride=2)
    tensor([[ 1.,  2., 13., 20., 30.]])
    """
    if is_dynamo_compiling():
        refuse_onnx_export()
        traced: Tensor = _ops.conv_transpose1d(
            input,
            weight,
            bias,
            _sizes(stride),
            _sizes(padding),
            _sizes(output_padding),
            groups,
            _sizes(dilation),
        )
        return traced
    return _C.conv_transpose1d(input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Transposed convolution of an image, as :func:`torch.nn.functional.conv_transpose2d` computes it.

    The definition is that of :func:`conv_transpose1d` in both directions at once; every argument that is a
    number there may be a pair (height, width) here.

    Args:
        input: `(N, C, H, W)` or `(C, H, W)`; contiguous or channels_last. Dtypes and devices as for
            :func:`conv1d`.
        weight: `(C, O / groups, KH, KW)`.
        bias, stride, padding, output_padding, groups, dilation: see :func:`conv_transpose1d`.

    Returns:
        `(N, O, OH, OW)` or `(O, OH, OW)`, where OH and OW follow from H and W as
        :func:`conv_transpose1d`'s M from L; channels_last if the input or the weight is.

    Raises:
        RuntimeError, ValueError, TypeError: as PyTorch does for the same arguments.

    >>> conv_transpose2d(torch.ones(1, 1, 2), torch.tensor([[[[1., 2], [3, 4]]]]), stride=2)
    tensor([[[1., 2., 1., 2.],
             [3., 4., 3., 4.]]])
    """
    if is_dynamo_compiling():
        refuse_onnx_export()
        traced: Tensor = _ops.conv_transpose2d(
            input,
            weight,
            bias,
            _sizes(stride),
            _sizes(padding),
            _sizes(output_padding),
            groups,
            _sizes(dilation),
        )
        return traced
    return _C.conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)
