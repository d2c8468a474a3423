"""Tables on the terminal."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from benchmarks.comparison import Change
from benchmarks.results import Results, Row, grouped, speedups
from benchmarks.statistics import Ratio, geometric_mean, spread

SHOWN_CHANGES = 10


def new(title: str, *columns: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    return table


def machine(results: Results) -> Table:
    table = Table(box=None, show_header=False)
    for name, fact in results.machine.items():
        table.add_row(name, escape(fact))
    return table


def limits(results: Results) -> Table:
    """The measured limits, without the ladder of copies between its ends."""
    table = new("Measured limits", "limit", "threads", "value", "unit", "")
    copies = [limit for limit in results.limits if limit.name == "copy"]
    shown = {min(limit.bytes for limit in copies), max(limit.bytes for limit in copies)} if copies else set()
    for limit in results.limits:
        if limit.name == "copy" and limit.bytes not in shown:
            continue
        size = f"{limit.bytes / 2**20:g} MiB" if limit.bytes else ""
        what = " ".join(filter(None, (limit.name, limit.isa, limit.dtype, size)))
        table.add_row(what, str(limit.threads), f"{limit.value:.3g}", limit.unit, limit.detail)
    return table


def number(ratio: float) -> str:
    """A ratio; one below 1, a loss, stands out."""
    return f"[bold red]{ratio:.2f}" if ratio < 1 else f"{ratio:.2f}"


def interval(ratio: Ratio | None) -> str:
    if ratio is None:
        return ""
    value, ends = f"{ratio.value:.2f}", f" ({ratio.low:.2f} to {ratio.high:.2f})"
    return f"[bold red]{value}[/]{ends}" if ratio.value < 1 else value + ends


def summaries(results: Results) -> Iterator[Table | str]:
    """What a run found: a table for each benchmark, and the noise floor."""
    for (benchmark,), rows in grouped(results.rows, "benchmark").items():
        if benchmark in ("layers", "threads"):
            for (threads,), some in grouped(rows, "threads").items():
                yield families(some, f"{benchmark}, {threads} threads: torch's time / convext's")
        else:
            yield singles(rows, benchmark)
    if results.noise:
        off = spread([ratio.value for ratio in results.noise])
        yield f"Noise floor: torch against itself on {len(results.noise)} layers: off by {off:.3f} x at most."


def families(rows: Sequence[Row], title: str) -> Table:
    """Geometric means by family and pass, with the worst row of each, and how many rows lose."""
    passes = list(grouped(rows, "pass_"))
    table = new(
        title, "family", "layers", *(word for (name,) in passes for word in (name, "worst", "slower"))
    )
    groups = [(name, some) for (name,), some in sorted(grouped(rows, "family").items())]
    for name, some in groups:
        table.add_row(*family_cells(name, some, passes))
    table.add_section()
    table.add_row(*family_cells("all", rows, passes))
    return table


def family_cells(name: str, rows: Sequence[Row], passes: Sequence[tuple[str, ...]]) -> list[str]:
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


UNITS = {"s": (1e3, "ms"), "bytes": (2**-20, "MiB")}


def singles(rows: Sequence[Row], title: str) -> Table:
    """A line for each row."""
    scale, unit = UNITS[rows[0].unit]
    table = new(
        title, "", "", "threads", f"torch, {unit}", f"convext, {unit}", "torch / convext", "convolution"
    )
    for row in rows:
        medians = {side.name: f"{side.measured.median * scale:.3g}" for side in row.sides}
        share = "{:.0%}, now {:.0%}".format(*row.convolution_share) if row.convolution_share else ""
        table.add_row(
            row.name,
            row.pass_,
            str(row.threads),
            medians.get("torch", ""),
            medians.get("convext", ""),
            interval(row.speedup()),
            share,
        )
    return table


def comparison(found: Sequence[Change]) -> Table:
    """The largest changes for the worse and for the better."""
    table = new(f"Changes of {len(found)} rows: speed-up now / before", "layer", "pass", "change")
    edges = found if len(found) <= 2 * SHOWN_CHANGES else [*found[:SHOWN_CHANGES], *found[-SHOWN_CHANGES:]]
    for change in edges:
        table.add_row(f"{change.row.network} {change.row.name}", change.row.pass_, interval(change.ratio))
    table.add_section()
    table.add_row("all", "", number(geometric_mean(change.ratio.value for change in found)) if found else "")
    return table
