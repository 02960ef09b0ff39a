"""How well chances predict what students got right; see ``scripts/fit_surrogate.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from log_surrogate import BASE, BEHAVIOURS

from dataenv.statistics import mean_bootstrap
from dataenv.surrogate.features import Counts, Items
from dataenv.surrogate.model import head_inputs

NEAR = 0.8
"""Share of rows in common from which two sets are near-equal."""
BINS = 10


@dataclass(frozen=True)
class Case:
    """An evaluated set.

    Args:
        target: Its target.
        by: Whose set it is.
        inputs: Features of the items, of shape (items, `FEATURES`).
        correct: Which were right.
        public: How many of them are public; they come first.
        items, counts: What the features are made of.
        ids: Ids of the rows.
        figures: Others of the evaluation.
    """

    target: int
    by: str
    inputs: np.ndarray
    correct: np.ndarray
    public: int
    items: Items
    counts: Counts
    ids: frozenset[str]
    figures: dict[str, float]

    @property
    def skills(self) -> list[str]:
        """Of each item."""
        return [fact.skill for fact in self.items.facts]

    @property
    def topics(self) -> np.ndarray:
        """Of each item."""
        return np.array([fact.topic for fact in self.items.facts])


def log_loss(cases: Sequence[Case], chances: Sequence[np.ndarray]) -> float:
    """Mean over all items of all sets."""
    p, y = _joined(cases, chances)
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return float(-np.mean(np.where(y, np.log(p), np.log(1 - p))))


def _joined(cases: Sequence[Case], chances: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate(list(chances)), np.concatenate([case.correct for case in cases])


def fresh_share(cases: Sequence[Case], chances: Sequence[np.ndarray]) -> float:
    """The share of items whose luck is new in a near-equal set, by the method of moments.

    With luck kept, an item differs between two sets with chance |p - q|; with new luck, with
    p (1 - q) + q (1 - p). The share is what makes up for the difference that was seen.
    """
    seen = kept = new = 0.0
    for place, case in enumerate(cases):
        for other in range(place):
            if cases[other].target == case.target and _near(case.ids, cases[other].ids):
                p, q = chances[place], chances[other]
                seen += (case.correct != cases[other].correct).sum()
                kept += np.abs(p - q).sum()
                new += (p * (1 - q) + q * (1 - p)).sum()
    return float(np.clip((seen - kept) / max(1e-9, new - kept), 0.0, 1.0))


def _near(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one and other) and len(one & other) >= NEAR * len(one | other)


def heads(cases: Sequence[Case], chances: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Least squares for the figures of whole sets, with a little ridge."""
    inputs = np.array(
        [head_inputs(p[: case.public], case.counts) for case, p in zip(cases, chances)]
    )
    gram = inputs.T @ inputs + 1e-2 * np.eye(inputs.shape[1])
    return {
        name: np.linalg.solve(gram, inputs.T @ [case.figures[name] for case in cases])
        for name in cases[0].figures
    }


def figures_of(cases: Sequence[Case], chances: Sequence[np.ndarray]) -> dict[str, Any]:
    """How well chances predict what was seen."""
    errors = [100 * abs(p.mean() - c.correct.mean()) for c, p in zip(cases, chances)]
    sets = [error for c, error in zip(cases, errors) if c.by != BASE]
    bases = [error for c, error in zip(cases, errors) if c.by == BASE]
    trained = [(c, p) for c, p in zip(cases, chances) if c.by != BASE]
    topics = [
        100 * abs(p[c.topics == t].mean() - c.correct[c.topics == t].mean())
        for c, p in trained
        for t in sorted(set(c.topics))
    ]
    orders = {}
    for target in sorted({case.target for case in cases}):
        mine = [(c.correct.mean(), p.mean()) for c, p in trained if c.target == target]
        orders[target] = rank_correlation(*zip(*mine))
    spread = mean_bootstrap(list(orders.values()))
    p, y = _joined(cases, chances)
    return {
        "set_error_points": round(float(np.mean(sets)), 2),
        "base_error_points": round(float(np.mean(bases)), 2),
        "topic_error_points": round(float(np.mean(topics)), 2),
        "calibration_error_points": round(100 * calibration_error(p, y), 2),
        "log_loss": round(log_loss(cases, chances), 4),
        "rank_correlation": round(float(np.mean(list(orders.values()))), 3),
        "rank_correlation_interval": [round(spread.low, 3), round(spread.high, 3)],
        "controllers": controllers(trained),
    }


def controllers(trained: Sequence[tuple[Case, np.ndarray]]) -> dict[str, list[float]]:
    """Mean score of the last set of each behaviour: [real, predicted]."""
    last = {(c.by, c.target): (c.correct.mean(), p.mean()) for c, p in trained}
    return {
        name: [round(float(each), 4) for each in np.mean(found, 0)]
        for name in BEHAVIOURS
        if (found := [scores for (by, _), scores in last.items() if by == name])
    }


def calibration_error(chances: np.ndarray, correct: np.ndarray) -> float:
    """Mean distance of chance and frequency in bins of chance (Naeini et al., 2015)."""
    bins = np.minimum((chances * BINS).astype(int), BINS - 1)
    gaps = [
        (bins == b).mean() * abs(chances[bins == b].mean() - correct[bins == b].mean())
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's; equal values share their mean rank. 0 where one side is constant."""
    left, right = _ranks(np.asarray(one)), _ranks(np.asarray(other))
    if left.std() == 0 or right.std() == 0:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.array([(values < v).sum() + ((values == v).sum() - 1) / 2 for v in values])
