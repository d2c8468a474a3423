"""How the layers scale with threads."""

import numpy as np
from matplotlib.figure import Figure

from benchmarks.pictures.picture import Picture, head
from benchmarks.results import Results, Row, grouped
from benchmarks.statistics import geometric_mean
from examples.style import CONVEXT, GREY, TORCH

SIDES = {"torch": TORCH, "convext": CONVEXT}


def draw(results: Results) -> Picture | None:
    rows = [row for row in results.rows if row.benchmark == "threads"]
    counts = sorted({row.threads for row in rows})
    if len(counts) < 2:
        return None
    passes = grouped(rows, "pass_")
    figure = Figure(figsize=(1 + 3.6 * len(passes), 4))
    panels = figure.subplots(1, len(passes), sharey=True, squeeze=False)[0]
    for ax, ((pass_,), some) in zip(panels, passes.items(), strict=True):
        ax.plot(counts, [count / counts[0] for count in counts], color=GREY, linestyle=":", label="ideal")
        for name, colour in SIDES.items():
            curves = [scaled(layer, name, counts) for layer in grouped(some, "network", "name").values()]
            curves = [curve for curve in curves if curve is not None]
            for curve in curves:
                ax.plot(counts, curve, color=colour, linewidth=0.6, alpha=0.35)
            means = [geometric_mean(values) for values in np.array(curves).T]
            ax.plot(counts, means, "o-", color=colour, linewidth=2, label=name)
        ax.set(title=pass_, xlabel="threads", xticks=counts)
    panels[0].set_ylabel(f"speed, in that of {counts[0]} thread{'s' * (counts[0] > 1)}")
    panels[0].legend(fontsize="small")
    head(figure, "Scaling with threads, each side by its own", results)
    return Picture(
        figure,
        "Scaling with threads",
        "Thin lines are layers, one of each family; thick ones their geometric means.",
    )


def scaled(rows: list[Row], name: str, counts: list[int]) -> list[float] | None:
    """The speed of a layer at each number of threads, in that of the first; None if one is missing."""
    seconds = {row.threads: side.measured.median for row in rows if (side := row.side(name)) is not None}
    return (
        [seconds[counts[0]] / seconds[count] for count in counts] if seconds.keys() >= set(counts) else None
    )
