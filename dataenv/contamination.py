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
    return re.findall(r"[^\W_]+", _plain(text))


def question_key(text: str) -> tuple[str, ...]:
    """Equal for texts that are the same question: words and the signs between them, in order.

    3 + 4 is not 3 - 4, nor 2.5 + 3 2 + 5.3, nor s[1:] s[:1]; punctuation of prose does not count.
    """
    plain = _plain(text)
    found = re.finditer(r"[^\W_]+|\*+|[^\w\s]", plain)
    return tuple(m[0] for m in found if m[0].isalnum() or _is_sign(plain, *m.span()))


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).lower().replace("\N{MINUS SIGN}", "-")
    kinds = ((char, unicodedata.category(char)) for char in folded)
    return "".join("-" if kind == "Pd" else char for char, kind in kinds if kind != "Cf")


def _is_sign(text: str, start: int, end: int) -> bool:
    """Whether a mark belongs to an expression, not to a sentence or its markup."""
    char, before, after = text[start], text[start - 1 : start], text[end : end + 1]
    if char == "*":  # 2 * 3 and 2**3, not **so**
        return bool(before.strip()) == bool(after.strip(" \n\t.,;:?!"))
    if char == "-":
        return not (before.isalpha() and after.isalpha())
    if char == ".":
        return after.isdigit()
    if char == ":":
        return any(c.isdigit() or c in "[]{}" for c in (before, after) if c)
    if char == "!":
        return after == "="
    return char in "/%()[]{}^&" or unicodedata.category(char) == "Sm"


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
        if key is not None:
            return self._keys.get(key)
        exact = self._exact.get(question_key(row.prompt))
        return exact or self._contained(normalised_words(row.prompt))

    def _contained(self, words: Sequence[str]) -> str | None:
        hits: dict[str, int] = {}
        for gram in _grams(words):
            for item in self._grams.get(gram, ()):
                hits[item] = hits.get(item, 0) + 1
        overlapping = [i for i, n in sorted(hits.items()) if n >= CONTAINMENT * self._counts[i]]
        return overlapping[0] if overlapping else None


def _grams(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1)}
