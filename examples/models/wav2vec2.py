"""wav2vec 2.0's feature encoder: raw audio to one vector every 20 ms, by seven strided convolutions.

Baevski, Zhou, Mohamed and Auli: wav2vec 2.0: a framework for self-supervised learning of speech
representations. NeurIPS 2020 (section 2 and 4.2). The first layer is normalised per channel, as in the base
model.
"""

from torch import Tensor, nn


class FeatureEncoder(nn.Module):
    """Features of audio at 16 kHz: (n, 1, l) -> (n, channels, about l / 320).

    >>> import torch
    >>> FeatureEncoder()(torch.zeros(1, 1, 16_000)).shape
    torch.Size([1, 512, 49])
    """

    def __init__(self, channels: int = 512) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (kernel, stride) in enumerate([(10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2]):
            layers.append(nn.Conv1d(channels if index else 1, channels, kernel, stride, bias=False))
            if index == 0:
                layers.append(nn.GroupNorm(channels, channels))
            layers.append(nn.GELU())
        self.layers = nn.Sequential(*layers)

    def forward(self, audio: Tensor) -> Tensor:
        features: Tensor = self.layers(audio)
        return features
