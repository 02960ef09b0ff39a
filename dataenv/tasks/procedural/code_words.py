"""Plain-word operations: the vocabulary in which worked solutions of the code domain are written.

A `WordOp` says in words what is done to a value, does it, and knows how to draw its arguments from
the kinds of values of this module. The table of operations is in `code_ops`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LETTERS = "bcdfghjklmnpqrstvwxz"  # no vowels: strings must not look like words
SIZES = {1: (3, 3), 2: (3, 4), 3: (4, 4)}
HIGHEST = {1: 9, 2: 20, 3: 50}
NUMBER_HIGHEST = {1: 20, 2: 40, 3: 70}
SMALL_HIGHEST = {1: 5, 2: 7, 3: 9}
DIVIDEND = {1: (5, 30), 2: (10, 50), 3: (20, 90)}
WORD_LENGTHS = {1: (3, 3), 2: (3, 4), 3: (4, 5)}
PART_LENGTHS = {1: (2, 2), 2: (2, 2), 3: (2, 3)}
ENTRIES = {1: 2, 2: 2, 3: 3}
CHAIN_INT_LIMIT = 99

Draw = Callable[[random.Random, int], Any]
Rest = Callable[[random.Random, int, Any], tuple]


def _letters(rng: random.Random, count: int) -> list[str]:
    return rng.sample(LETTERS, count)


def random_word(rng: random.Random, low: int, high: int) -> str:
    """A word of random letters."""
    return "".join(rng.choices(LETTERS, k=rng.randint(low, high)))


def _draw_ints(rng: random.Random, difficulty: int) -> list[int]:
    return rng.sample(range(HIGHEST[difficulty] + 1), rng.randint(*SIZES[difficulty]))


def _draw_small(rng: random.Random, difficulty: int) -> list[int]:
    choices = range(1, SMALL_HIGHEST[difficulty] + 1)
    return rng.choices(choices, k=rng.randint(*SIZES[difficulty]))


def _draw_repeats(rng: random.Random, difficulty: int) -> list[int]:
    few = rng.sample(range(HIGHEST[difficulty] + 1), 3)
    return [*few[:2], *rng.choices(few, k=rng.randint(*SIZES[difficulty]) - 1)]


def _draw_words(rng: random.Random, difficulty: int) -> list[str]:
    count = rng.randint(2, 3) if difficulty == 1 else 3
    return [random_word(rng, *PART_LENGTHS[difficulty]) for _ in range(count)]


def _draw_line(rng: random.Random, difficulty: int) -> str:
    low, high = PART_LENGTHS[min(difficulty, 2)]
    count = rng.randint(2, 3 + (difficulty > 1))
    return " ".join(random_word(rng, low, high) for _ in range(count))


def _draw_lengths(rng: random.Random, difficulty: int) -> list[str]:
    return [random_word(rng, n, n) for n in rng.sample(range(1, 4 + (difficulty > 1)), 3)]


def _draw_echo(rng: random.Random, difficulty: int) -> str:
    low, high = WORD_LENGTHS[difficulty]
    return "".join(rng.choices(_letters(rng, 3), k=rng.randint(low + 1, min(high + 1, 6))))


def _draw_table(rng: random.Random, difficulty: int) -> dict[str, int]:
    count = ENTRIES[difficulty]
    numbers = rng.sample(range(1, HIGHEST[difficulty] + 1), count)
    return dict(zip(_letters(rng, count), numbers, strict=True))


KINDS: Mapping[str, Draw] = {
    "ints": _draw_ints,
    "sized": lambda rng, d: rng.sample(range(HIGHEST[d] + 1), rng.randint(1, 4)),
    "small": _draw_small,
    "repeats": _draw_repeats,
    "words": _draw_words,
    "lengths": _draw_lengths,
    "word": lambda rng, d: random_word(rng, *WORD_LENGTHS[d]),
    "echo": _draw_echo,
    "line": _draw_line,
    "table": _draw_table,
    "int": lambda rng, d: rng.randint(2, NUMBER_HIGHEST[d]),
    "digit": lambda rng, d: rng.randint(2, SMALL_HIGHEST[d] + d),
    "dividend": lambda rng, d: rng.randint(*DIVIDEND[d]),
    "bool": lambda rng, _: rng.random() < 0.5,
}


def kind_of(value: Any) -> str:
    """The kind of a value, or the empty string if no operation takes it."""
    if isinstance(value, bool | int | dict):
        return {bool: "bool", int: "int", dict: "table"}[type(value)]
    if isinstance(value, str):
        return "word"
    for kind, element in (("ints", int), ("words", str)):
        if all(isinstance(each, element) for each in value):
            return kind
    return ""


def _nothing(*_: Any) -> tuple:
    return ()


def index(rng: random.Random, _: int, x: Any) -> tuple:
    """A place in the subject."""
    return (rng.randrange(len(x)),)


def cut(rng: random.Random, _: int, x: Any) -> tuple:
    """How much to cut off, so that something is cut and something left."""
    return (rng.randint(1, len(x) - 1),)


def bounds(rng: random.Random, _: int, x: Any) -> tuple:
    """Two places in order."""
    return tuple(sorted(rng.sample(range(len(x) + 1), 2)))


def member(rng: random.Random, _: int, x: Any) -> tuple:
    """Something that is in the subject."""
    return (rng.choice(list(x)),)


def new_int(rng: random.Random, difficulty: int, _: Any) -> tuple:
    """Any positive number."""
    return (rng.randint(1, NUMBER_HIGHEST[difficulty]),)


def maybe_member(rng: random.Random, difficulty: int, x: list[int]) -> tuple:
    """A number that may be in the subject."""
    return member(rng, difficulty, x) if rng.random() < 0.5 else new_int(rng, difficulty, x)


def factor(rng: random.Random, difficulty: int, _: Any) -> tuple:
    """A small number above 1."""
    return (rng.randint(2, SMALL_HIGHEST[difficulty]),)


def threshold(rng: random.Random, _: int, x: list[int]) -> tuple:
    """A number with items of the subject on both sides."""
    return (rng.randint(min(x), max(x) - 1),)


def rival(rng: random.Random, difficulty: int, x: int) -> tuple:
    """A number other than the subject."""
    return (rng.choice([n for n in range(1, NUMBER_HIGHEST[difficulty] + 1) if n != x]),)


def change(rng: random.Random, _: int, x: str) -> tuple:
    """A letter of the subject, and one that is not in it."""
    return rng.choice(x), rng.choice(sorted(set(LETTERS) - set(x)))


def prefix(rng: random.Random, _: int, x: str) -> tuple:
    """Two letters with which the subject may start."""
    right = x[:2]
    return (right if rng.random() < 0.5 else right[0] + rng.choice(LETTERS),)


def like(length: int | None) -> Rest:
    """Another value of the same kind, at most `length` long."""

    def rest(rng: random.Random, difficulty: int, x: Any) -> tuple:
        return (KINDS[kind_of(x)](rng, difficulty)[: length or len(x)],)

    return rest


def maybe_key(rng: random.Random, _: int, x: dict) -> str:
    """A letter that may be a key of the subject."""
    known = rng.random() < 0.5
    return rng.choice([c for c in LETTERS if (c in x) == known])


def descent(rng: random.Random, difficulty: int, x: int) -> tuple:
    """A step down and a floor for a loop of a few steps."""
    step = rng.randint(max(2, x // 5), max(3, x // 3))
    return step, rng.randint(step, max(step, x - step))


@dataclass(frozen=True)
class WordOp:
    """An operation in plain words on a subject and further arguments.

    Args:
        phrase: What is done, with ``{0}`` for the subject and ``{1}``, ... for the rest.
        apply: Does it.
        asks: Sentences that ask for it.
        kinds: Names of the `KINDS` of subject that it takes.
        rest: Draws the further arguments for a subject.
        link: Stands between the phrase and the value.
        trace: Writes intermediate values that end with the result, in the place of the value.
        limit: Longest subject that it takes, if any.
    """

    phrase: str
    apply: Callable[..., Any]
    asks: tuple[str, ...]
    kinds: tuple[str, ...]
    rest: Rest = _nothing
    link: str = " = "
    trace: Callable[..., str] = lambda value, *_: repr(value)
    limit: int | None = None

    @property
    def arity(self) -> int:
        """How many arguments it takes, the subject included."""
        return sum(f"{{{number}}}" in self.phrase for number in range(4))

    def write(self, *args: Any, subject: str = "") -> tuple[str, Any]:
        """The operation carried out in words, and its value; `subject` may stand for the first."""
        value = self.apply(*args)
        return self.say(*args, subject=subject) + self.link + self.trace(value, *args), value

    def say(self, *args: Any, subject: str = "") -> str:
        """The operation in words."""
        return self.phrase.format(subject or repr(args[0]), *map(repr, args[1:]))

    def draw_subject(self, rng: random.Random, difficulty: int, kind: str = "") -> Any:
        """A subject of a kind (any kind that it takes, if not named)."""
        subject = KINDS[kind or rng.choice(self.kinds)](rng, difficulty)
        return subject[: self.limit] if self.limit else subject

    def suits(self, value: Any) -> bool:
        """Whether a result of another operation is a good subject."""
        if kind_of(value) not in self.kinds:
            return False
        if isinstance(value, bool):
            return True
        if isinstance(value, int):
            return 1 < value <= CHAIN_INT_LIMIT
        return len(set(value)) > 1 and len(value) <= (self.limit or len(value))


def is_dull(subject: Any, value: Any) -> bool:
    """Whether a result is empty, or is a list or string that the operation left as it was."""
    return value in ([], "", {}) or (isinstance(value, list | str) and value == subject)
