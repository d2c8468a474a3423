"""U-Net: down by pooling, up by transposed convolutions, with shortcuts across.

Ronneberger, Fischer and Brox: U-Net: convolutional networks for biomedical image segmentation. MICCAI 2015
(figure 1). As in most implementations since, images are padded, so that the output is as large as the input,
and activations are normalised.
"""

import torch
from torch import Tensor, nn


def double(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two 3 x 3 convolutions: (n, c_in, h, w) -> (n, c_out, h, w)."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [
            nn.Conv2d(channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Class scores of each pixel: (n, c, h, w) -> (n, classes, h, w); h and w are multiples of 16.

    >>> UNet(width=8)(torch.zeros(1, 1, 64, 48)).shape
    torch.Size([1, 2, 64, 48])
    """

    def __init__(self, channels: int = 1, classes: int = 2, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        self.down = nn.ModuleList(map(double, [channels, *widths], widths))
        self.pool = nn.MaxPool2d(2)
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(deep, flat, 2, stride=2) for deep, flat in pairs)
        self.up = nn.ModuleList(double(deep, flat) for deep, flat in pairs)
        self.readout = nn.Conv2d(width, classes, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.down[0](images)
        across = []
        for stage in self.down[1:]:
            across.append(x)
            x = stage(self.pool(x))
        for enlarge, stage in zip(self.enlarge, self.up, strict=True):
            x = stage(torch.cat([across.pop(), enlarge(x)], dim=1))
        scores: Tensor = self.readout(x)
        return scores
