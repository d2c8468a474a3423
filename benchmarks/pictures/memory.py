"""The largest amount of memory that a network needs, on both sides."""

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from benchmarks.pictures.picture import Picture, head
from benchmarks.results import Results, grouped
from examples.style import CONVEXT, GREY, TORCH

COLOURS = {"torch": TORCH, "convext": CONVEXT}


def draw(results: Results) -> Picture | None:
    rows = [row for row in results.rows if row.benchmark == "memory"]
    if not rows:
        return None
    kinds = grouped(rows, "pass_")
    tallest = max(map(len, kinds.values()))
    figure = Figure(figsize=(2 + 4.5 * len(kinds), 1.7 + 0.36 * tallest), layout="constrained")
    panels = figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    for ax, ((kind,), some) in zip(panels, kinds.items(), strict=True):
        heights = range(len(some))[::-1]
        for height, row in zip(heights, some, strict=True):
            sizes = {side.name: side.measured.median / 2**20 for side in row.sides}
            ax.plot(list(sizes.values()), [height] * len(sizes), color=GREY, linewidth=1)
            for name, size in sizes.items():
                ax.plot(size, height, "o", color=COLOURS[name], markersize=5)
        ax.set(xscale="log", xlabel="MiB", title=kind)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(1, 0.4)))
        ax.set_yticks(heights, [row.name for row in some])
    for name, colour in COLOURS.items():
        panels[0].plot([], [], "o", color=colour, label=name)
    figure.legend(loc="outside upper right", ncols=len(COLOURS), fontsize="small")
    head(figure, f"Peak memory beyond the network itself, {rows[0].dtype}", results)
    return Picture(
        figure,
        "Memory",
        "The high-water mark of a process during one call, less what it had before it made the batch.",
    )
