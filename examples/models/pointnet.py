"""PointNet, which classifies sets of points, and its T-Net, which brings them into a common pose.

Qi, Su, Mo and Guibas: PointNet: deep learning on point sets for 3D classification and segmentation. CVPR 2017
(section 4.2, figure 2 and supplementary section C).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn


def pointwise(*channels: int) -> nn.Sequential:
    """Every point goes through the same layers: (n, channels[0], p) -> (n, channels[-1], p)."""
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(channels):
        layers += [nn.Conv1d(narrow, wide, kernel_size=1), nn.BatchNorm1d(wide), nn.ReLU()]
    return nn.Sequential(*layers)


class TNet(nn.Module):
    """A k x k matrix for each set of p points, whatever their order: (n, k, p) -> (n, k, k).

    Every point goes through the same three layers (convolutions of kernel size 1), the maximum over the
    points through three linear ones. The last starts at zero and the identity is added, so that an
    untrained network returns it.

    >>> import torch
    >>> TNet(k=2)(torch.randn(4, 2, 10))[0]
    tensor([[1., 0.],
            [0., 1.]], grad_fn=<SelectBackward0>)
    """

    def __init__(self, k: int = 3) -> None:
        super().__init__()
        self.points = pointwise(k, 64, 128, 1024)
        self.matrix = nn.Sequential(
            nn.Linear(1024, 512),
            nn.BatchNorm1d(512),
            nn.ReLU(),
            nn.Linear(512, 256),
            nn.BatchNorm1d(256),
            nn.ReLU(),
            nn.Linear(256, k * k),
            nn.Unflatten(1, (k, k)),
        )
        readout = self.matrix[-2]
        assert isinstance(readout, nn.Linear)
        nn.init.zeros_(readout.weight)
        nn.init.zeros_(readout.bias)

    def forward(self, points: Tensor) -> Tensor:
        matrix: Tensor = self.matrix(self.points(points).amax(dim=2))
        return matrix + torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)


class PointNet(nn.Module):
    """Class scores of sets of p points, whatever their order: (n, 3, p) -> (n, classes).

    >>> import torch
    >>> PointNet()(torch.randn(2, 3, 100)).shape
    torch.Size([2, 40])
    """

    def __init__(self, classes: int = 40) -> None:
        super().__init__()
        self.align_points = TNet(3)
        self.features = pointwise(3, 64, 64)
        self.align_features = TNet(64)
        self.global_features = pointwise(64, 64, 128, 1024)
        self.classifier = nn.Sequential(
            nn.Linear(1024, 512),
            nn.BatchNorm1d(512),
            nn.ReLU(),
            nn.Linear(512, 256),
            nn.BatchNorm1d(256),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(256, classes),
        )

    def forward(self, points: Tensor) -> Tensor:
        features = self.features(self.align_points(points) @ points)
        features = self.global_features(self.align_features(features) @ features)
        scores: Tensor = self.classifier(features.amax(dim=2))
        return scores
