"""Results as data: rows, the machine that they are of, and the files that they are kept in."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.limits import Limit
from benchmarks.statistics import Ratio, Summary

FORMAT = 1  # of the JSON file


@dataclass(frozen=True)
class Side:
    """What one contestant did."""

    name: str
    measured: Summary  # in the unit of the row
    error: float | None = None  # the largest, relative to the largest number of the result
    computed_by: str = ""


@dataclass(frozen=True)
class Speedup:
    """How many times as fast (or, for bytes, as small) `of` is as `over`: above 1, `of` needs less."""

    of: str
    over: str
    ratio: Ratio


@dataclass(frozen=True)
class Row:
    """One measured thing. What does not apply is empty or None."""

    benchmark: str  # layers, models, ...
    network: str
    name: str
    family: str
    pass_: str
    dtype: str
    threads: int
    sides: tuple[Side, ...]
    speedups: tuple[Speedup, ...]
    memory_format: str = "contiguous"
    unit: str = "s"
    flops: float | None = None
    bytes: float | None = None  # that must be moved at least
    limit: float | None = None  # seconds, by the roofline
    problem: str = ""  # convext's name of it, for convext.explain
    scratch_bytes: int | None = None
    convolution_share: tuple[float, float] | None = None  # of the time: with torch.nn, with convext
    refused: dict[str, str] = field(default_factory=dict)  # peers that did not compute it, and why

    @property
    def key(self) -> tuple[object, ...]:
        """What identifies the row in another result."""
        return (
            self.benchmark,
            self.network,
            self.name,
            self.pass_,
            self.dtype,
            self.memory_format,
            self.threads,
        )

    def side(self, name: str) -> Side | None:
        return next((side for side in self.sides if side.name == name), None)

    def speedup(self, of: str = "convext", over: str = "torch") -> Ratio | None:
        found = (speedup.ratio for speedup in self.speedups if (speedup.of, speedup.over) == (of, over))
        return next(found, None)

    def gflops(self, side: Side | None) -> float | None:
        """GFLOP/s of a side."""
        return None if side is None or self.flops is None else self.flops / side.measured.median / 1e9

    def fraction(self, side: Side | None) -> float | None:
        """The share of the roofline limit that a side reaches."""
        return None if side is None or self.limit is None else self.limit / side.measured.median


@dataclass
class Results:
    """What a run of the benchmarks found."""

    command: str
    machine: dict[str, str]
    limits: list[Limit] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    noise: list[Ratio] = field(default_factory=list)  # of torch raced against itself
    complete: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Results":
        """The inverse of `to_dict`; raises ValueError for another format."""
        if data.get("format") != FORMAT:
            raise ValueError(f"results of format {data.get('format')}; this reads format {FORMAT}")
        return cls(
            data["command"],
            data["machine"],
            [Limit(**limit) for limit in data["limits"]],
            [_row(row) for row in data["rows"]],
            [Ratio(**ratio) for ratio in data["noise"]],
            data["complete"],
        )

    def write_json(self, path: Path) -> None:
        path.write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")

    @classmethod
    def read_json(cls, path: Path) -> "Results":
        return cls.from_dict(json.loads(path.read_text()))

    def write_csv(self, path: Path) -> None:
        """A line for each row, for spreadsheets: seconds (or bytes) of every side, and every speed-up."""
        records = [flat(row) for row in self.rows]
        columns = dict.fromkeys(column for record in records for column in record)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(columns))
            writer.writeheader()
            writer.writerows(records)


def _row(data: dict[str, Any]) -> Row:
    sides = tuple(Side(**{**side, "measured": Summary(**side["measured"])}) for side in data["sides"])
    speedups = tuple(Speedup(**{**s, "ratio": Ratio(**s["ratio"])}) for s in data["speedups"])
    share = data["convolution_share"]
    return Row(**{**data, "sides": sides, "speedups": speedups, "convolution_share": share and tuple(share)})


def flat(row: Row) -> dict[str, object]:
    """A row as named cells."""
    cells: dict[str, object] = {
        name: getattr(row, name)
        for name in (
            *("benchmark", "network", "name", "family", "pass_", "dtype", "memory_format", "threads"),
            *("unit", "flops", "bytes", "limit", "problem", "scratch_bytes"),
        )
    }
    for side in row.sides:
        measured = side.measured
        cells |= {f"{side.name} {name}": value for name, value in asdict(measured).items()}
        cells |= {f"{side.name} error": side.error, f"{side.name} computed by": side.computed_by}
    for speedup in row.speedups:
        name = f"{speedup.of} / {speedup.over}"
        ratio = speedup.ratio
        cells |= {name: ratio.value, f"{name} low": ratio.low, f"{name} high": ratio.high}
    return cells


def speedups(rows: Iterable[Row], of: str = "convext", over: str = "torch") -> list[Ratio]:
    """The speed-ups of the rows that have one."""
    return [ratio for row in rows if (ratio := row.speedup(of, over)) is not None]


def grouped(rows: Sequence[Row], *names: str) -> dict[tuple[str, ...], list[Row]]:
    """The rows by the values of some fields, in the order in which these first occur."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(str(getattr(row, name)) for name in names), []).append(row)
    return groups
