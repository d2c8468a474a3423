"""A segmentation network after DeepLab: ResNet-50 features, then 3 x 3 convolutions of growing dilation.

Chen, Papandreou, Schroff and Adam: Rethinking atrous convolution for semantic image segmentation. 2017,
arXiv:1706.05587 (section 3.3, at output stride 16). The backbone's last stage keeps its stride of 2 and is
read one stage earlier instead of being dilated: the same size of image reaches the dilated layers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .resnet import ResNet50


def unit(in_channels: int, out_channels: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """A convolution that keeps the size of the image, its normalisation and ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class SpatialPyramid(nn.Module):
    """The same pixels seen at several scales, and their mean: (n, c_in, h, w) -> (n, c_out, h, w)."""

    def __init__(self, in_channels: int, out_channels: int, dilations: tuple[int, ...] = (6, 12, 18)) -> None:
        super().__init__()
        self.scales = nn.ModuleList([unit(in_channels, out_channels, 1)])
        self.scales.extend(unit(in_channels, out_channels, 3, dilation) for dilation in dilations)
        self.mean = nn.Conv2d(in_channels, out_channels, kernel_size=1)
        self.project = unit(out_channels * (len(dilations) + 2), out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scales = [scale(x) for scale in self.scales]
        mean = F.relu(self.mean(x.mean((2, 3), keepdim=True))).expand(-1, -1, *x.shape[2:])
        y: Tensor = self.project(torch.cat([*scales, mean], dim=1))
        return y


class DeepLab(nn.Module):
    """Class scores of each pixel: (n, 3, h, w) -> (n, classes, h, w).

    >>> DeepLab()(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 21, 64, 64])
    """

    def __init__(self, classes: int = 21) -> None:
        super().__init__()
        backbone = ResNet50()
        self.features = nn.Sequential(backbone.stem, backbone.blocks[:-3])
        self.pyramid = SpatialPyramid(1024, 256)
        self.head = nn.Sequential(unit(256, 256, 3), nn.Conv2d(256, classes, kernel_size=1))

    def forward(self, images: Tensor) -> Tensor:
        scores = self.head(self.pyramid(self.features(images)))
        return F.interpolate(scores, images.shape[2:], mode="bilinear")
