"""Graders: what a student's text answers, and whether that is the gold answer.

An answer is what follows the last ``Answer:``, to the end of the text. A text that goes on to give
a second answer there is never credited. Nothing is evaluated: literals are parsed, not run.
"""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dataenv.config import did_you_mean
from dataenv.errors import ConfigError, UnknownNameError
from dataenv.tasks.benchmark_graders import BENCHMARK_GRADERS

MAX_LITERAL_CHARS = 2000

_MARK = re.compile(r"\banswer\**[ \t]*:", re.IGNORECASE)
_CHOICE = re.compile(r"[(\[{]?\s*([A-Za-z])\s*[)\]}]?\.?")
_NUMBER = re.compile(
    r"(?:[-+] ?)?(?:(?!0)\d{1,3}(?:,\d{3})+(?!\d)|\d+|(?=\.\d))(?:\.\d*)?(?:e[-+]?\d+)?"
    r"|\b(?:nan|inf|infinity)\b|[∞±]",
    re.IGNORECASE,
)
# A power inside a unit, as in m/s^2, cm3 or s⁻¹, is not a second number.
_UNIT_POWER = re.compile(
    r"(?<![^\W\d_])(?:[mcdk]?m|ft|in|s|h|kg|mol|K)(?:\^?-?[1-4]|⁻?[¹²³⁴])(?![\d.])"
)
_CURRENCY = re.compile(r"([-+]?) ?[$€£¥₹] ?(?=[-+.\d])")
_DASHES = str.maketrans(dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d", "-"))


@dataclass(frozen=True)
class Verdict:
    """One graded answer.

    Args:
        correct: Whether it is the gold answer.
        extracted: The answer as read, or None if none could be: an extraction failure.
    """

    correct: bool
    extracted: str | None


@dataclass(frozen=True)
class Grader:
    """A way to read an answer and to compare it with gold.

    Args:
        name: Its key in `GRADERS`.
        extract: Maps a student's text to its answer, or None.
        equal: Whether an extracted answer equals gold.
        about: A line on what is right.
    """

    name: str
    extract: Callable[[str], str | None]
    equal: Callable[[str, str], bool]
    about: str = ""

    def check(self, gold: str) -> None:
        """Raises `ConfigError` if `gold` cannot be read; `grade` may stop before it looks."""
        self.equal("", gold)

    def grade(self, prediction_text: str, gold: str) -> Verdict:
        """Grades one text.

        Raises:
            ConfigError: `gold` cannot be read by this grader.
        """
        extracted = self.extract(prediction_text)
        return Verdict(extracted is not None and self.equal(extracted, gold), extracted)


def get_grader(name: str) -> Grader:
    """The grader of that name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in GRADERS:
        raise UnknownNameError(f"unknown grader {name!r}{did_you_mean(name, list(GRADERS))}")
    return GRADERS[name]


def _tail(text: str) -> str | None:
    """All that follows the last mark, or None without a mark."""
    marks = list(_MARK.finditer(text))
    return text[marks[-1].end() :] if marks else None


def _bare(text: str) -> str:
    """Text without surrounding white space and Markdown emphasis, unless that is all there is."""
    return text.strip().strip("*`").strip() or text.strip()


def _extract_exact(text: str) -> str | None:
    return _bare(_tail(text) or "") or None


def _equal_exact(answer: str, gold: str) -> bool:
    return _folded(answer) == _folded(gold)


def _folded(text: str) -> str:
    return " ".join(_bare(text).casefold().split())


def _extract_choice(text: str) -> str | None:
    match = _CHOICE.fullmatch(_bare(_tail(text) or ""))
    return match[1].upper() if match else None


def _equal_choice(answer: str, gold: str) -> bool:
    match = _CHOICE.fullmatch(_bare(gold))
    if match is None:
        raise ConfigError(f"the gold of a choice must be one letter, got {gold!r}")
    return answer == match[1].upper()


def _extract_numeric(text: str) -> str | None:
    """The tail, if there is a number on the mark's own line."""
    tail = _tail(text)
    line = (tail or "").split("\n", 1)[0]
    return _bare(tail or "") if _numbers(line) else None


def _equal_numeric(answer: str, gold: str) -> bool:
    """Whether the answer's only number agrees with gold to gold's last decimal."""
    right = _numbers(gold)
    if len(right) != 1 or not math.isfinite(float(right[0])):
        raise ConfigError(f"a numeric gold must hold one finite number, got {gold!r}")
    given = _numbers(answer)
    if len(given) != 1 or not math.isfinite(float(given[0])):
        return False
    return abs(float(given[0]) - float(right[0])) <= _tolerance(right[0])


def _numbers(text: str) -> list[str]:
    """Every number in a text, as `float` reads it; ``nan`` for signs with another value (½, ±)."""
    text = _UNIT_POWER.sub(" ", text.translate(_DASHES))
    text = _CURRENCY.sub(r" \1", text)
    found = [re.sub("[, ]", "", match[0]) for match in _NUMBER.finditer(text)]
    odd = [char for char in text if char.isnumeric() and not char.isdecimal()]
    return ["nan" if token in ("∞", "±") else token for token in found] + ["nan"] * len(odd)


def _tolerance(gold: str) -> float:
    """Half a unit of gold's last decimal; for a whole number, less than one whatever its size."""
    size = abs(float(gold))
    unit = int(Decimal(gold).as_tuple().exponent)
    if unit >= 0 and not re.search(r"\.\d", gold):
        return min(1e-6 * max(1.0, size), 0.5)
    return max(0.5 * 10.0**unit * (1 + 1e-6), 1e-6 * size)  # the slack covers float rounding


def _extract_literal(text: str) -> str | None:
    answer = _bare(_tail(text) or "")
    return answer if _parsed(answer) is not None else None


def _equal_literal(answer: str, gold: str) -> bool:
    right = _parsed(gold.strip())
    if right is None:
        raise ConfigError(f"a literal gold must be a Python literal, got {gold!r}")
    return _parsed(answer) == right


def _parsed(text: str) -> tuple[str, Any] | None:
    """The literal in a text, tagged with types; None if there is no single, plain literal."""
    if len(text) > MAX_LITERAL_CHARS or _hides_more(text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in a student's strings
            return _tagged(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _hides_more(text: str) -> bool:
    """Whether a comment, or strings that the parser would join, could hold a second answer."""
    previous = None
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT or token.type == previous == tokenize.STRING:
                return True
            previous = previous if token.type == tokenize.NL else token.type
    except (tokenize.TokenError, SyntaxError):
        return True
    return False


def _tagged(value: Any) -> tuple[str, Any]:
    """A hashable form in which True is not 1 and a list is no tuple, at every depth."""
    kind = type(value).__name__
    if isinstance(value, list | tuple):
        return kind, tuple(_tagged(each) for each in value)
    if isinstance(value, set):
        return kind, frozenset(_tagged(each) for each in value)
    if isinstance(value, dict):
        return kind, frozenset((_tagged(k), _tagged(v)) for k, v in value.items())
    return "number" if kind in ("int", "float", "complex") else kind, value


GRADERS: dict[str, Grader] = {
    grader.name: grader
    for grader in (
        Grader("numeric", _extract_numeric, _equal_numeric, "one number, to gold's last decimal"),
        Grader("literal", _extract_literal, _equal_literal, "one Python literal; 1 is not True"),
        Grader("exact", _extract_exact, _equal_exact, "the same text but for case and spaces"),
        Grader("choice", _extract_choice, _equal_choice, "the letter of an option"),
        *(Grader(*line) for line in BENCHMARK_GRADERS),
    )
}
