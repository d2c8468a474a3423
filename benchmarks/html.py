"""The report: one HTML file that needs nothing else, not even a network."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks import comparison
from benchmarks.pictures.picture import Picture
from benchmarks.results import Results, Row, Side, speedups
from benchmarks.statistics import Ratio, geometric_mean, spread

TEMPLATE = "report.html.jinja"


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and the number or text that it is sorted by."""

    text: str
    key: float | str
    loss: bool = False


def number(value: float | None, form: str, scale: float = 1.0) -> Cell:
    """A number; what is missing is empty, and sorted behind all others."""
    return Cell("", "") if value is None else Cell(format(value * scale, form), value * scale)


def interval(ratio: Ratio) -> str:
    return f"{ratio.low:.2f} to {ratio.high:.2f}"


def text(value: str) -> Cell:
    return Cell(value, value.lower())


def cells(row: Row) -> dict[str, Cell]:
    """A row of the table by column."""
    ours, theirs, ratio = row.side("convext"), row.side("torch"), row.speedup()
    scale, unit = (1e3, "ms") if row.unit == "s" else (2**-20, "MiB")

    def median(side: Side | None) -> Cell:
        if side is None:
            return number(None, "")
        shown = number(side.measured.median, ".4g", scale)
        return Cell(f"{shown.text} {unit}", shown.key)

    described = {
        "benchmark": text(row.benchmark),
        "network": text(row.network),
        "what": text(row.name),
        "family": text(row.family),
        "pass": text(row.pass_),
        "threads": number(row.threads, ".0f"),
        "torch": median(theirs),
        "convext": median(ours),
        "speed-up": Cell("", "")
        if ratio is None
        else Cell(f"{ratio.value:.2f}", ratio.value, ratio.value < 1),
        "95 % interval": Cell("", "") if ratio is None else Cell(interval(ratio), ratio.low),
        "GFLOP/s": number(row.gflops(ours), ".1f"),
        "of the limit": number(row.fraction(ours), ".0%"),
        "torch, of the limit": number(row.fraction(theirs), ".0%"),
        "computed by": text(ours.computed_by if ours else ""),
        "torch's backend": text(theirs.computed_by if theirs else ""),
        "scratch, KiB": number(row.scratch_bytes, ".0f", 2**-10),
        "error": number(ours.error if ours else None, ".1e"),
        "torch's error": number(theirs.error if theirs else None, ".1e"),
        "problem": text(row.problem),
    }
    others = [s for s in row.speedups if (s.of, s.over) != ("convext", "torch")]
    return described | {f"{s.of} / {s.over}": number(s.ratio.value, ".2f") for s in others}


def encoded(picture: Picture) -> str:
    """The picture as a data: address."""
    buffer = BytesIO()
    picture.write(buffer, "svg")
    return f"data:image/svg+xml;base64,{b64encode(buffer.getvalue()).decode()}"


def tiles(results: Results) -> list[tuple[str, str]]:
    """The few numbers to begin with, and what they are."""
    found = []
    for benchmark in dict.fromkeys(row.benchmark for row in results.rows):
        ratios = [r.value for r in speedups(row for row in results.rows if row.benchmark == benchmark)]
        below = sum(ratio < 1 for ratio in ratios)
        found.append((f"{geometric_mean(ratios):.2f}x", f"{benchmark}: torch / convext, geometric mean"))
        found.append((f"{below} of {len(ratios)}", f"{benchmark}: where convext loses"))
    if results.noise:
        off = spread([ratio.value for ratio in results.noise])
        found.append((f"{off:.3f}x", "noise floor: torch against itself, at most"))
    return found


def render(results: Results, pictures: Mapping[str, Picture], old: Results | None) -> str:
    """The report's text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = [cells(row) for row in results.rows]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    used = [column for column in columns if any(row.get(column, Cell("", "")).text for row in rows)]
    return environment.get_template(TEMPLATE).render(
        results=results,
        tiles=tiles(results),
        pictures=[(name, picture, encoded(picture)) for name, picture in pictures.items()],
        columns=used,
        rows=[[row.get(column, Cell("", "")) for column in used] for row in rows],
        interval=interval,
        changes=None if old is None else comparison.changes(old, results),
    )


def write(results: Results, pictures: Mapping[str, Picture], old: Results | None, path: Path) -> None:
    path.write_text(render(results, pictures, old))
