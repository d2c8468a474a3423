"""Other libraries and other settings of PyTorch beside torch.nn as it is."""

from matplotlib.figure import Figure

from benchmarks.pictures.picture import Picture, head, speedup_axis
from benchmarks.pictures.speedups import draw_lane
from benchmarks.results import Results, grouped
from benchmarks.statistics import Ratio


def draw(results: Results) -> Picture | None:
    rows = [row for row in results.rows if row.benchmark == "layers"]
    names = sorted({s.of for row in rows for s in row.speedups if s.over == "torch" and s.of != "convext"})
    if not names:
        return None
    names = [*names, "convext"]
    passes = grouped(rows, "pass_")
    figure = Figure(figsize=(2.5 + 3.2 * len(passes), 1.6 + 0.6 * len(names)))
    panels = figure.subplots(1, len(passes), sharey=True, squeeze=False)[0]
    for ax, ((pass_,), some) in zip(panels, passes.items(), strict=True):
        found: dict[str, list[Ratio]] = {
            name: [r for row in some if (r := row.speedup(name, "torch")) is not None] for name in names
        }
        speedup_axis(ax, [ratio for ratios in found.values() for ratio in ratios])
        for lane, ratios in enumerate(found.values()):
            draw_lane(ax, lane, ratios)
        ax.set_title(pass_)
        ax.set_yticks(range(len(names)), names)
        ax.grid(axis="y", visible=False)
    head(figure, "torch's time / theirs", results)
    return Picture(
        figure,
        "Peers",
        "Each library on the same layers, beside eager PyTorch; a library without dots has no such pass. "
        "'frozen' ones may rearrange the weights ahead of time, which training and eager calls cannot.",
    )
