"""What a controller believes of a topic: how it answers to rows, and whether its teacher is to be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

from dataenv.policies.settings import switch, tuned

CHECKED = {False: 0.93, True: 0.25}
"""Share of right rows among those that pass the teacher's own check, by whether it is weak."""
UNCHECKED = {False: 0.88, True: 0.2}
"""The same among all that it writes."""
PASSING = {False: 0.87, True: 0.65}
"""Share of its rows that pass."""
CONFIRMED = {False: 0.88, True: 0.3}
"""Share of its rows whose answer the second teacher confirms."""
POOL = 0.7
"""Share of right rows in the raw pool."""


@dataclass(frozen=True)
class Settings:
    """What is believed of every topic before anything is seen, and how it is acted upon.

    The defaults were set by hand. Odds need not sum to 1.

    Args:
        first_share, second_share, third_share: Of the calls left, what each round spends; those that
            follow spend all.
        quick, slow: Rows after which a topic is two thirds learned.
        quick_odds, slow_odds, never_odds: How likely it learns so fast, or never.
        weak: Chance that the teacher is weak at a topic.
        probes: Rows of every topic that the second teacher solves in the first round, to see whom to
            trust.
        ceiling: Score of a topic that is learned.
        trust: Weight of a report's evidence: the same public items answer every time.
        hopeless: A topic that is never learned with this chance is dropped from a full set.
        curiosity: What a row is worth for each point by which its gain is uncertain.
        tilt: Power of a topic's share of the public items in what its rows are worth.
        unchecked: Whether rows may be left as the teacher writes them.
        pool: Rows of a topic that may be drawn from the raw pool, unchecked.
        pool_price: What drawing one counts, in calls, as places in the set are scarce too.
    """

    first_share: float = tuned(0.5, 0.2, 0.95)
    second_share: float = tuned(0.4, 0.2, 0.95)
    third_share: float = tuned(0.5, 0.2, 0.95)
    quick: float = tuned(6.0, 2.0, 16.0, log=True)
    slow: float = tuned(20.0, 10.0, 80.0, log=True)
    quick_odds: float = 0.4
    slow_odds: float = 0.3
    never_odds: float = tuned(0.3, 0.03, 0.9, log=True)
    weak: float = tuned(0.35, 0.05, 0.8)
    probes: int = tuned(2, 0, 4)
    ceiling: float = tuned(0.95, 0.6, 1.0)
    trust: float = tuned(0.5, 0.1, 1.5, log=True)
    hopeless: float = tuned(0.9, 0.6, 1.0)
    curiosity: float = tuned(0.0, -1.0, 1.0)
    tilt: float = tuned(1.0, 0.4, 1.6)
    unchecked: bool = switch(False)
    pool: int = tuned(0, 0, 16, margin=0.4)
    pool_price: float = tuned(2.0, 0.3, 6.0, log=True)


DEFAULTS = Settings()


@dataclass(frozen=True)
class Held:
    """Rows of a topic, by where they are from: the teacher's own, checked; those that the second teacher
    solved; the teacher's own, unchecked; the pool's."""

    plain: float = 0.0
    solved: float = 0.0
    raw: float = 0.0
    pool: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.plain + self.solved + self.raw + self.pool


class Belief:
    """What may be true of a topic, and how likely that is.

    Hypotheses are a pace of learning and whether the teacher is weak at it. A score is expected to
    rise from the base's as ``purity * (1 - exp(-rows / pace))`` of the way to the ceiling.

    Args:
        base: The base's score.
        items: Public items of the topic.
        settings: What is believed at first.
    """

    def __init__(self, base: float, items: int, settings: Settings = DEFAULTS) -> None:
        self.base, self.items, self.settings = base, items, settings
        paces = {
            settings.quick: settings.quick_odds,
            settings.slow: settings.slow_odds,
            math.inf: settings.never_odds,
        }
        total = sum(paces.values())
        self.odds = {
            (pace, weak): chance / total * (settings.weak if weak else 1 - settings.weak)
            for (pace, chance), weak in product(paces.items(), (False, True))
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the settings are the controller's."""
        return {"base": self.base, "items": self.items, "odds": [*self.odds.values()]}

    @classmethod
    def from_dict(cls, data: dict[str, Any], settings: Settings = DEFAULTS) -> Belief:
        """The inverse of `to_dict`."""
        belief = cls(data["base"], data["items"], settings)
        belief.odds = dict(zip(belief.odds, data["odds"], strict=True))
        return belief

    def expected(self, rows: Held) -> float:
        """The score that rows lead to, over all hypotheses."""
        return sum(p * self._score(rows, *which) for which, p in self.odds.items())

    def promise(self, rows: Held, after: Held) -> float:
        """What more rows are worth: the gain to be expected, and something for not being sure of it."""
        gain = self.expected(after) - self.expected(rows)
        if not self.settings.curiosity:
            return gain
        spread = sum(
            p * (self._score(after, *which) - self._score(rows, *which) - gain) ** 2
            for which, p in self.odds.items()
        )
        return gain + self.settings.curiosity * math.sqrt(spread)

    def never(self) -> float:
        """The chance that no rows help."""
        return sum(p for (pace, _), p in self.odds.items() if pace == math.inf)

    def weak(self) -> float:
        """The chance that the teacher is weak here."""
        return sum(p for (_, weak), p in self.odds.items() if weak)

    def passing(self) -> float:
        """The share of the teacher's rows that is expected to pass its own check."""
        return self.weak() * PASSING[True] + (1 - self.weak()) * PASSING[False]

    def see(self, rows: Held, score: float) -> None:
        """Learns from the score that rows have led to."""
        right, trust = score * self.items, self.settings.trust
        self._weigh(lambda which: _binomial(right, self.items, self._score(rows, *which)), trust)

    def see_check(self, passed: float, written: float) -> None:
        """Learns from how many of the teacher's rows have passed its own check."""
        passed = min(passed, written)  # a topic's rows may come from the requests for another
        self._weigh(lambda which: _binomial(passed, written, PASSING[which[1]]), 1.0)

    def see_solutions(self, confirmed: float, solved: float) -> None:
        """Learns from how many of the teacher's answers the second one has confirmed."""
        self._weigh(lambda which: _binomial(confirmed, solved, CONFIRMED[which[1]]), 1.0)

    def _weigh(self, evidence: Callable[[tuple[float, bool]], float], trust: float) -> None:
        weights = {which: p * math.exp(trust * evidence(which)) for which, p in self.odds.items()}
        total = sum(weights.values())
        self.odds = {which: weight / total for which, weight in weights.items()}

    def _score(self, rows: Held, pace: float, weak: bool) -> float:
        if not rows.total:
            return self.base
        right = rows.solved + rows.plain * CHECKED[weak]
        if rows.raw or rows.pool:
            right += rows.raw * UNCHECKED[weak] + rows.pool * POOL
        learned = right / rows.total * (1 - math.exp(-rows.total / pace))
        return self.base + max(0.0, self.settings.ceiling - self.base) * learned


def _binomial(right: float, count: float, chance: float) -> float:
    """Log-likelihood of so many successes, but for what all chances share."""
    p = min(0.97, max(0.03, chance))
    return right * math.log(p) + (count - right) * math.log(1 - p)
