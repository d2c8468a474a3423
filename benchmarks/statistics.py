"""What repeated measurements say: medians with their spread, and ratios with confidence intervals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """The middle half of a sample, in the unit of the sample."""

    median: float
    q1: float
    q3: float
    count: int

    @classmethod
    def of(cls, sample: ArrayLike) -> "Summary":
        """The quartiles of at least one number; between two of them by linear interpolation.

        >>> Summary.of([4, 1, 3, 2, 5])
        Summary(median=3.0, q1=2.0, q3=4.0, count=5)
        """
        values = np.asarray(sample, float)
        q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        return cls(median, q1, q3, values.size)


@dataclass(frozen=True)
class Ratio:
    """A ratio, and the interval that holds it with a confidence of 95 %."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Of the interval, relative to the value."""
        return (self.high - self.low) / (2 * self.value)


def paired_ratio(numerators: ArrayLike, denominators: ArrayLike, seed: int = 0) -> Ratio:
    """The median of the ratios of pairs, with a percentile bootstrap of it.

    What slows the machine for a while slows both numbers of a pair, and leaves their ratio. The interval is
    between the 2.5 % and 97.5 % quantiles of the medians of 1,000 resamples of the pairs, drawn with
    replacement (Efron: Bootstrap methods: another look at the jackknife. Annals of Statistics 7(1), 1979).

    >>> paired_ratio([2, 4, 6], [1, 2, 3])
    Ratio(value=2.0, low=2.0, high=2.0)
    """
    ratios = np.asarray(numerators, float) / np.asarray(denominators, float)
    drawn = np.random.default_rng(seed).integers(ratios.size, size=(RESAMPLES, ratios.size))
    medians = np.median(ratios[drawn], axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians, [tail, 1 - tail]).tolist()
    return Ratio(float(np.median(ratios)), low, high)


def geometric_mean(ratios: Iterable[float]) -> float:
    """The mean of ratios: of 2 and 1/2 it is 1. NaN if there is none.

    >>> round(geometric_mean([2, 0.5, 8]), 12)
    2.0
    """
    logs = np.log(np.fromiter(ratios, float))
    return float(np.exp(logs.mean())) if logs.size else float("nan")


def spread(ratios: Sequence[float]) -> float:
    """By how much ratios that should be 1 are off, at most: 1.05 for 0.96 and 1.05. NaN if there is none.

    >>> spread([0.96, 1.05])
    1.05
    """
    return max((max(ratio, 1 / ratio) for ratio in ratios), default=float("nan"))
