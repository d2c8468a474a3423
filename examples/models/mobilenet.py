"""MobileNetV2: inverted residuals, whose 3 x 3 convolutions are depthwise.

Sandler, Howard, Zhu, Zhmoginov and Chen: MobileNetV2: inverted residuals and linear bottlenecks. CVPR 2018
(table 2, width 1). Weights are drawn after He, Zhang, Ren and Sun: Delving deep into rectifiers. ICCV 2015.
"""

from torch import Tensor, nn


def convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution that keeps the image size (over the stride), BatchNorm and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Widen by 1 x 1, filter each channel by 3 x 3, project by 1 x 1.

    (n, c_in, h, w) -> (n, c_out, h / stride, w / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        widen = [convolution(in_channels, hidden, kernel=1)] if expansion != 1 else []
        self.branch = nn.Sequential(
            *widen,
            convolution(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.branch(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """Class scores of RGB images: (n, 3, h, w) -> (n, classes); 3,504,872 parameters for 1000 classes.

    >>> import torch
    >>> MobileNetV2()(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 1000])
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        stages = (  # expansion, channels, blocks, stride of the first block
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        )
        self.stem = convolution(3, 32, kernel=3, stride=2)
        blocks: list[nn.Module] = []
        channels = 32
        for expansion, width, count, stride in stages:
            for index in range(count):
                blocks.append(InvertedResidual(channels, width, stride if index == 0 else 1, expansion))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = convolution(channels, 1280, kernel=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(1280, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.pool(self.head(self.blocks(self.stem(images)))).flatten(1))
        return scores
