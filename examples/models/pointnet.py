"""PointNet's T-Net: from a set of points, the matrix that brings them into a common pose.

Qi, Su, Mo and Guibas: PointNet: deep learning on point sets for 3D classification and segmentation. CVPR 2017
(section 4.2 and supplementary section C).
"""

import torch
from torch import Tensor, nn


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
        self.points = nn.Sequential(
            nn.Conv1d(k, 64, kernel_size=1),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Conv1d(64, 128, kernel_size=1),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Conv1d(128, 1024, kernel_size=1),
            nn.BatchNorm1d(1024),
            nn.ReLU(),
        )
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
