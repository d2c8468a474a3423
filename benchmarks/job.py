"""What a benchmark is to the runner: jobs that each measure a row."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.limits import Limits
from benchmarks.pairing import Effort
from benchmarks.results import Row


@dataclass(frozen=True)
class Setting:
    """What all jobs of a run share."""

    options: argparse.Namespace
    threads: list[int]
    limits: Limits

    @property
    def effort(self) -> Effort:
        return Effort(seconds=self.options.seconds)


@dataclass(frozen=True)
class Job:
    """One row to be measured."""

    name: str
    measure: Callable[[], Row]
