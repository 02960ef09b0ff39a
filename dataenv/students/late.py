"""A student that is loaded when it is first needed, and does one thing at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataenv.config import DecodingConfig, TrainingConfig
from dataenv.errors import ConfigError
from dataenv.rows import WorkingSet
from dataenv.students.base import Generation, Student, Trained

_TURN = threading.RLock()
"""Students of one checkpoint share a model, and training has the process's random state: whoever
asks a student, in whichever thread, waits for the others."""


class LateStudent:
    """Stands for a student; safe to use beside others of its kind in other threads.

    Args:
        load: Loads it.
        fingerprint: What it must turn out to have, where that is known; it can then be told without
            loading it.
    """

    def __init__(self, load: Callable[[], Student], fingerprint: str = "") -> None:
        self._load, self._known = load, fingerprint
        self._loaded: Student | None = None

    @property
    def _student(self) -> Student:
        """The student itself.

        Raises:
            ConfigError: It cannot be loaded, or is another than it was.
        """
        if self._loaded is None:
            with _TURN:
                self._loaded = self._checked()
        return self._loaded

    def _checked(self) -> Student:
        student = self._load()
        if self._known not in ("", student.fingerprint):
            raise ConfigError(
                f"the student {student.name!r} is another than when the run was begun (its weights, "
                "or the versions of libraries); put it back, or start anew"
            )
        return student

    @property
    def name(self) -> str:
        """See `dataenv.students.base.Student`, as for all that follows."""
        return self._student.name

    @property
    def placement(self) -> Any:
        return self._student.placement

    @property
    def fingerprint(self) -> str:
        return self._known or self._student.fingerprint

    def train(self, rows: WorkingSet, config: TrainingConfig, key: str) -> Trained:
        with _TURN:
            return self._student.train(rows, config, key)

    def answer(
        self, trained: Trained, prompts: Sequence[str], config: DecodingConfig
    ) -> list[Generation]:
        with _TURN:
            return self._student.answer(trained, prompts, config)

    def log_likelihood(
        self, trained: Trained, prompts: Sequence[str], completions: Sequence[str]
    ) -> list[float]:
        with _TURN:
            return self._student.log_likelihood(trained, prompts, completions)

    def influences(
        self,
        trained: Trained,
        rows: Sequence[tuple[str, str]],
        groups: Sequence[Sequence[tuple[str, str]]],
    ) -> list[float]:
        with _TURN:
            return self._student.influences(trained, rows, groups)

    def hidden_states(self, trained: Trained, rows: Sequence[tuple[str, str]]) -> np.ndarray:
        with _TURN:
            return self._student.hidden_states(trained, rows)

    def count_tokens(self, text: str) -> int:
        return self._student.count_tokens(text)  # needs no model, so nobody waits

    def save(self, trained: Trained, folder: Path) -> None:
        with _TURN:
            self._student.save(trained, folder)
