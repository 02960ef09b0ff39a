"""Training students on sets and examining them, for one task; nothing is done twice."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from dataenv.contamination import OverlapIndex
from dataenv.episode import Scores
from dataenv.evaluation import Evaluation, answer_log_likelihood, evaluate_groups
from dataenv.hashing import digest
from dataenv.presets import REAL, EnvConfig
from dataenv.rows import WorkingSet
from dataenv.screening import Screened, screen
from dataenv.students.base import BASE, Student, Trained
from dataenv.tasks.base import Item, Task

T = TypeVar("T")


class Cache:
    """A small least-recently-used cache of tasks, weights and evaluations.

    Args:
        size: Entries at most.
        nbytes: What their weights may take; the newest entry is kept, however large.
        entries: To start with.
    """

    def __init__(
        self,
        size: int = 64,
        nbytes: int = 2 << 30,
        entries: OrderedDict[str, Any] | None = None,
    ) -> None:
        self.size, self.nbytes = size, nbytes
        self.entries: OrderedDict[str, Any] = entries or OrderedDict()

    def remember(self, key: str, make: Callable[[], T]) -> T:
        """What was made for a key, made now if it is not there."""
        if key not in self.entries:
            self.entries[key] = make()
            while len(self.entries) > 1 and self._is_full():
                self.entries.popitem(last=False)
        self.entries.move_to_end(key)
        return self.entries[key]

    def recall(self, key: str, make: Callable[[], T]) -> T:
        """The same for a student's answers, which a replay has on record."""
        return self.remember(key, make)

    def task(self, config: EnvConfig, number: int, build: Callable[[], Task]) -> Task:
        """The task of a target, built now if it is not there."""
        return self.remember(digest("task", number), build)

    def _is_full(self) -> bool:
        held = sum(getattr(each, "nbytes", 0) for each in self.entries.values())
        return len(self.entries) > self.size or held > self.nbytes

    def copy(self) -> Cache:
        """A cache of its own with the same entries."""
        return Cache(self.size, self.nbytes, OrderedDict(self.entries))


class ThreadedCache(Cache):
    """A cache for environments in several threads: whoever asks for what is being made waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = threading.RLock()

    def remember(self, key: str, make: Callable[[], T]) -> T:
        """See `Cache`."""
        with self._turn:
            return super().remember(key, make)


class Laboratory:
    """Trains on sets and examines what comes of it, in one episode.

    Args:
        student: The base.
        config: Of the environment.
        task: Whose items are asked.
        key: The episode's key, which seeds training.
        overlap: Finds rows that repeat public items; they are not trained on.
        cache: Shared between episodes.
        seconds: Counts the time spent, by ``train`` and ``decode``.
    """

    def __init__(
        self,
        student: Student,
        config: EnvConfig,
        task: Task,
        key: str,
        overlap: OverlapIndex,
        cache: Cache,
        seconds: dict[str, float],
    ) -> None:
        self.student, self.config, self.task, self.key = student, config, task, key
        self._overlap, self._cache, self._seconds = overlap, cache, seconds
        asked = cache.remember(digest("items", task.target), lambda: _items_digest(task))
        self._settings = digest(student.fingerprint, task.target, asked, asdict(config))

    def training_rows(self, rows: WorkingSet) -> tuple[WorkingSet, int]:
        """What is trained of a set, its first rows as far as `screen` keeps them, and how many
        repeats of public items there were."""
        found = self._screened(rows)
        return found.kept, found.repeats

    def _screened(self, rows: WorkingSet) -> Screened:
        used = WorkingSet(rows.rows[: self.config.max_rows], rows.sequential)
        return screen(used, self._overlap)

    def train(self, rows: WorkingSet) -> Trained:
        """The student of a set; the base for an empty one."""
        return self._fit(self.training_rows(rows)[0])

    def _fit(self, used: WorkingSet) -> Trained:
        if not len(used):
            return BASE

        def fit() -> Trained:
            began = time.perf_counter()
            trained = self.student.train(used, self.config.training, self.key)
            self._seconds["train"] += time.perf_counter() - began
            return trained

        return self._cache.remember(digest("train", self._settings, used.digest, self.key), fit)

    def base_scores(self) -> Scores:
        """Scores of the base."""
        return self._cache.recall(digest("base", self._settings), lambda: self._examine(BASE))

    def scores(self, rows: WorkingSet) -> Scores:
        """Scores of the student of a set."""
        screened = self._screened(rows)
        used = screened.kept
        key = digest("scores", self._settings, used.digest, self.key)
        found = self._cache.recall(key, lambda: self._examine(self._fit(used)))
        return dataclasses.replace(
            found,
            rows=rows,
            contaminated=screened.repeats,
            dropped=screened.dropped,
            suspects=screened.suspects,
        )

    def private(self, rows: WorkingSet | None) -> Evaluation:
        """The private items, asked of the student of a set, or of the base."""
        used = WorkingSet() if rows is None else self.training_rows(rows)[0]
        return self._cache.recall(
            digest("private", self._settings, used.digest, self.key if len(used) else "base"),
            lambda: self._ask(self._fit(used), (self.task.private, self.task.grader))[0],
        )

    def row_losses(self, rows: WorkingSet, trained_on: WorkingSet | None) -> list[float]:
        """The loss of every row to the student of a set, or to the base."""
        trained = self._trained(trained_on)
        prompts, outputs = [row.prompt for row in rows], [row.output for row in rows]
        return [-score for score in self.student.log_likelihood(trained, prompts, outputs)]

    def row_influences(self, rows: WorkingSet, trained_on: WorkingSet | None) -> list[float]:
        """What a step on every row would do for the public items, to the student of a set."""
        topics: dict[str, list[tuple[str, str]]] = {}
        for item in self.task.public:
            topics.setdefault(item.topic, []).append((item.prompt, item.solution))
        return self.student.influences(
            self._trained(trained_on), _pairs(rows), list(topics.values())
        )

    def row_ifd(self, rows: WorkingSet, trained_on: WorkingSet | None) -> list[float]:
        """How little every row's question helps with its answer: the loss of the answer after it, over
        that of the answer after an empty question (Li et al., 2024)."""
        trained, outputs = self._trained(trained_on), [row.output for row in rows]
        alone = self.student.log_likelihood(trained, [""] * len(rows), outputs)
        return [
            asked / -bare if bare else math.inf
            for asked, bare in zip(self.row_losses(rows, trained_on), alone, strict=True)
        ]

    def row_likeness(self, rows: WorkingSet, trained_on: WorkingSet | None) -> list[float]:
        """How like a public item every row is to the student of a set: the cosine of their hidden
        states, with the nearest item (RDS+, Ivison et al., 2025).

        The nearest item, not the mean of a topic: a topic has several skills, and what lies between
        them is none.
        """
        trained = self._trained(trained_on)
        wanted = [(item.prompt, item.solution) for item in self.task.public]
        states = self.student.hidden_states(trained, [*_pairs(rows), *wanted])
        states = states / np.linalg.norm(states, axis=1, keepdims=True)
        return (states[: len(rows)] @ states[len(rows) :].T).max(1).tolist()

    def _trained(self, rows: WorkingSet | None) -> Trained:
        return self.train(rows) if rows is not None else BASE

    def _ask(self, trained: Trained, *groups: tuple[tuple[Item, ...], str]) -> list[Evaluation]:
        began = time.perf_counter()
        found = evaluate_groups(self.student, trained, groups, self.config.decoding)
        self._seconds["decode"] += time.perf_counter() - began
        return found

    def _examine(self, trained: Trained) -> Scores:
        task = self.task
        items = (*task.public, *task.reward)
        both, general = self._ask(
            trained, (items, task.grader), (task.retention, task.retention_grader)
        )
        began = time.perf_counter()
        likelihood = answer_log_likelihood(self.student, trained, task.public)
        self._seconds["decode"] += time.perf_counter() - began
        public = both.part(0, len(task.public))
        hidden = both.part(len(task.public), len(items)) if task.reward else public
        return Scores(
            WorkingSet(),
            public,
            hidden,
            general.score,
            likelihood,
            trained.diverged,
            trained.tokens,
        )


def _pairs(rows: WorkingSet) -> list[tuple[str, str]]:
    return [(row.prompt, row.output) for row in rows]


def _items_digest(task: Task) -> str:
    """A hash of all that students are asked: files of the same name may hold other questions."""
    return digest(repr((task.public, task.reward, task.private, task.retention)))


def laboratory_of(config: EnvConfig) -> type[Laboratory]:
    """Who says what the student of a set gets right."""
    if config.laboratory == REAL:
        return Laboratory
    from dataenv.surrogate.laboratory import SurrogateLaboratory

    return SurrogateLaboratory
