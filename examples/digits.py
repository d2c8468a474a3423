"""Demo (a): train a small CNN on scikit-learn's handwritten digits, 1,797 scans of 8 x 8 pixels."""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from examples.compare import Batch, agreement, race, swapped_copy, train
from examples.models import DigitsCNN
from examples.part import Result, Track, plot_losses, save

TEST = 360  # images, the last ones


def load() -> tuple[Tensor, Tensor]:
    """The images, (n, 1, 8, 8) between 0 and 1, and their digits."""
    digits = load_digits()
    return torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, torch.tensor(digits.target)


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    images, labels = batch
    return F.cross_entropy(model(images), labels)


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of the images that the model reads right."""
    right: Tensor = model.eval()(images).argmax(1) == labels
    return right.float().mean().item()


def run(track: Track, output: Path, steps: int = 150, turns: int = 30, batch: int = 128) -> Result:
    """Train and compare; write digits.png."""
    torch.manual_seed(0)
    images, labels = load()
    draws = [torch.randint(len(images) - TEST, (batch,)) for _ in range(steps)]
    training = train(
        DigitsCNN(),
        ((images[draws[i]], labels[draws[i]]) for i in track(steps, "digits: training the CNN, both ways")),
        loss_of,
        lambda model: torch.optim.Adam(model.parameters(), lr=2e-3),
    )
    test = images[-TEST:], labels[-TEST:]
    score = [accuracy(model, *test) for model in (training.torch, training.convext)]
    trained = training.torch, swapped_copy(training.torch)
    agrees = agreement(*trained, test[0])
    forward = race(*trained, test[0], track(turns, "digits: timing"))

    figure, (loss, difference) = plt.subplots(2, 1, figsize=(8, 6.5), sharex=True)
    figure.suptitle(
        f"A CNN on handwritten digits: test accuracy {score[0]:.1%} (torch.nn), {score[1]:.1%} (convext)"
    )
    plot_losses(training, loss, difference, "nats")
    save(figure, output / "digits.png")
    return Result(
        network="CNN",
        data=f"{TEST} digits",
        item="1 x 8 x 8",
        agreement=agrees,
        forward=forward,
        items=TEST,
        training=training,
        score="accuracy",
        scores=(f"{score[0]:.2%}", f"{score[1]:.2%}"),
    )
