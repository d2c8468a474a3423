"""RegNetX-3.2GF: residual blocks whose 3 x 3 convolution has groups of 48 channels.

Radosavovic, Kosaraju, Girshick, He and Dollar: Designing network design spaces. CVPR 2020 (section 4 and
figure 16).
"""

from torch import Tensor, nn


def unit(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution and its normalisation."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class Block(nn.Module):
    """1 x 1, grouped 3 x 3, 1 x 1; a shortcut: (n, c_in, h, w) -> (n, c_out, h / stride, w / stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, group_width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            unit(in_channels, out_channels, 1),
            nn.ReLU(inplace=True),
            unit(out_channels, out_channels, 3, stride, out_channels // group_width),
            nn.ReLU(inplace=True),
            unit(out_channels, out_channels, 1),
        )
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same else unit(in_channels, out_channels, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.branch(x) + self.shortcut(x))
        return y


class RegNetX(nn.Module):
    """Class scores of RGB images: (n, 3, h, w) -> (n, classes); 15,296,552 parameters for 1000 classes.

    >>> import torch
    >>> RegNetX()(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 1000])
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [unit(3, 32, 3, stride=2), nn.ReLU(inplace=True)]
        channels = 32
        for depth, width in ((2, 96), (6, 192), (15, 432), (2, 1008)):
            for index in range(depth):
                layers.append(Block(channels, width, 2 if index == 0 else 1, group_width=48))
                channels = width
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.layers(images).mean((2, 3)))
        return scores
