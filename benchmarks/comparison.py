"""What changed between two results, by the speed-ups: these survive a machine that changed its speed."""

from dataclasses import dataclass

from benchmarks.results import Results, Row
from benchmarks.statistics import Ratio


@dataclass(frozen=True)
class Change:
    """A row's speed-up over torch, now over before: above 1, convext became faster."""

    row: Row
    ratio: Ratio


def changes(old: Results, new: Results) -> list[Change]:
    """The rows that both have, the worst first.

    The interval divides the ends of the two, and so holds the change with at least the confidence of both.
    """
    before = {row.key: row.speedup() for row in old.rows}
    found = []
    for row in new.rows:
        a, b = before.get(row.key), row.speedup()
        if a is not None and b is not None:
            found.append(Change(row, Ratio(b.value / a.value, b.low / a.high, b.high / a.low)))
    return sorted(found, key=lambda change: change.ratio.value)


def surely_below(ratio: Ratio, limit: float) -> bool:
    """Whether even the upper end of the interval is below: noise alone fails nothing."""
    return ratio.high < limit


def failures(results: Results, old: Results | None, limit: float) -> list[Row]:
    """The rows that --fail-slower means: too slow since `old` or, without it, beside torch."""
    if old is not None:
        return [change.row for change in changes(old, results) if surely_below(change.ratio, limit)]
    found = ((row, row.speedup()) for row in results.rows)
    return [row for row, ratio in found if ratio is not None and surely_below(ratio, limit)]
