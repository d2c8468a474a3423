"""What the four parts of the demo share: the form of a result, the plot of two losses."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from examples.compare import Agreement, Times, Training
from examples.style import CONVEXT, TORCH

# (number of steps, what they are) -> the steps' indices; shows progress while they are consumed.
Track = Callable[[int, str], Iterable[int]]


@dataclass(frozen=True)
class Result:
    """One network on one data set: a column of the demo's table."""

    network: str
    data: str
    item: str  # the shape of one of the items that a forward pass computes
    agreement: Agreement
    forward: Times
    items: int = 1
    training: Training | None = None
    score: str = ""  # what the test data say, and in which unit
    scores: tuple[str, str] = ("", "")  # of torch's copy and of convext's


def plot_losses(training: Training, loss: Axes, difference: Axes, unit: str) -> None:
    """Both losses, and how far apart they are, with float32's own rounding as the yardstick."""
    loss.plot(training.losses["torch"], color=TORCH, linewidth=4, alpha=0.5, label="torch.nn")
    loss.plot(training.losses["convext"], color=CONVEXT, linewidth=1, label="convext")
    loss.set(ylabel=f"training loss [{unit}]", title="Two trainings, same seed and batches", yscale="log")
    loss.legend()
    pairs = (("torch", "float64", TORCH), ("convext", "float64", CONVEXT), ("torch", "convext", "black"))
    for a, b, colour in pairs:
        apart = training.difference(a, b)
        difference.plot(apart, ".-", color=colour, linewidth=0.5, markersize=2.5, label=f"|{a} - {b}|")
    difference.set_yscale("log", nonpositive="mask")  # a gap where they are equal
    difference.set(xlabel="training step", ylabel=f"difference [{unit}]", title="Drift by rounding")
    difference.legend(loc="lower right", ncols=3, fontsize="small", handlelength=1, columnspacing=1)


def save(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG, and close it."""
    figure.savefig(path)
    plt.close(figure)
