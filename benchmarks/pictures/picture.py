"""What all pictures share: the form, and dots with intervals on a logarithmic axis of speed-ups."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Results
from benchmarks.statistics import Ratio
from examples.style import CONVEXT

LOSS = "#c0392b"
# The ticks of a decade, for axes that span less than so many times.
TICKS = {5: (0.5, 0.7, 1, 1.5, 2, 3), 40: (1, 2, 5)}


@dataclass(frozen=True)
class Picture:
    """A figure, what it shows, and how to read it."""

    figure: Figure
    title: str
    caption: str

    def write(self, file: Path | BytesIO, suffix: str) -> None:
        """As "png" or "svg"; the same picture gives the same file."""
        metadata = {"Date": None} if suffix == "svg" else None
        self.figure.savefig(file, format=suffix, bbox_inches="tight", metadata=metadata)


def subtitle(results: Results) -> str:
    """The machine and the versions, for below a title."""
    machine = results.machine
    return f"{machine.get('CPU', '')}; torch {machine.get('torch', '')}; {machine.get('convext uses', '')}"


def head(figure: Figure, title: str, results: Results) -> None:
    figure.suptitle(title, x=0.01, ha="left")
    figure.text(0.01, -0.005, subtitle(results), fontsize="x-small", color="grey", va="top")


def speedup_axis(ax: Axes, ratios: Sequence[Ratio]) -> None:
    """A logarithmic axis, with a line where nobody wins."""
    ax.set_xscale("log")
    low = min([0.7, *(ratio.value for ratio in ratios)]) / 1.25
    high = max([1.5, *(ratio.value for ratio in ratios)]) * 1.25
    ax.set_xlim(low, high)
    ax.axvline(1, color="black", linewidth=0.8)
    # As many ticks as there is room for.
    steps = next((steps for span, steps in TICKS.items() if high / low < span), (1,))
    ticks = [step * 10.0**power for power in range(-3, 5) for step in steps]
    ax.set_xticks(ticks, [f"{tick:g}x" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlim(low, high)


def dots(ax: Axes, ratios: Sequence[Ratio], heights: Sequence[float], size: float = 3.0) -> None:
    """Ratios with their intervals; losses in red."""
    for ratio, height in zip(ratios, heights, strict=True):
        colour = CONVEXT if ratio.value >= 1 else LOSS
        ax.plot([ratio.low, ratio.high], [height, height], color=colour, linewidth=0.8, alpha=0.6)
        ax.plot(ratio.value, height, "o", color=colour, markersize=size)
