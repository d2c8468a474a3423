"""Convolution layers: :mod:`torch.nn`'s own classes, with convext's arithmetic.

Each is a subclass that overrides nothing but the computation, so that initialisation (the same random
numbers), state_dict, repr, hooks, pickling and everything that asks `isinstance(layer, torch.nn.Conv2d)`
stay as they are.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from convext.functional import conv1d, conv2d, conv_transpose1d, conv_transpose2d


class _FullPadding(_ConvNd):
    """Takes padding="full" for the numbers that it means: torch.nn's classes, and so `revert`, know these.

    It is a base class behind torch.nn.Conv1d or Conv2d, which call it with tuples.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: str | tuple[int, ...],
        dilation: tuple[int, ...],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if padding == "full":
            padding = tuple(d * (k - 1) for k, d in zip(kernel_size, dilation, strict=True))
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, *args, **kwargs)


class Conv1d(nn.Conv1d, _FullPadding):
    """A one-dimensional convolution layer: :class:`torch.nn.Conv1d`, computed by :func:`convext.conv1d`.

    Arguments, attributes, shapes and errors are those of :class:`torch.nn.Conv1d`; `padding` may also be
    "full", which stands for `dilation * (kernel_size - 1)`.

    >>> layer = Conv1d(16, 33, 3, stride=2)
    >>> layer(torch.randn(20, 16, 50)).shape
    torch.Size([20, 33, 24])
    >>> Conv1d(1, 1, 3, padding="full", dilation=2)
    Conv1d(1, 1, kernel_size=(3,), stride=(1,), padding=(4,), dilation=(2,))
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return conv1d(
            input, weight, bias, self.stride, self.padding, self.dilation, self.groups, self.padding_mode
        )


class Conv2d(nn.Conv2d, _FullPadding):
    """A two-dimensional convolution layer: :class:`torch.nn.Conv2d`, computed by :func:`convext.conv2d`.

    Arguments, attributes, shapes and errors are those of :class:`torch.nn.Conv2d`; `padding` may also be
    "full", which stands for `dilation * (kernel_size - 1)`.

    >>> layer = Conv2d(16, 33, (3, 5), stride=(2, 1), padding=(4, 2), dilation=(3, 1))
    >>> layer(torch.randn(20, 16, 50, 100)).shape
    torch.Size([20, 33, 26, 100])
    >>> isinstance(layer, torch.nn.Conv2d)
    True
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return conv2d(
            input, weight, bias, self.stride, self.padding, self.dilation, self.groups, self.padding_mode
        )


class ConvTranspose1d(nn.ConvTranspose1d):
    """A one-dimensional transposed convolution layer: :class:`torch.nn.ConvTranspose1d`, computed by
    :func:`convext.conv_transpose1d`. Arguments, attributes, shapes and errors are PyTorch's.

    >>> ConvTranspose1d(16, 8, 4, stride=2, padding=1)(torch.randn(2, 16, 25)).shape
    torch.Size([2, 8, 50])
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        k, s, p, d = self.kernel_size, self.stride, self.padding, self.dilation
        more = self._output_padding(input, output_size, s, p, k, 1, d)  # type: ignore[arg-type]
        return conv_transpose1d(input, self.weight, self.bias, s, p, more, self.groups, d)  # type: ignore[arg-type]


class ConvTranspose2d(nn.ConvTranspose2d):
    """A two-dimensional transposed convolution layer: :class:`torch.nn.ConvTranspose2d`, computed by
    :func:`convext.conv_transpose2d`. Arguments, attributes, shapes and errors are PyTorch's.

    >>> up = ConvTranspose2d(16, 8, 3, stride=2, padding=1)
    >>> up(torch.randn(2, 16, 6, 6), output_size=[12, 12]).shape
    torch.Size([2, 8, 12, 12])
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        k, s, p, d = self.kernel_size, self.stride, self.padding, self.dilation
        more = self._output_padding(input, output_size, s, p, k, 2, d)  # type: ignore[arg-type]
        return conv_transpose2d(input, self.weight, self.bias, s, p, more, self.groups, d)  # type: ignore[arg-type]


class LazyConv1d(nn.LazyConv1d, Conv1d):  # type: ignore[misc]
    """A :class:`Conv1d` that learns `in_channels` from its first input, as :class:`torch.nn.LazyConv1d` does.

    >>> layer = LazyConv1d(8, 3)
    >>> layer(torch.randn(2, 5, 9)).shape, layer
    (torch.Size([2, 8, 7]), Conv1d(5, 8, kernel_size=(3,), stride=(1,)))
    """

    cls_to_become = Conv1d


class LazyConv2d(nn.LazyConv2d, Conv2d):  # type: ignore[misc]
    """A :class:`Conv2d` that learns `in_channels` from its first input, as :class:`torch.nn.LazyConv2d` does.

    >>> LazyConv2d(8, 3)(torch.randn(2, 5, 9, 7)).shape
    torch.Size([2, 8, 7, 5])
    """

    cls_to_become = Conv2d


class LazyConvTranspose1d(nn.LazyConvTranspose1d, ConvTranspose1d):  # type: ignore[misc]
    """A :class:`ConvTranspose1d` that learns `in_channels` from its first input, as torch.nn's does.

    >>> LazyConvTranspose1d(8, 3)(torch.randn(2, 5, 9)).shape
    torch.Size([2, 8, 11])
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(nn.LazyConvTranspose2d, ConvTranspose2d):  # type: ignore[misc]
    """A :class:`ConvTranspose2d` that learns `in_channels` from its first input, as torch.nn's does.

    >>> LazyConvTranspose2d(8, 3)(torch.randn(2, 5, 9, 7)).shape
    torch.Size([2, 8, 11, 9])
    """

    cls_to_become = ConvTranspose2d
