"""A small convolutional network for 8 x 8 grey images of digits.

After LeNet-5: convolutions and pooling, then one linear layer, with 3 x 3 kernels, ReLU and maximum pooling.
LeCun, Bottou, Bengio and Haffner: Gradient-based learning applied to document recognition. Proceedings of
the IEEE 86(11), 1998.
"""

from torch import Tensor, nn


class DigitsCNN(nn.Module):
    """Class scores of 8 x 8 images: (n, 1, 8, 8) -> (n, classes).

    >>> import torch
    >>> DigitsCNN()(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 128, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Linear(128 * 2 * 2, classes)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.features(images).flatten(1))
        return scores
