"""Demo (d): PointNet's T-Net turns handwritten digits upright.

Each inked pixel of a scan is a point (x, y, intensity). A digit is rotated about the intensity axis by a
random angle, and the T-Net computes the 3 x 3 matrix that brings its points back.
"""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from examples import digits
from examples.compare import Batch, Training, agreement, race, swapped_copy, train
from examples.models import TNet
from examples.part import Result, Track, plot_losses, save
from examples.style import CONVEXT, GREY

TIMED = 128  # digits in the comparison of outputs and times
POINTS = 64  # of each digit; drawn with replacement, for the maximum over points does not see repetitions
LARGEST_ANGLE = math.radians(75)
SHOWN = 4  # digits in the picture
PIXELS = 4.0  # to one unit of the points: x and y lie between -1 and 1


def to_points(images: Tensor) -> Tensor:
    """Random points of the images' ink, as (x, y, intensity): (n, 1, 8, 8) -> (n, 3, POINTS).

    A point lies anywhere within its pixel: a lattice would tell its angle to a network, whatever is written
    on it.
    """
    side = images.shape[-1]
    drawn = torch.multinomial((images.flatten(1) > 0).float(), POINTS, replacement=True)
    intensity = images.flatten(1).gather(1, drawn)
    x = drawn % side + torch.rand(drawn.shape) - side / 2
    y = side / 2 - drawn // side - torch.rand(drawn.shape)
    return torch.stack([x / PIXELS, y / PIXELS, intensity], dim=1)


def rotate(points: Tensor) -> Tensor:
    """The points of each digit, rotated by its own random angle about the third axis."""
    angle = (2 * torch.rand(len(points)) - 1) * LARGEST_ANGLE
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = [[angle.cos(), -angle.sin(), zero], [angle.sin(), angle.cos(), zero], [zero, zero, one]]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2) @ points


def square_distance(points: Tensor, upright: Tensor) -> Tensor:
    """The mean square distance, in the plane, of each digit's points from their places, in pixels^2: (n,)."""
    return (points - upright)[:, :2].square().sum(1).mean(1) * PIXELS**2


def align(model: nn.Module, points: Tensor) -> Tensor:
    """The points after the matrix that the model finds for them."""
    aligned: Tensor = model(points) @ points
    return aligned


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """The mean square distance of the aligned points from where they belong, in pixels^2."""
    rotated, upright = batch
    return square_distance(align(model, rotated), upright).mean()


def plot(training: Training, rotated: Tensor, upright: Tensor, path: Path) -> None:
    """The losses, and some test digits: as given, as aligned by convext's copy, and as they belong."""
    figure = plt.figure(figsize=(13, 5.8))
    left, right = figure.subfigures(1, 2, squeeze=False)[0]
    loss, difference = left.subplots(2, 1, sharex=True)
    plot_losses(training, loss, difference, "pixels²")
    with torch.no_grad():
        aligned = align(training.convext.eval(), rotated)
    rows = (("rotated", rotated, GREY), ("by the T-Net", aligned, CONVEXT), ("upright", upright, GREY))
    for axes, (name, clouds, colour) in zip(right.subplots(3, SHOWN), rows, strict=True):
        axes[0].set_ylabel(name)
        for ax, cloud in zip(axes, clouds, strict=False):
            x, y, ink = cloud.numpy()
            ax.scatter(x * PIXELS, y * PIXELS, s=25, alpha=ink.clip(0.15, 1), color=colour, linewidths=0)
            ax.set(xlim=(-5.5, 5.5), ylim=(-5.5, 5.5), aspect="equal", xticks=[], yticks=[])
            ax.spines[:].set(visible=True, color="lightgrey")
    right.suptitle("Test digits as points (windows of 11 x 11 pixels; darker is more ink)", fontsize="medium")
    figure.suptitle("PointNet's T-Net turns handwritten digits upright")
    save(figure, path)


def run(track: Track, output: Path, steps: int = 120, turns: int = 10, batch: int = 32) -> Result:
    """Train and compare; write points.png."""
    torch.manual_seed(0)
    images, _ = digits.load()
    known, unknown = images[: -digits.TEST], to_points(images[-digits.TEST :])
    clouds = [to_points(known[torch.randint(len(known), (batch,))]) for _ in range(steps)]
    batches = [(rotate(upright), upright) for upright in clouds]
    training = train(
        TNet(),
        (batches[i] for i in track(steps, "points: training the T-Net, both ways")),
        loss_of,
        lambda model: torch.optim.Adam(model.parameters(), lr=5e-4),
    )
    # The T-Net starts as the identity, whatever its convolutions compute: so the trained one is compared.
    trained = training.torch, swapped_copy(training.torch)
    rotated = rotate(unknown)
    agrees = agreement(*trained, rotated[:TIMED])
    forward = race(*trained, rotated[:TIMED], track(turns, "points: timing"))
    with torch.no_grad():
        score = [
            loss_of(model.eval(), (rotated, unknown)).sqrt().item()
            for model in (training.torch, training.convext)
        ]
    plot(training, rotated, unknown, output / "points.png")
    return Result(
        network="T-Net",
        data=f"{TIMED} digits",
        item=f"3 x {POINTS}",
        agreement=agrees,
        forward=forward,
        items=TIMED,
        training=training,
        score="RMS (pixels)",
        scores=(f"{score[0]:.3f}", f"{score[1]:.3f}"),
    )
