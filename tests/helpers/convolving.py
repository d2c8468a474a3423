"""What workers of other processes import: they convolve, and tell what came out."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

import convext


def operands() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 3, 32, 32, generator=generator), torch.randn(16, 3, 3, 3, generator=generator)


def convolved(i: int) -> Tensor:
    images, weight = operands()
    return convext.conv2d(images[i], weight)


def all_convolved() -> Tensor:
    return convext.conv2d(*operands())


class Convolved(Dataset):
    """Images that are convolved where they are loaded."""

    def __len__(self) -> int:
        return len(operands()[0])

    def __getitem__(self, i: int) -> Tensor:
        return convolved(i)
