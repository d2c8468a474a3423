"""What a result comes to: small tables of text, for the terminal (tables.py) and for Markdown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.comparison import Change
from benchmarks.results import Results, Row, grouped, speedups
from benchmarks.statistics import Ratio, geometric_mean, spread

SHOWN_CHANGES = 10
UNITS = {"s": (1e3, "ms"), "bytes": (2**-20, "MiB")}


class Loss(str):
    """A number that convext loses by; it stands out."""


@dataclass(frozen=True)
class Grid:
    """A table. Its first column is text, the others are numbers."""

    title: str
    header: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """As a table of Markdown; losses are bold."""
        lines = [self.header, ["---", *["---:"] * (len(self.header) - 1)]]
        lines += [[f"**{cell}**" if isinstance(cell, Loss) else cell for cell in row] for row in self.rows]
        return "\n".join([f"{self.title}:\n", *(f"| {' | '.join(line)} |" for line in lines)])


def number(ratio: float) -> str:
    return Loss(f"{ratio:.2f}") if ratio < 1 else f"{ratio:.2f}"


def digits(value: float) -> str:
    """Three of them, without an exponent."""
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def interval(ratio: Ratio | None) -> str:
    if ratio is None:
        return ""
    text = f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
    return Loss(text) if ratio.value < 1 else text


def grids(results: Results) -> Iterator[Grid]:
    """A table for each benchmark of a result, and for each number of threads."""
    for (benchmark,), rows in grouped(results.rows, "benchmark").items():
        if benchmark in ("layers", "threads"):
            for (threads,), some in grouped(rows, "threads").items():
                yield families(some, f"{benchmark}, threads: {threads}; torch's time / convext's")
        else:
            yield singles(rows, benchmark)


def noise(results: Results) -> str:
    """The noise floor in a sentence; empty if it was not measured."""
    if not results.noise:
        return ""
    off = spread([ratio.value for ratio in results.noise])
    return f"Noise floor: torch against itself on {len(results.noise)} layers: off by {off:.3f} x at most."


def families(rows: Sequence[Row], title: str) -> Grid:
    """Geometric means by family and pass, with the worst row of each, and how many rows lose."""
    passes = list(grouped(rows, "pass_"))
    header = ["family", "layers", *(word for (name,) in passes for word in (name, "worst", "slower"))]
    groups = [(name, some) for (name,), some in sorted(grouped(rows, "family").items())]
    return Grid(title, header, [family(name, some, passes) for name, some in [*groups, ("all", rows)]])


def family(name: str, rows: Sequence[Row], passes: Sequence[tuple[str, ...]]) -> list[str]:
    by_pass = grouped(rows, "pass_")
    cells = [name, str(len({row.network + row.name for row in rows}))]
    for key in passes:
        ratios = [ratio.value for ratio in speedups(by_pass.get(key, []))]
        slower = sum(ratio < 1 for ratio in ratios)
        if ratios:
            cells += [number(geometric_mean(ratios)), number(min(ratios)), str(slower or "")]
        else:
            cells += ["", "", ""]
    return cells


def singles(rows: Sequence[Row], title: str) -> Grid:
    """A line for each row."""
    scale, unit = UNITS[rows[0].unit]
    header = [title, "", "threads", f"torch, {unit}", f"convext, {unit}", "torch / convext", "convolution"]
    return Grid(title, header, [single(row, scale) for row in rows])


def single(row: Row, scale: float) -> list[str]:
    medians = {side.name: digits(side.measured.median * scale) for side in row.sides}
    share = "{:.0%}, now {:.0%}".format(*row.convolution_share) if row.convolution_share else ""
    both = [medians.get("torch", ""), medians.get("convext", "")]
    return [row.name, row.pass_, str(row.threads), *both, interval(row.speedup()), share]


def comparison(found: Sequence[Change]) -> Grid:
    """The largest changes for the worse and for the better, and the mean of all."""
    edges = found if len(found) <= 2 * SHOWN_CHANGES else [*found[:SHOWN_CHANGES], *found[-SHOWN_CHANGES:]]
    rows = [
        [f"{one.row.network} {one.row.name}", one.row.pass_, str(one.row.threads), interval(one.ratio)]
        for one in edges
    ]
    if found:
        rows.append(["all", "", "", number(geometric_mean(change.ratio.value for change in found))])
    title = f"Changes of {len(found)} rows: speed-up now / before"
    return Grid(title, ["what", "pass", "threads", "change"], rows)


def markdown(results: Results) -> str:
    """The tables, and what they were measured on."""
    machine = results.machine
    about = ", ".join(
        f"{name} {machine[name]}" for name in ("CPU", "torch", "convext", "date") if name in machine
    )
    parts = [
        f"`{results.command}`\n\n{about}.",
        *(grid.markdown() for grid in grids(results)),
        noise(results),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
