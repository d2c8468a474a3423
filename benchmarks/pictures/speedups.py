"""Every layer's speed-up, by family and pass: sorted dots, so that a loss cannot hide in a mean."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.pictures.picture import Picture, dots, head, speedup_axis
from benchmarks.results import Results, grouped, speedups
from benchmarks.statistics import Ratio, geometric_mean
from examples.style import GREY

LANE = 0.8  # the part of a family's lane that its dots fill


def draw(results: Results) -> Picture | None:
    most = max((row.threads for row in results.rows), default=0)
    rows = [row for row in results.rows if row.benchmark == "layers" and row.threads == most]
    if not rows:
        return None
    passes = grouped(rows, "pass_")
    families = sorted({row.family for row in rows}, reverse=True)
    figure = Figure(figsize=(3 + 3.2 * len(passes), 1.6 + 0.36 * len(families)))
    panels = figure.subplots(1, len(passes), sharey=True, squeeze=False)[0]
    for ax, ((pass_,), some) in zip(panels, passes.items(), strict=True):
        ratios = speedups(some)
        speedup_axis(ax, ratios)
        for lane, family in enumerate(families):
            draw_lane(ax, lane, speedups([row for row in some if row.family == family]))
        mean = geometric_mean(ratio.value for ratio in ratios)
        below = sum(ratio.value < 1 for ratio in ratios)
        ax.set_title(f"{pass_}: {mean:.2f}x; {below} of {len(ratios)} slower")
        ax.set_yticks(range(len(families)), families)
        ax.set_ylim(-0.6, len(families) - 0.4)
        ax.grid(axis="y", visible=False)
    head(figure, f"torch's time / convext's, {rows[0].dtype}, {most} threads", results)
    return Picture(
        figure,
        "Speed-up of every layer",
        "One dot is one layer, its line the 95 % confidence interval. To the right of 1 convext is faster; "
        "red dots are losses. In a family layers are sorted; the grey bar is its geometric mean.",
    )


def draw_lane(ax: Axes, lane: int, ratios: list[Ratio]) -> None:
    """The dots of a family, the worst lowest, and their mean."""
    if not ratios:
        return
    ax.axhspan(lane - 0.5, lane + 0.5, color="black", alpha=0.025 * (lane % 2), linewidth=0)
    mean = geometric_mean(ratio.value for ratio in ratios)
    ax.plot([mean, mean], [lane - LANE / 2, lane + LANE / 2], color=GREY, linewidth=2.5, alpha=0.5)
    step = LANE / len(ratios)
    heights = [lane - LANE / 2 + step * (i + 0.5) for i in range(len(ratios))]
    dots(ax, sorted(ratios, key=lambda ratio: ratio.value), heights)
