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
    plain = _plain(_SUPERSCRIPT.sub(_as_power, text))
    pieces = [m for m in _PIECE.finditer(plain) if m[0].strip("_")]
    key, depth = [], 0
    for place, piece in enumerate(pieces):
        sign = piece[0]
        depth += (sign in _OPEN) - (sign in _CLOSE)
        around = pieces[place - 1] if place else None, pieces[place + 1 : place + 2]
        if sign[0].isalnum() or sign[0] == "_" or _is_sign(plain, piece, *around, depth > 0):
            key.append(sign.strip("_") or sign)
    return tuple(key)


_OPEN, _CLOSE = "[{", "]}"
_SUPERSCRIPT = re.compile(
    "[\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT TWO}\N{SUPERSCRIPT THREE}\u2070-\u2079]+"
)
_PIECE = re.compile(r"\w+|\*+|[^\w\s]")


def _as_power(found: re.Match) -> str:
    return "^" + unicodedata.normalize("NFKC", found[0])


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).lower().replace("\N{MINUS SIGN}", "-")
    kinds = ((char, unicodedata.category(char)) for char in folded)
    return "".join("-" if kind == "Pd" else char for char, kind in kinds if kind != "Cf")


def _is_sign(
    text: str, piece: re.Match, previous: re.Match | None, following: list[re.Match], inside: bool
) -> bool:
    """Whether a mark belongs to an expression, not to a sentence or its markup.

    Args:
        text, piece: The mark and where it stands.
        previous, following: The pieces beside it.
        inside: Whether it stands in square or curly brackets.
    """
    char, start, end = piece[0][0], piece.start(), piece.end()
    before, after = text[start - 1 : start], text[end : end + 1]
    if char == "*":  # 2 * 3 and 2**3, not **so**
        return bool(before.strip()) == bool(after.strip(" \n\t.,;:?!"))
    if char == "-":  # 3 - x, not half-year, a 5-year plan or a dash
        left = previous[0] if previous else ""
        right = following[0][0] if following else ""
        if _is_word(right) and (_is_word(left) or not left or before.isdigit()):
            return False
        return not (_is_word(left) and before.isalpha())
    if char in ".,":
        return (after.isdigit() and (char == "." or inside)) or (inside and char == ",")
    if char == ":":
        return inside or before.isdigit() or after.isdigit()
    if char == "!":
        return after == "=" or (before.isdigit() and bool(following))
    if char in "'\"":
        return before.isdigit() or after.isdigit()
    return char in "/%()[]{}^&" or unicodedata.category(char) == "Sm"


def _is_word(text: str) -> bool:
    return len(text) > 1 and text.isalpha()


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
                pieces = grams(words)
                self._counts[item.id] = len(pieces)
                for gram in pieces:
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
        for gram in grams(words):
            for item in self._grams.get(gram, ()):
                hits[item] = hits.get(item, 0) + 1
        overlapping = [i for i, n in sorted(hits.items()) if n >= CONTAINMENT * self._counts[i]]
        return overlapping[0] if overlapping else None


def grams(words: Sequence[str]) -> set[tuple[str, ...]]:
    """The pieces of `GRAM` words in a row."""
    return {tuple(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1)}
