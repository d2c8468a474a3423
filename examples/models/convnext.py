"""ConvNeXt-T: depthwise 7 x 7 convolutions and a two-layer perceptron at each pixel.

Liu, Mao, Wu, Feichtenhofer, Darrell and Xie: A ConvNet for the 2020s. CVPR 2022 (section 2 and
table 9). Without stochastic depth, which acts in training only.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel: (n, c, h, w) -> (n, c, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Depthwise 7 x 7, normalisation, 1 x 1 to four times the channels and back: (n, c, h, w) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, kernel_size=7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(F.gelu(self.widen(y)))
        added: Tensor = x + y.permute(0, 3, 1, 2)
        return added


class ConvNeXtT(nn.Module):
    """Class scores of RGB images: (n, 3, h, w) -> (n, classes); 28,589,128 parameters for 1000 classes.

    >>> ConvNeXtT()(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 1000])
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 96, kernel_size=4, stride=4), ChannelNorm(96, eps=1e-6)]
        channels = 96
        for depth, width in ((3, 96), (3, 192), (9, 384), (3, 768)):
            if width != channels:
                layers += [
                    ChannelNorm(channels, eps=1e-6),
                    nn.Conv2d(channels, width, kernel_size=2, stride=2),
                ]
            layers += [Block(width) for _ in range(depth)]
            channels = width
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.norm(self.layers(images).mean((2, 3))))
        return scores
