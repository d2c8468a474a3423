"""Timing that a drifting machine does not spoil: contestants take turns in one process.

Machines change their speed by the second, up to twofold, for reasons of their own (clock, neighbours,
temperature). So all contestants run in each round, in the order A B in one and B A in the next, and only
ratios within a round are compared.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.statistics import Ratio, Summary, paired_ratio


class Timed(Protocol):
    """What can take part in a race."""

    @property
    def name(self) -> str: ...

    def seconds(self, calls: int) -> float:
        """The time of one call, averaged over some."""
        ...


@dataclass(frozen=True)
class Contestant:
    """Work of this process to be timed, and the settings under which it is done, which are not timed."""

    name: str
    work: Callable[[], object]
    settings: Callable[[], AbstractContextManager[object]] = nullcontext

    def seconds(self, calls: int) -> float:
        with self.settings():
            start = time.perf_counter()
            for _ in range(calls):
                self.work()
            return (time.perf_counter() - start) / calls


@dataclass(frozen=True)
class Effort:
    """How long a race goes on: until every ratio is known well enough, or the time is up.

    A measurement takes at least `sample` seconds, of as many calls as that needs, as clocks and interrupts
    cost microseconds.
    """

    seconds: float = 0.5
    sample: float = 2e-3
    rounds: tuple[int, int] = (7, 200)  # at least, at most
    precision: float = 0.01  # half the confidence interval, relative to the ratio


class Race:
    """The seconds of one call of each contestant, round by round."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._rounds: list[list[float]] = []

    def __len__(self) -> int:
        return len(self._rounds)

    def add(self, seconds: Sequence[float]) -> None:
        """A round: the seconds of all contestants in the order of their names."""
        self._rounds.append(list(seconds))

    def seconds(self, name: str) -> np.ndarray:
        return np.array(self._rounds)[:, self.names.index(name)]

    def summary(self, name: str) -> Summary:
        return Summary.of(self.seconds(name))

    def speedup(self, of: str, over: str) -> Ratio:
        """How many times as fast `of` is: above 1, it needs less time than `over`."""
        return paired_ratio(self.seconds(over), self.seconds(of))

    def settled(self, effort: Effort) -> bool:
        """Whether the ratios to the first contestant are known well enough."""
        first, *others = self.names
        return all(self.speedup(first, other).half_width <= effort.precision for other in others)


def take_turns(
    names: Sequence[str], seconds: Callable[[int], float], effort: Effort, clock: Callable[[], float]
) -> Race:
    """Rounds in alternating order; `seconds(i)` measures contestant i."""
    race = Race(names)
    order = list(range(len(names)))
    least, most = effort.rounds
    end = clock() + effort.seconds
    while len(race) < most and (len(race) < least or clock() < end):
        measured = dict.fromkeys(order, 0.0)
        for contestant in order if len(race) % 2 == 0 else reversed(order):
            measured[contestant] = seconds(contestant)
        race.add([measured[i] for i in range(len(names))])
        # An interval takes a millisecond to compute: not after every round.
        if len(race) >= least and len(race) % 8 == 0 and race.settled(effort):
            break
    return race


def race(contestants: Sequence[Timed], effort: Effort) -> Race:
    """Times the contestants in turns, after two calls of each to warm up and one to see how long it takes."""
    calls = []
    for contestant in contestants:
        contestant.seconds(2)
        calls.append(calls_for(contestant.seconds(1), effort))
    return take_turns(
        [contestant.name for contestant in contestants],
        lambda i: contestants[i].seconds(calls[i]),
        effort,
        time.perf_counter,
    )


def calls_for(seconds: float, effort: Effort) -> int:
    """How many calls of `seconds` make a sample."""
    return max(1, min(10_000, round(effort.sample / max(seconds, 1e-9))))
