"""The student protocol: a fixed base model that is fine-tuned and asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dataenv.config import DecodingConfig, TrainingConfig
from dataenv.rows import WorkingSet


@dataclass(frozen=True)
class Generation:
    """One answer of a student.

    Args:
        text: Without the end token.
        truncated: Whether the limit of new tokens cut it off.
    """

    text: str
    truncated: bool


@dataclass(frozen=True)
class Trained:
    """A fine-tuned student.

    Args:
        weights: The backend's own handle; None is the base.
        losses: Mean loss per completion token, one per optimiser step.
        tokens: Non-padding tokens trained on, over all epochs.
        seconds: Wall-clock.
        diverged: Why the weights are the base's, e.g. a non-finite loss; empty if all went well.
    """

    weights: Any = None
    losses: tuple[float, ...] = ()
    tokens: int = 0
    seconds: float = 0.0
    diverged: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the weights take."""
        if isinstance(self.weights, dict):
            return sum(each.nbytes for each in self.weights.values())
        return getattr(self.weights, "nbytes", 0)


BASE = Trained()


class Student(Protocol):
    """A base model that can be fine-tuned any number of times, always from its base weights."""

    @property
    def name(self) -> str:
        """For records."""
        ...

    @property
    def placement(self) -> Any:
        """Where it runs, for people: whatever it is, its text says so."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of base weights, tokenizer, dtype, thread count and library versions."""
        ...

    def train(self, rows: WorkingSet, config: TrainingConfig, key: str) -> Trained:
        """Fine-tunes the base on rows. Equal arguments give equal weights.

        Args:
            rows: The training set; its order counts if it is `sequential`.
            config: Hyper-parameters.
            key: The episode's key: seeds adapters and draws each row's place in an epoch.
        """
        ...

    def answer(
        self, trained: Trained, prompts: Sequence[str], config: DecodingConfig
    ) -> list[Generation]:
        """Greedy answers, aligned with the prompts."""
        ...

    def log_likelihood(
        self, trained: Trained, prompts: Sequence[str], completions: Sequence[str]
    ) -> list[float]:
        """Mean log-probability per token of each completion after its prompt."""
        ...

    def influences(
        self,
        trained: Trained,
        rows: Sequence[tuple[str, str]],
        groups: Sequence[Sequence[tuple[str, str]]],
    ) -> list[float]:
        """How far a gradient step on each row would lower the loss on a group of others, to first
        order: the cosine of the two gradients, the largest over the groups (LESS, Xia et al., 2024,
        with plain gradients and without projection).

        Args:
            trained: Whose gradients.
            rows: (prompt, completion) of each.
            groups: The same of what is wanted, by topic.
        """
        ...

    def hidden_states(self, trained: Trained, rows: Sequence[tuple[str, str]]) -> np.ndarray:
        """What the last layer makes of each row: the mean over its tokens, where later ones, which have
        read more, weigh more: the first 1, the second 2 and so on (Muennighoff, 2022).

        Args:
            trained: Whose states.
            rows: (prompt, completion) of each.

        Returns:
            An array of shape (n_rows, width).
        """
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens that a text takes."""
        ...

    def save(self, trained: Trained, folder: Path) -> None:
        """Writes the adapter as PEFT does, if there is one, or else a checkpoint, with the tokenizer.

        Args:
            trained: What is written; the base is a checkpoint.
            folder: Made if it is not there.
        """
        ...
