"""Tables on the terminal."""

from rich import box
from rich.markup import escape
from rich.table import Table

from benchmarks.results import Results
from benchmarks.summary import Grid, Loss


def new(title: str, *columns: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    return table


def shown(grid: Grid) -> Table:
    """A grid with its losses in red."""
    table = new(grid.title, *grid.header)
    for row in grid.rows:
        table.add_row(*(f"[bold red]{escape(c)}[/]" if isinstance(c, Loss) else escape(c) for c in row))
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
    ends = {min(limit.bytes for limit in copies), max(limit.bytes for limit in copies)} if copies else set()
    for limit in results.limits:
        if limit.name == "copy" and limit.bytes not in ends:
            continue
        size = f"{limit.bytes / 2**20:g} MiB" if limit.bytes else ""
        what = " ".join(filter(None, (limit.name, limit.isa, limit.dtype, size)))
        table.add_row(what, str(limit.threads), f"{limit.value:.3g}", limit.unit, limit.detail)
    return table
