"""The laboratory whose students are predicted."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataenv.episode import Scores
from dataenv.errors import InvalidAction
from dataenv.evaluation import Evaluation
from dataenv.hashing import digest, seed_of
from dataenv.laboratory import Laboratory
from dataenv.rows import WorkingSet
from dataenv.students.base import Trained
from dataenv.surrogate.features import Counts, Items, reader_of
from dataenv.surrogate.model import fit_for
from dataenv.tasks.base import Item

NO_ANSWER = "(the surrogate tells right from wrong; it writes no answers)"


class SurrogateLaboratory(Laboratory):
    """Predicts which items the student of a set gets right, and trains nothing.

    Every item has a luck of its own, the same for all sets, and is right if its chance exceeds it: so
    that sets are compared under common random numbers, and a better set keeps what a worse one has. For a
    share of the items the luck is drawn anew for every set and episode, as training is not smooth
    either; `Fit.fresh` is the share at which near-equal sets differ as often as real ones did.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.fit = fit_for(self.config)
        self._reader = reader_of(self.config.domain)
        self._settings = digest(self._settings, self.fit.name)

    def chances(self, rows: WorkingSet, items: tuple[Item, ...]) -> np.ndarray:
        """The chance of every item to be right after training on rows, of shape (items,)."""
        return self.fit.chances(self._items(items), Counts(self._reader, rows))

    def row_losses(self, rows: WorkingSet, trained_on: WorkingSet | None) -> list[float]:
        """There are none.

        Raises:
            InvalidAction: Always.
        """
        raise InvalidAction(
            "losses, gradients and states need a trained student; this environment has a surrogate of one.",
            "Select by verified, importance, diversity or random, and order by length or ids.",
        )

    def row_influences(self, rows: WorkingSet, trained_on: WorkingSet | None) -> list[float]:
        """There are none; see `row_losses`."""
        return self.row_losses(rows, trained_on)

    def row_ifd(self, rows: WorkingSet, trained_on: WorkingSet | None) -> list[float]:
        """There are none; see `row_losses`."""
        return self.row_losses(rows, trained_on)

    def row_likeness(self, rows: WorkingSet, trained_on: WorkingSet | None) -> list[float]:
        """There are no states; see `row_losses`."""
        return self.row_losses(rows, trained_on)

    def _fit(self, used: WorkingSet) -> Trained:
        return Trained(weights=used if len(used) else None)

    def _ask(self, trained: Trained, *groups: tuple[tuple[Item, ...], str]) -> list[Evaluation]:
        return [self._answers(trained.weights or WorkingSet(), items) for items, _ in groups]

    def _examine(self, trained: Trained) -> Scores:
        task, rows = self.task, trained.weights or WorkingSet()
        public = self._answers(rows, task.public)
        counts, chances = Counts(self._reader, rows), self.chances(rows, task.public)
        retention = self.fit.figure("retention", chances, counts)
        return Scores(
            WorkingSet(),
            public,
            self._answers(rows, task.reward) if task.reward else public,
            min(1.0, max(0.0, retention)),
            min(0.0, self.fit.figure("log_likelihood", chances, counts)),
        )

    def _answers(self, rows: WorkingSet, items: tuple[Item, ...]) -> Evaluation:
        correct = (self._luck(rows, items) < self.chances(rows, items)).tolist()
        answers = tuple(
            f"Answer: {item.gold}" if right else NO_ANSWER for item, right in zip(items, correct)
        )
        return Evaluation(tuple(correct), answers, answers, (False,) * len(items))

    def _luck(self, rows: WorkingSet, items: tuple[Item, ...]) -> np.ndarray:
        """What the chance of every item must exceed, uniform in 0..1."""
        first = items[0].id if items else ""
        own, lot = _uniform("luck", self.task.target, first, size=(2, len(items)))
        moment = self.key if len(rows) else "base"
        anew = _uniform("anew", self.task.target, first, moment, rows.digest, size=len(items))
        return np.where(lot < self.fit.fresh, anew, own)

    def _items(self, items: tuple[Item, ...]) -> Items:
        key = digest("surrogate items", self.task.target, items[0].id if items else "")
        return self._cache.remember(key, lambda: Items(self._reader, items))


def _uniform(*parts: Any, size: Any) -> np.ndarray:
    return np.random.default_rng(seed_of("surrogate", *parts)).random(size)
