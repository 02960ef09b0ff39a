"""Overlap with evaluation items: what makes two texts the same item.

Two prompts are the same item if the task says so (skill and parameters, in procedural tasks). Where
it cannot say, texts are compared: normalised, exactly for short ones, by 8-gram containment for the
rest. What this sees and what it does not is in ``docs/HONESTY.md``; `dataenv.screening` applies it.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from dataenv.rows import Row
from dataenv.tasks.base import Item, Task
from dataenv.tasks.graders import get_grader

GRAM = 8
CONTAINMENT = 0.5
SUSPECT_GRAM = 13
"""Words in a row that no two texts share by chance (Brown et al. 2020, appendix C)."""
BOILERPLATE = 3
"""Items from which a piece of text counts as the task's wording, if a tenth of the items hold it."""


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
    plain = folded(text).replace("\N{MINUS SIGN}", "-")
    if plain.isascii():  # which has no other dash and nothing invisible
        return plain
    dashed = ("-" if unicodedata.category(char) == "Pd" else char for char in plain)
    return visible("".join(dashed))


def folded(text: str) -> str:
    """A text without case and other forms of the same characters."""
    return unicodedata.normalize("NFKC", text).lower()


def visible(text: str) -> str:
    """A text without its zero-width characters."""
    return "".join(char for char in text if unicodedata.category(char) != "Cf")


_TAG = re.compile(
    r"</?(?:[abipqsu]|br|code|del|div|em|font|h[1-6]|hr|ins|li|mark|[ou]l|pre|small|span|strong|su[bp])"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_LINK = re.compile(r"!?\[([^\[\]]*)\]\((?:https?:|#)[^()\s]*\)")
_MACRO = re.compile(r"\\(?:text\w*|math\w+|emph)\{([^{}]*)\}")
_LABEL = re.compile(
    r"\A\W*(?:question|problem|exercise|task|q)\W{0,4}\d*\W{0,4}[:.)]\W*", re.IGNORECASE
)
_LATER_LABEL = re.compile(r"\W*\b(?:answer|solution|a)\W{0,3}:\W*\Z", re.IGNORECASE)
# Selectors, joiners and fillers that show nothing though their category is not Cf.
_FILLERS = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0]")


def without_markup(text: str) -> str:
    """A text without HTML, links, macros, and labels such as ``Question 3:``."""
    bare = _FILLERS.sub("", html.unescape(text))
    bare = _MACRO.sub(r"\1", _LINK.sub(r"\1", _TAG.sub("", bare)))
    return _LATER_LABEL.sub("", _LABEL.sub("", bare))


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
        # a set is looked through again after every training
        self._identify = lru_cache(maxsize=8192)(task.identify)
        self._grader = task.grader
        self._keys: dict[str, str] = {}
        self._exact: dict[tuple[str, ...], str] = {}
        self._natural: dict[str, Item] = {}
        for item in items:
            key = task.identify(item.prompt)
            if key is not None:
                self._keys.setdefault(key, item.id)
                self._exact.setdefault(question_key(item.prompt), item.id)
            else:
                self._natural[item.id] = item
                self._exact.setdefault(question_key(without_markup(item.prompt)), item.id)
        prompts = {i: item.prompt for i, item in self._natural.items()}
        self._pieces = _Pieces(prompts, GRAM)
        self._long_pieces = _Pieces(prompts, SUSPECT_GRAM)

    def find(self, row: Row) -> str | None:
        """The id of the item that a row repeats, or None."""
        key = self._identify(row.prompt)
        if key is not None:
            return self._keys.get(key)
        if row.provenance.repeats in self._natural:
            return row.provenance.repeats
        exact = self._exact.get(question_key(row.prompt))
        return exact or self._asked_again(row) or self._contained(row)

    def suspect(self, row: Row) -> str | None:
        """The id of an item of which a row holds `SUSPECT_GRAM` words in a row, or None: a flag,
        since a common phrase may be as long."""
        for text in (row.prompt, row.output) if self._natural else ():
            held = self._long_pieces.shares(text)
            if held:
                return min(held)
        return None

    def returned(self, told: str, row: Row) -> str | None:
        """The id of an item that a teacher was told and that comes back as a row, or None.

        It is the same item if it has the same answer and the same numbers or, where it has none,
        half of its words: whatever else has been put into other words.
        """
        return next(
            (i for i in self.carried(told) if self._comes_back(self._natural[i], row)), None
        )

    def carried(self, text: str) -> list[str]:
        """Ids of the items whose text another text carries, of those that have no key."""
        if not self._natural:
            return []
        shares = self._pieces.shares(text)
        words = _spaced(normalised_words(without_markup(text)))
        return [
            i
            for i, item in self._natural.items()
            if shares.get(i, 0.0) >= CONTAINMENT
            or _spaced(normalised_words(without_markup(item.prompt))) in words
        ]

    def _comes_back(self, item: Item, row: Row) -> bool:
        if not get_grader(self._grader).grade(row.output, item.gold).correct:
            return False
        numbers = _numbers(item.prompt)
        if numbers:
            return numbers == _numbers(row.prompt)
        words = set(normalised_words(item.prompt))
        return 2 * len(words & set(normalised_words(row.prompt))) >= len(words)

    def _asked_again(self, row: Row) -> str | None:
        """Whether a row, or a part of it, is an item but for markup."""
        for text in (row.prompt, row.instruction, row.input) if self._natural else ():
            found = self._exact.get(question_key(without_markup(text)))
            if found in self._natural:
                return found
        return None

    def _contained(self, row: Row) -> str | None:
        for text in (row.prompt, row.output) if self._natural else ():
            shares = self._pieces.shares(text)
            overlapping = [i for i, share in sorted(shares.items()) if share >= CONTAINMENT]
            if overlapping:
                return overlapping[0]
        return None


class _Pieces:
    """Which items a text shares runs of words with.

    Args:
        prompts: Of items, by id. Runs that many of them hold are the task's wording, and ignored.
        size: Words of a run.
    """

    def __init__(self, prompts: dict[str, str], size: int) -> None:
        self._size = size
        self._holders: dict[tuple[str, ...], set[str]] = {}
        for name, prompt in prompts.items():
            for gram in grams(normalised_words(without_markup(prompt)), size):
                self._holders.setdefault(gram, set()).add(name)
        common = max(BOILERPLATE, len(prompts) / 10)
        self._holders = {gram: ids for gram, ids in self._holders.items() if len(ids) < common}
        self._counts = Counter(name for ids in self._holders.values() for name in ids)

    def shares(self, text: str) -> dict[str, float]:
        """The share of each item's runs that a text holds, of items with any."""
        words = normalised_words(without_markup(text))
        hits = Counter(n for g in grams(words, self._size) for n in self._holders.get(g, ()))
        return {name: count / self._counts[name] for name, count in hits.items()}


def _spaced(words: Sequence[str]) -> str:
    return f" {' '.join(words)} "


def _numbers(text: str) -> Counter[str]:
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", _plain(text))
    return Counter(
        each.rstrip("0").rstrip(".") if "." in each else each for each in _NUMBER.findall(plain)
    )


_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def grams(words: Sequence[str], size: int = GRAM) -> set[tuple[str, ...]]:
    """The pieces of `size` words in a row."""
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}
