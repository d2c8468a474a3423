"""Each layer's rate against the limits of the machine, for both sides."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.limits import Limits
from benchmarks.pictures.picture import Picture, head
from benchmarks.results import Results, Row, grouped
from examples.style import CONVEXT, GREY, TORCH

SIDES = {"torch": TORCH, "convext": CONVEXT}
MIB = 2**20


def draw(results: Results) -> Picture | None:
    most = max((row.threads for row in results.rows), default=0)
    rows = [row for row in results.rows if row.limit is not None and row.threads == most]
    if not rows:
        return None
    isa, dtype = results.machine["convext uses"].split()[0], rows[0].dtype
    passes = grouped(rows, "pass_")
    figure = Figure(figsize=(1 + 4.2 * len(passes), 4.6))
    panels = figure.subplots(1, len(passes), sharey=True, squeeze=False)[0]
    for ax, ((pass_,), some) in zip(panels, passes.items(), strict=True):
        roofs(ax, Limits(results.limits), isa, dtype, most)
        points(ax, some)
        ax.set(title=pass_, xlabel="FLOP for each byte that must be moved")
    panels[0].set_ylabel("GFLOP/s")
    panels[0].legend(loc="lower right", fontsize="small")
    head(figure, f"Rooflines, {dtype}, {isa}, {most} threads", results)
    return Picture(
        figure,
        "How far from the limits",
        "One layer is two dots, joined. The roof is the FMA peak; its slopes are measured copies of arrays "
        "of 1 MiB, which fit a second cache, and of 256 MiB. The dashed line is convext's micro-kernel on "
        "operands in the first cache. Layers that fit a cache may be above the lower slope.",
    )


def roofs(ax: Axes, limits: Limits, isa: str, dtype: str, threads: int) -> None:
    peak = limits.rate("FMA peak", isa, dtype, threads)
    intensity = np.geomspace(0.1, 1000, 200)
    for size in (MIB, 256 * MIB):
        bandwidth = limits.bandwidth(size, threads)
        ax.plot(intensity, np.minimum(peak, bandwidth * intensity), color="black", linewidth=1)
        ax.annotate(
            f"{bandwidth:.0f} GB/s ({size // MIB} MiB)",
            (0.12, 0.13 * bandwidth),
            fontsize="x-small",
            rotation=np.degrees(np.arctan(bandwidth)),  # along the line, whose slope is the bandwidth
            rotation_mode="anchor",
            transform_rotates_text=True,
        )
    ax.axhline(limits.rate("micro-kernel", isa, dtype, threads), color=GREY, linewidth=0.8, linestyle="--")
    ax.annotate(f"FMA peak {peak:.0f}", (990, peak * 1.06), fontsize="x-small", ha="right")
    ax.set(xscale="log", yscale="log", xlim=(0.1, 1000), ylim=(peak / 1000, peak * 2))


def points(ax: Axes, rows: list[Row]) -> None:
    for row in rows:
        sides = [side for name in SIDES if (side := row.side(name)) is not None]
        if row.flops and row.bytes:
            rates = [row.gflops(side) or 0 for side in sides]
            ax.plot([row.flops / row.bytes] * len(rates), rates, color=GREY, linewidth=0.4, alpha=0.5)
            for side, rate in zip(sides, rates, strict=True):
                ax.plot(row.flops / row.bytes, rate, "o", color=SIDES[side.name], markersize=3, alpha=0.8)
    for name, colour in SIDES.items():
        ax.plot([], [], "o", color=colour, markersize=3, label=name)
