"""A network after WaveNet: gated causal convolutions of kernel size 2 whose dilation doubles.

van den Oord et al.: WaveNet: a generative model for raw audio. 2016, arXiv:1609.03499 (sections 2.1 to 2.4).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GatedLayer(nn.Module):
    """tanh(filter) * sigmoid(gate): (n, c, l) -> the residual (n, c, l) and the skip (n, skip, l)."""

    def __init__(self, channels: int, skip: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.filter_and_gate = nn.Conv1d(channels, 2 * channels, kernel_size=2, dilation=dilation)
        self.residual = nn.Conv1d(channels, channels, kernel_size=1)
        self.skip = nn.Conv1d(channels, skip, kernel_size=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        value, gate = self.filter_and_gate(F.pad(x, (self.dilation, 0))).chunk(2, dim=1)
        y = torch.tanh(value) * torch.sigmoid(gate)
        return x + self.residual(y), self.skip(y)


class WaveNet(nn.Module):
    """The logits of the next sample's level at each sample: (n, levels, l), one-hot -> (n, levels, l).

    >>> WaveNet(channels=8, skip=16, blocks=1)(torch.zeros(1, 256, 50)).shape
    torch.Size([1, 256, 50])
    """

    def __init__(
        self, levels: int = 256, channels: int = 64, skip: int = 256, blocks: int = 2, layers: int = 10
    ) -> None:
        super().__init__()
        self.embed = nn.Conv1d(levels, channels, kernel_size=1)
        self.layers = nn.ModuleList(
            GatedLayer(channels, skip, 2**layer) for _ in range(blocks) for layer in range(layers)
        )
        self.readout = nn.Sequential(
            nn.ReLU(), nn.Conv1d(skip, skip, kernel_size=1), nn.ReLU(), nn.Conv1d(skip, levels, kernel_size=1)
        )

    def forward(self, signal: Tensor) -> Tensor:
        x = self.embed(signal)
        skips = []
        for layer in self.layers:
            x, skip = layer(x)
            skips.append(skip)
        logits: Tensor = self.readout(torch.stack(skips).sum(0))
        return logits
