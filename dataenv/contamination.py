"""Overlap with evaluation items: one function, applied by the operation early, in training always.

Two prompts are the same item if the task says so (skill and parameters, in procedural tasks). Where
it cannot say, texts are compared: normalised, exactly for short ones, by 8-gram containment for the
rest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from dataenv.rows import Row
from dataenv.tasks.base import Item, Task

GRAM = 8
CONTAINMENT = 0.5


def normalised_words(text: str) -> list[str]:
    """Words of a text after NFKC, without invisible characters, case and markup."""
    plain = unicodedata.normalize("NFKC", text)
    visible = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    return re.findall(r"[^\W_]+", visible.lower())


def question_key(text: str) -> tuple[str, ...]:
    """Equal for texts that are the same question: words, and signs, as 3 + 4 is not 3 - 4."""
    signs = [
        char
        for char in unicodedata.normalize("NFKC", text)
        if char in "-/%()[]{}" or unicodedata.category(char) == "Sm"
    ]
    return (*normalised_words(text), *signs)


class OverlapIndex:
    """Finds rows that are evaluation items in disguise.

    Args:
        task: Says which prompts are the same item.
        items: The items to be kept out of training.
    """

    def __init__(self, task: Task, items: Iterable[Item]) -> None:
        self._identify = task.identify
        self._keys: dict[str, str] = {}
        self._exact: dict[tuple[str, ...], str] = {}
        self._grams: dict[tuple[str, ...], set[str]] = {}
        self._counts: dict[str, int] = {}
        for item in items:
            key = task.identify(item.prompt)
            if key is not None:
                self._keys.setdefault(key, item.id)
            words = normalised_words(item.prompt)
            self._exact.setdefault(question_key(item.prompt), item.id)
            if key is None:
                grams = _grams(words)
                self._counts[item.id] = len(grams)
                for gram in grams:
                    self._grams.setdefault(gram, set()).add(item.id)

    def find(self, row: Row) -> str | None:
        """The id of the item that a row repeats, or None."""
        key = self._identify(row.prompt)
        if key is not None and key in self._keys:
            return self._keys[key]
        words = normalised_words(row.prompt)
        exact = self._exact.get(question_key(row.prompt))
        return exact if exact or key is not None else self._contained(words)

    def _contained(self, words: Sequence[str]) -> str | None:
        hits: dict[str, int] = {}
        for gram in _grams(words):
            for item in self._grams.get(gram, ()):
                hits[item] = hits.get(item, 0) + 1
        overlapping = [i for i, n in sorted(hits.items()) if n >= CONTAINMENT * self._counts[i]]
        return overlapping[0] if overlapping else None


def _grams(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1)}
