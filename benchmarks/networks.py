"""The whole networks that are measured, with the inputs that they are measured on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from examples import models


@dataclass(frozen=True)
class Network:
    """A network of examples/models, and the shape of a batch for inference and for a training step."""

    name: str
    create: Callable[[], nn.Module]
    inference: tuple[int, ...]
    training: tuple[int, ...]

    def batch(self, call: str, dtype: torch.dtype) -> Tensor:
        """Normal numbers, the same in every run; for "inference" or "training"."""
        shape = self.inference if call == "inference" else self.training
        return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)

    def model(self, dtype: torch.dtype) -> nn.Module:
        """The network with the weights that it has in every run."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.create().to(dtype)


IMAGE = (3, 224, 224)
NETWORKS = {
    network.name: network
    for network in (
        Network("ResNet-50", models.ResNet50, (1, *IMAGE), (4, *IMAGE)),
        Network("MobileNetV2", models.MobileNetV2, (1, *IMAGE), (8, *IMAGE)),
        Network("ConvNeXt-T", models.ConvNeXtT, (1, *IMAGE), (4, *IMAGE)),
        Network("RegNetX-3.2GF", models.RegNetX, (1, *IMAGE), (4, *IMAGE)),
        Network("U-Net", partial(models.UNet, width=32), (1, 1, 256, 256), (2, 1, 128, 128)),
        Network("DeepLab", models.DeepLab, (1, 3, 257, 257), (2, 3, 129, 129)),
        Network("TCN", partial(models.TCN, channels=64, blocks=8), (1, 1, 4096), (16, 1, 1024)),
        Network("WaveNet", models.WaveNet, (1, 256, 4000), (2, 256, 2000)),
        Network("wav2vec 2.0 encoder", models.FeatureEncoder, (1, 1, 64_000), (2, 1, 32_000)),
        Network("PointNet", models.PointNet, (1, 3, 1024), (16, 3, 1024)),
        Network("Mamba block", models.MambaBlock, (1, 128, 768), (2, 128, 768)),
        Network("digits CNN", models.DigitsCNN, (1, 1, 8, 8), (128, 1, 8, 8)),
    )
}


def chosen(names: str) -> list[Network]:
    """The networks of a list such as "TCN,U-Net", all for an empty one; ValueError for an unknown name."""
    if not names:
        return list(NETWORKS.values())
    unknown = [name for name in names.split(",") if name not in NETWORKS]
    if unknown:
        raise ValueError(f"no network is called {', '.join(unknown)}; there are {', '.join(NETWORKS)}")
    return [NETWORKS[name] for name in names.split(",")]


CALLS = ("inference", "training")


def call(model: nn.Module, batch: Tensor, kind: str) -> Callable[[], object]:
    """Inference, or a training step: forward, backward and an update by plain gradient descent.

    The loss is the mean square of the outputs, and the learning rate 0, so that every step computes the same.
    """
    if kind == "inference":
        model.eval()

        def infer() -> object:
            with torch.inference_mode():
                return model(batch)

        return infer
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)

    def step() -> object:
        optimizer.zero_grad()
        loss = model(batch).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step
