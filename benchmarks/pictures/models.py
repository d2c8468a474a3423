"""Whole networks and calls of tiny layers: the speed-up of each; where the time of a network goes."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.pictures.picture import Picture, dots, head, speedup_axis
from benchmarks.results import Results, Row, grouped
from examples.style import CONVEXT, GREY, TORCH


def draw(results: Results) -> Picture | None:
    rows = [row for row in results.rows if row.benchmark == "models"]
    if not rows:
        return None
    kinds = grouped(rows, "pass_")
    tallest = max(map(len, kinds.values()))
    figure = Figure(figsize=(11, 1.6 + 0.6 * tallest * len(kinds)))
    panels = figure.subplots(len(kinds), 2, squeeze=False, gridspec_kw={"width_ratios": [1, 1.4]})
    for (left, right), ((kind,), some) in zip(panels, kinds.items(), strict=True):
        named_dots(left, some)
        left.set_title(f"{kind}: torch's time / convext's")
        bars(right, some)
        right.set_title("time, in parts of torch.nn's; darker: in convolutions")
    head(figure, f"Whole networks, {rows[0].dtype}, {rows[0].threads} threads", results)
    return Picture(
        figure,
        "Whole networks",
        "Left: the speed-up with its 95 % confidence interval. Right: the time of a call before (above) and "
        "after the swap (below). The darker part is spent in convolutions; convext does not touch the rest.",
    )


def draw_overhead(results: Results) -> Picture | None:
    rows = [row for row in results.rows if row.benchmark == "overhead"]
    if not rows:
        return None
    kinds = grouped(rows, "pass_")
    tallest = max(map(len, kinds.values()))
    figure = Figure(figsize=(3 + 2.8 * len(kinds), 1.4 + 0.4 * tallest))
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for ax, ((kind,), some) in zip(panels, kinds.items(), strict=True):
        named_dots(ax, some)
        ax.set_title(kind)
    head(figure, "What a call costs: torch's time / convext's", results)
    return Picture(
        figure,
        "What a call costs",
        "Layers so small that the call itself takes the time, with their 95 % confidence intervals.",
    )


def label(row: Row, several: bool) -> str:
    return f"{row.name}, {row.threads} threads" if several else row.name


def named_dots(ax: Axes, rows: Sequence[Row]) -> None:
    """A line for each row, the first on top."""
    several = len({row.threads for row in rows}) > 1
    shown = [(label(row, several), ratio) for row in rows if (ratio := row.speedup()) is not None]
    ratios = [ratio for _, ratio in shown]
    speedup_axis(ax, ratios)
    heights = list(range(len(shown)))[::-1]
    dots(ax, ratios, heights, size=5)
    for ratio, height in zip(ratios, heights, strict=True):
        ax.annotate(f"{ratio.value:.2f}", (ratio.value, height + 0.18), fontsize="x-small", ha="center")
    ax.set_yticks(heights, [name for name, _ in shown])
    ax.set_ylim(-0.6, len(shown) - 0.3)


def bars(ax: Axes, rows: Sequence[Row]) -> None:
    """Before and after, as parts of the time before."""
    for height, row in zip(range(len(rows))[::-1], rows, strict=True):
        before, after = row.side("torch"), row.side("convext")
        if before is None or after is None or row.convolution_share is None:
            continue
        ratio = after.measured.median / before.measured.median
        for offset, total, share, colour in (
            (0.2, 1.0, row.convolution_share[0], TORCH),
            (-0.2, ratio, row.convolution_share[1], CONVEXT),
        ):
            ax.barh(height + offset, total * share, 0.34, color=colour)
            ax.barh(height + offset, total * (1 - share), 0.34, left=total * share, color=colour, alpha=0.35)
    ax.axvline(1, color=GREY, linewidth=0.8)
    ax.set_yticks([])
    ax.set_ylim(-0.6, len(rows) - 0.3)
    ax.grid(axis="y", visible=False)
