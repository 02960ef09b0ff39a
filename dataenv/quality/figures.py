"""What a measurement says: a value, on how many rows, how sure, and how it came about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dataenv.statistics import Interval, mean_bootstrap, wilson


@dataclass(frozen=True)
class Figure:
    """One measurement of a set.

    Args:
        by: How it was measured, or by whom.
        n: Rows that it was measured on.
        value: None where nothing could be.
        interval: 95%: by bootstrap over the rows for a mean, Wilson's for a share (a bootstrap of
            equal values would have no width); None for what is neither.
        quartiles: Of the rows' own values.
        against: (reason, rows) of the rows that count against a share, most frequent first.
    """

    by: str
    n: int
    value: float | None = None
    interval: Interval | None = None
    quartiles: tuple[float, float, float] | None = None
    against: tuple[tuple[str, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        interval = [self.interval.low, self.interval.high] if self.interval else None
        quartiles = list(self.quartiles) if self.quartiles else None
        changed = {"interval": interval, "quartiles": quartiles, "against": dict(self.against)}
        return {**asdict(self), **changed}

    def to_cells(self) -> tuple[str, str, str, str]:
        """Value, interval, n, and how it was measured with what there is to add, as text."""
        value = "-" if self.value is None else f"{self.value:.3g}"
        interval = f"[{self.interval.low:.3g}, {self.interval.high:.3g}]" if self.interval else ""
        remarks = [f"{reason}: {rows}" for reason, rows in self.against]
        if self.quartiles:
            remarks.append("quartiles " + ", ".join(f"{each:.3g}" for each in self.quartiles))
        return value, interval, str(self.n), "; ".join([self.by, *remarks])


def mean_of(values: Sequence[float], by: str) -> Figure:
    """The mean of the rows' values."""
    if not values:
        return Figure(by, 0)
    mean = sum(values) / len(values)
    return Figure(by, len(values), mean, mean_bootstrap(values), _quartiles(values))


def geometric_mean_of(logarithms: Sequence[float], by: str) -> Figure:
    """The mean of values that are given by their logarithms; the same of interval and quartiles."""
    if not logarithms:
        return Figure(by, 0)
    mean, spread = sum(logarithms) / len(logarithms), mean_bootstrap(logarithms)
    interval = Interval(math.exp(spread.low), math.exp(spread.high))
    low, middle, high = (math.exp(each) for each in _quartiles(logarithms))
    return Figure(by, len(logarithms), math.exp(mean), interval, (low, middle, high))


def share_without(problems: Sequence[str], by: str) -> Figure:
    """The share of rows without a problem, and how often each problem occurs."""
    if not problems:
        return Figure(by, 0)
    good = sum(not problem for problem in problems)
    against = Counter(problem for problem in problems if problem).most_common()
    interval = wilson(good, len(problems))
    return Figure(by, len(problems), good / len(problems), interval, against=tuple(against))


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return low, middle, high
