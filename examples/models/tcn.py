"""A temporal convolutional network: residual blocks of dilated causal convolutions.

Bai, Kolter and Koltun: An empirical evaluation of generic convolutional and recurrent networks for sequence
modeling. 2018, arXiv:1803.01271 (section 3). Weight normalisation as there; no dropout.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


class CausalConv1d(nn.Module):
    """A convolution that sees the present and the past only: (n, c_in, l) -> (n, c_out, l)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.past = (kernel - 1) * dilation
        self.conv = weight_norm(nn.Conv1d(in_channels, out_channels, kernel, dilation=dilation))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(F.pad(x, (self.past, 0)))
        return y


class TemporalBlock(nn.Module):
    """Two causal convolutions of one dilation, and a shortcut: (n, c_in, l) -> (n, c_out, l)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            CausalConv1d(in_channels, out_channels, kernel, dilation),
            nn.ReLU(),
            CausalConv1d(out_channels, out_channels, kernel, dilation),
            nn.ReLU(),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv1d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


class TCN(nn.Module):
    """One signal from another, causally: (n, c_in, l) -> (n, c_out, l).

    The dilation doubles from block to block, so that an output sees the last `receptive_field` samples.

    >>> import torch
    >>> network = TCN(channels=8, blocks=3)
    >>> network(torch.zeros(2, 1, 100)).shape, network.receptive_field
    (torch.Size([2, 1, 100]), 29)
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        channels: int = 32,
        blocks: int = 6,
        kernel: int = 3,
    ) -> None:
        super().__init__()
        self.receptive_field = 1 + 2 * (kernel - 1) * (2**blocks - 1)
        self.blocks = nn.Sequential(
            *(TemporalBlock(channels if i else in_channels, channels, kernel, 2**i) for i in range(blocks))
        )
        self.readout = nn.Conv1d(channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.readout(self.blocks(x))
        return y
