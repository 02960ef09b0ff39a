"""The table of plain-word operations, and what is made of it besides code skills.

`PRIMITIVES` ask for each operation by itself; `hinted` shows an operation behind a made-up call
whose meaning is given. A student who has practised both can carry the operations out, but has not
seen what Python calls them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from itertools import accumulate
from operator import mul
from typing import Any

from dataenv.tasks.procedural.code_words import (
    NUMBER_HIGHEST,
    SMALL_HIGHEST,
    WordOp,
    bounds,
    change,
    cut,
    descent,
    factor,
    index,
    is_dull,
    like,
    maybe_key,
    maybe_member,
    member,
    new_int,
    prefix,
    random_word,
    rival,
    threshold,
)
from dataenv.tasks.procedural.skill import ANSWER_MARK

DRAW_ATTEMPTS = 200


def _running(values: Any) -> str:
    return ", ".join(map(repr, values))


def _descend(n: int, step: int, floor: int) -> list[int]:
    if step < 1:
        raise ValueError(f"a step down of {step} never ends")
    numbers = [n]
    while numbers[-1] > floor:
        numbers.append(numbers[-1] - step)
    return numbers


def _tally(text: str) -> dict[str, int]:
    return {letter: text.count(letter) for letter in dict.fromkeys(text)}


def _without(xs: list, place: int) -> list:
    return [x for number, x in enumerate(xs) if number != place]


_LISTS = ("ints", "words")
_ROWS = ("ints", "words", "word")

PLACE_OPS: dict[str, WordOp] = {
    "item": WordOp(
        "item {1} from 0 of {0}",
        lambda x, i: x[i],
        ("Item {1} from 0 of {0}?", "Counting from 0, what is item {1} of {0}?"),
        _ROWS,
        index,
    ),
    "item_back": WordOp(
        "item {1} from the end of {0}",
        lambda x, i: x[len(x) - i],
        ("Item {1} from the end of {0}?", "Counting back from the end, what is item {1} of {0}?"),
        _ROWS,
        lambda rng, _, x: (rng.randint(1, len(x)),),
    ),
    "slice": WordOp(
        "items {1} up to before {2} of {0}",
        lambda x, i, j: x[i:j],
        (
            "Give items {1} up to before {2} of {0}.",
            "Counting from 0, which are items {1} up to before {2} of {0}?",
        ),
        _ROWS,
        bounds,
    ),
    "take": WordOp(
        "first {1} of {0}",
        lambda x, k: x[:k],
        ("Give the first {1} of {0}.", "Which are the first {1} of {0}?"),
        _ROWS,
        cut,
    ),
    "drop": WordOp(
        "drop the first {1} of {0}",
        lambda x, k: x[k:],
        ("Drop the first {1} of {0}.", "What is left of {0} without the first {1}?"),
        _ROWS,
        cut,
    ),
    "drop_last": WordOp(
        "drop the last {1} of {0}",
        lambda x, k: x[: len(x) - k],
        ("Drop the last {1} of {0}.", "What is left of {0} without the last {1}?"),
        _ROWS,
        cut,
    ),
    "reverse": WordOp(
        "reverse {0}", lambda x: x[::-1], ("Reverse {0}.", "What is {0} from back to front?"), _ROWS
    ),
    "second": WordOp(
        "every second item of {0}",
        lambda x: x[::2],
        ("Give every second item of {0}.", "From the first one on, which is every second of {0}?"),
        _ROWS,
    ),
}

LIST_OPS: dict[str, WordOp] = {
    "append": WordOp(
        "put {1} at the end of {0}",
        lambda x, v: [*x, v],
        ("Put {1} at the end of {0}.", "What is {0} with {1} added at the end?"),
        ("ints",),
        new_int,
        limit=4,
    ),
    "insert": WordOp(
        "put {2} at place {1} from 0 in {0}",
        lambda x, i, v: [*x[:i], v, *x[i:]],
        ("Put {2} at place {1} from 0 in {0}.", "What is {0} with {2} put in at place {1} from 0?"),
        ("ints",),
        lambda *a: (*index(*a), *new_int(*a)),
        limit=4,
    ),
    "remove_at": WordOp(
        "take item {1} from 0 out of {0}",
        _without,
        ("Take item {1} from 0 out of {0}.", "What is {0} without item {1} from 0?"),
        _LISTS,
        index,
    ),
    "remove": WordOp(
        "take the first {1} out of {0}",
        lambda x, v: _without(x, x.index(v)),
        ("Take the first {1} out of {0}.", "What is {0} without its first {1}?"),
        ("repeats", *_LISTS),
        member,
    ),
    "join": WordOp(
        "join {0} and {1}",
        lambda x, y: x + y,
        ("Join {0} and {1}.", "What do {0} and {1} give one after the other?"),
        ("ints", "word"),
        like(2),
        limit=3,
    ),
    "repeat": WordOp(
        "repeat {0} {1} times",
        lambda x, k: x * k,
        ("Repeat {0} {1} times.", "What is {0} written {1} times in a row?"),
        ("ints", "word"),
        lambda rng, *_: (rng.randint(2, 3),),
        limit=2,
    ),
    "place": WordOp(
        "place from 0 of {1} in {0}",
        lambda x, v: x.index(v),
        ("At which place from 0 is {1} in {0}?", "Find the place from 0 of {1} in {0}."),
        _ROWS,
        member,
    ),
    "count": WordOp(
        "how many {1} in {0}",
        lambda x, v: sum(each == v for each in x),
        ("How many {1} are in {0}?", "How often is {1} in {0}?"),
        ("repeats", "echo"),
        member,
    ),
    "has": WordOp(
        "{0} has {1}",
        lambda x, v: v in x,
        ("Is it True or False that {0} has {1}?", "Does {0} have {1}? True or False."),
        ("ints",),
        maybe_member,
        " is ",
    ),
    "length": WordOp(
        "length of {0}", len, ("How long is {0}?", "What is the length of {0}?"), ("sized", *_ROWS)
    ),
    "pair": WordOp(
        "pair {0} with {1}",
        lambda x, y: list(zip(x, y, strict=True)),
        ("Pair {0} with {1}.", "Which pairs do {0} and {1} make?"),
        ("small",),
        lambda rng, d, x: (rng.choices(range(1, SMALL_HIGHEST[d]), k=len(x)),),
        limit=3,
    ),
    "number": WordOp(
        "number {0} from 0",
        lambda x: list(zip(range(len(x)), x, strict=True)),
        ("Number {0} from 0.", "What is {0} with each item numbered from 0?"),
        _LISTS,
        limit=3,
    ),
    "sort": WordOp("sort {0}", sorted, ("Sort {0}.", "What is {0} in order?"), _LISTS),
    "sort_down": WordOp(
        "sort {0} from big to small",
        lambda x: sorted(x)[::-1],
        ("Sort {0} from big to small.", "What is {0} in falling order?"),
        _LISTS,
    ),
    "sort_length": WordOp(
        "sort {0} by length",
        lambda x: sorted(x, key=len),
        ("Sort {0} by length.", "What is {0} from the shortest to the longest?"),
        ("lengths",),
    ),
    "add_up": WordOp(
        "add up {0}",
        sum,
        ("Add up {0}.", "What is the total of {0}?"),
        ("ints",),
        link=": ",
        trace=lambda _, x: _running(accumulate(x, initial=0)),
    ),
    "multiply_up": WordOp(
        "multiply up {0}",
        lambda x: list(accumulate(x, mul))[-1],
        ("Multiply up {0}.", "What is the product of {0}?"),
        ("small",),
        link=": ",
        trace=lambda _, x: _running(accumulate(x, mul, initial=1)),
        limit=3,
    ),
    "biggest": WordOp(
        "biggest of {0}", max, ("Biggest of {0}?", "Which is the biggest in {0}?"), ("ints",)
    ),
    "smallest": WordOp(
        "smallest of {0}", min, ("Smallest of {0}?", "Which is the smallest in {0}?"), ("ints",)
    ),
    "first_bigger": WordOp(
        "first item bigger than {1} of {0}",
        lambda x, t: next(v for v in x if v > t),
        ("First item bigger than {1} of {0}?", "Which item of {0} is the first bigger than {1}?"),
        ("ints",),
        threshold,
    ),
    "add_each": WordOp(
        "add {1} to each of {0}",
        lambda x, k: [v + k for v in x],
        ("Add {1} to each of {0}.", "What is {0} with {1} added to each?"),
        ("ints",),
        factor,
    ),
    "multiply_each": WordOp(
        "multiply each of {0} by {1}",
        lambda x, k: [v * k for v in x],
        ("Multiply each of {0} by {1}.", "What is {0} with each item times {1}?"),
        ("small",),
        factor,
    ),
    "keep_bigger": WordOp(
        "keep items bigger than {1} of {0}",
        lambda x, t: [v for v in x if v > t],
        ("Keep the items bigger than {1} of {0}.", "Which of {0} are bigger than {1}?"),
        ("ints",),
        threshold,
    ),
    "keep_even": WordOp(
        "keep even items of {0}",
        lambda x: [v for v in x if not v & 1],
        ("Keep the even items of {0}.", "Which of {0} are even?"),
        ("ints",),
    ),
    "capitals_each": WordOp(
        "capital letters of each of {0}",
        lambda x: [w.upper() for w in x],
        ("Write each of {0} in capital letters.", "What is {0} with each in capital letters?"),
        ("words",),
    ),
    "lengths": WordOp(
        "length of each of {0}",
        lambda x: [len(w) for w in x],
        ("How long is each of {0}?", "What is the length of each of {0}?"),
        ("lengths", "words"),
    ),
}

WORD_OPS: dict[str, WordOp] = {
    "capitals": WordOp(
        "capital letters of {0}",
        str.upper,
        ("Write {0} in capital letters.", "What is {0} in capital letters?"),
        ("word",),
    ),
    "capital_first": WordOp(
        "capital first letter of {0}",
        lambda s: s[0].upper() + s[1:],
        ("Give {0} a capital first letter.", "What is {0} with a capital first letter?"),
        ("word",),
    ),
    "change": WordOp(
        "change {1} to {2} in {0}",
        lambda s, a, b: "".join(b if c == a else c for c in s),
        ("Change {1} to {2} in {0}.", "What is {0} with {2} for each {1}?"),
        ("echo", "word"),
        change,
    ),
    "starts": WordOp(
        "{0} starts with {1}",
        lambda s, p: s[: len(p)] == p,
        (
            "Is it True or False that {0} starts with {1}?",
            "Does {0} start with {1}? True or False.",
        ),
        ("word",),
        prefix,
        " is ",
    ),
    "split": WordOp(
        "words of {0}", str.split, ("Which words are in {0}?", "List the words of {0}."), ("line",)
    ),
    "join_with": WordOp(
        "join {0} with {1}",
        lambda x, sep: sep.join(x),
        ("Join {0} with {1}.", "What do {0} give with {1} between them?"),
        ("words",),
        lambda rng, *_: (rng.choice("-+/:_"),),
    ),
    "tally": WordOp(
        "count each letter of {0}",
        _tally,
        ("Count each letter of {0}.", "How often is each letter in {0}?"),
        ("echo",),
    ),
}

TABLE_OPS: dict[str, WordOp] = {
    "lookup": WordOp(
        "value of {1} in {0}",
        lambda d, k: d[k],
        ("What is the value of {1} in {0}?", "Which number belongs to {1} in {0}?"),
        ("table",),
        member,
    ),
    "lookup_else": WordOp(
        "value of {1} in {0} or else {2}",
        lambda d, k, v: d.get(k, v),
        (
            "What is the value of {1} in {0}, or else {2}?",
            "Which number belongs to {1} in {0}? Without one, give {2}.",
        ),
        ("table",),
        lambda rng, d, x: (maybe_key(rng, d, x), rng.randint(0, NUMBER_HIGHEST[d])),
        ": ",
        lambda value, d, k, _: f"{'found' if k in d else 'not in keys, default'} {value}",
    ),
    "store": WordOp(
        "set {1} to {2} in {0}",
        lambda d, k, v: {**d, k: v},
        ("Set {1} to {2} in {0}.", "What is {0} once {1} is set to {2}?"),
        ("table",),
        lambda rng, d, x: (maybe_key(rng, d, x), *new_int(rng, d, x)),
    ),
    "delete": WordOp(
        "take key {1} out of {0}",
        lambda d, k: {key: d[key] for key in d if key != k},
        ("Take key {1} out of {0}.", "What is {0} without key {1}?"),
        ("table",),
        member,
    ),
    "keys": WordOp(
        "keys of {0}", list, ("List the keys of {0}.", "Which keys are in {0}?"), ("table",)
    ),
    "values": WordOp(
        "values of {0}",
        lambda d: list(d.values()),
        ("List the values of {0}.", "Which values are in {0}?"),
        ("table",),
    ),
    "top_key": WordOp(
        "key of the biggest value in {0}",
        lambda d: max((v, k) for k, v in d.items())[1],
        ("Which key has the biggest value in {0}?", "Key of the biggest value in {0}?"),
        ("table",),
    ),
}

NUMBER_OPS: dict[str, WordOp] = {
    "whole": WordOp(
        "whole part of {0} / {1}",
        lambda a, b: (a - a % b) // b,
        ("What is the whole part of {0} / {1}?", "How many times does {1} fit into {0}?"),
        ("dividend", "int"),
        factor,
    ),
    "rest": WordOp(
        "rest of {0} / {1}",
        lambda a, b: a - b * (a // b),
        ("What is the rest of {0} / {1}?", "What is left over when {0} is split by {1}?"),
        ("dividend", "int"),
        factor,
    ),
    "square": WordOp(
        "{0} * {0}", lambda a: a * a, ("What is {0} * {0}?", "Multiply {0} by {0}."), ("digit",)
    ),
    "plus": WordOp(
        "{0} + {1}",
        lambda a, b: a + b,
        ("What is {0} + {1}?", "Add {0} and {1}."),
        ("int",),
        new_int,
    ),
    "minus": WordOp(
        "{0} - {1}",
        lambda a, b: a - b,
        ("What is {0} - {1}?", "Take {1} from {0}."),
        ("int", "dividend"),
        lambda rng, _, x: (rng.randint(1, x - 1),),
    ),
    "times": WordOp(
        "{0} * {1}",
        lambda a, b: a * b,
        ("What is {0} * {1}?", "Multiply {0} by {1}."),
        ("digit",),
        factor,
    ),
    "difference": WordOp(
        "difference of {0} and {1}",
        lambda a, b: max(a, b) - min(a, b),
        ("What is the difference of {0} and {1}?", "How far apart are {0} and {1}?"),
        ("int",),
        rival,
    ),
    "bigger": WordOp(
        "{0} bigger than {1}",
        lambda a, b: a > b,
        (
            "Is it True or False that {0} is bigger than {1}?",
            "Is {0} bigger than {1}? True or False.",
        ),
        ("int",),
        rival,
        " is ",
    ),
    "both": WordOp(
        "both {0} and {1}",
        lambda p, q: p and q,
        ("Are both {0} and {1} True?", "What is both {0} and {1}?"),
        ("bool",),
        lambda rng, *_: (rng.random() < 0.5,),
        " is ",
    ),
    "either": WordOp(
        "either {0} or {1}",
        lambda p, q: p or q,
        ("Is either {0} or {1} True?", "What is either {0} or {1}?"),
        ("bool",),
        lambda rng, *_: (rng.random() < 0.5,),
        " is ",
    ),
    "pick": WordOp(
        "if {0} take {1} else {2}",
        lambda p, a, b: a if p else b,
        ("If {0} take {1}, else take {2}.", "Which is taken: {1} if {0}, else {2}?"),
        ("bool",),
        lambda rng, *_: (random_word(rng, 2, 3), random_word(rng, 2, 3)),
    ),
    "count_up": WordOp(
        "count from {0} up to before {1}",
        lambda a, b: list(range(a, b)),
        ("Count from {0} up to before {1}.", "Which numbers go from {0} up to before {1}?"),
        ("dividend", "int"),
        lambda rng, d, x: (x + rng.randint(2, 4 + (d > 1)),),
    ),
    "count_steps": WordOp(
        "count from {0} up to before {1} in steps of {2}",
        lambda a, b, k: list(range(a, b, k)),
        (
            "Count from {0} up to before {1} in steps of {2}.",
            "In steps of {2}, which numbers go from {0} up to before {1}?",
        ),
        ("int",),
        lambda rng, d, x: (x + rng.randint(8, 15), rng.randint(3, 5)),
    ),
    "descend": WordOp(
        "from {0} take {1} while bigger than {2}",
        lambda *a: _descend(*a)[-1],
        (
            "From {0} take {1} while it is bigger than {2}.",
            "Take {1} from {0} again and again while it is bigger than {2}. What is left?",
        ),
        ("int", "dividend"),
        descent,
        ": ",
        lambda _, *a: _running(_descend(*a)),
    ),
    "add_times": WordOp(
        "add {1} to {0}, {2} times",
        lambda a, k, n: a + k * n,
        ("Add {1} to {0}, {2} times.", "Start at {0} and add {1} for {2} times. What is it?"),
        ("int",),
        lambda rng, d, x: (rng.randint(2, 9), rng.randint(2, 4)),
        ": ",
        lambda _, a, k, n: _running(a + k * i for i in range(n + 1)),
    ),
}

OPS: Mapping[str, WordOp] = PLACE_OPS | LIST_OPS | WORD_OPS | TABLE_OPS | NUMBER_OPS


def _shifted(i: int) -> int:
    """A place counted from 1 where it should be from 0."""
    return i - 1 if i else i + 1


CONFUSIONS: Mapping[str, Callable[..., tuple]] = {
    "item": lambda x, i: ("item", x, _shifted(i)),
    "item_back": lambda x, i: ("item_back", x, i % len(x) + 1),
    "slice": lambda x, i, j: ("slice", x, i, j + 1 if j < len(x) else j - 1),
    "take": lambda x, k: ("drop", x, k),
    "drop": lambda x, k: ("take", x, k),
    "drop_last": lambda x, k: ("drop", x, k),
    "reverse": lambda x: ("drop_last", x, 1),
    "second": lambda x: ("take", x, 2),
    "append": lambda x, v: ("insert", x, 0, v),
    "insert": lambda x, i, v: ("insert", x, _shifted(i), v),
    "remove_at": lambda x, i: ("remove_at", x, _shifted(i)),
    "join": lambda x, y: ("join", y, x),
    "repeat": lambda x, k: ("repeat", x, k + 1),
    "sort": lambda x: ("sort_down", x),
    "sort_down": lambda x: ("sort", x),
    "sort_length": lambda x: ("sort", x),
    "biggest": lambda x: ("smallest", x),
    "smallest": lambda x: ("biggest", x),
    "capitals": lambda x: ("capital_first", x),
    "capital_first": lambda x: ("capitals", x),
    "keys": lambda x: ("values", x),
    "values": lambda x: ("keys", x),
    "whole": lambda x, k: ("rest", x, k),
    "rest": lambda x, k: ("whole", x, k),
    "square": lambda x: ("times", x, 2),
    "plus": lambda x, y: ("plus", x, y + 1),
    "times": lambda x, y: ("plus", x, y),
    "bigger": lambda x, y: ("bigger", y, x),
    "both": lambda x, y: ("either", x, y),
    "either": lambda x, y: ("both", x, y),
    "count_up": lambda x, y: ("count_up", x, y + 1),
    "count_steps": lambda x, y, k: ("count_steps", x, y + k, k),
    "add_times": lambda x, k, n: ("add_times", x, k, n + 1),
}
"""What an operation is taken for by somebody who has it wrong: off by one, or its neighbour."""


class Trace:
    """Carries out operations by name and keeps what was done, in words.

    A list, string or dict that was just obtained is called "it", one that was just used
    "the same".

    Args:
        confused: Number of the operation, of those in `CONFUSIONS`, that is taken for another.
    """

    def __init__(self, confused: int | None = None) -> None:
        """Starts with nothing done."""
        self._parts: list[str] = []
        self._known: dict[str, Any] = {}
        self._confused = confused
        self.confusable = 0
        self.value: Any = None

    def do(self, name: str, *args: Any) -> Any:
        """Carries out an operation and gives its value."""
        if name in CONFUSIONS:
            if self.confusable == self._confused:
                name, *args = CONFUSIONS[name](*args)  # type: ignore[assignment]
            self.confusable += 1
        text, value = OPS[name].write(*args, subject=self.refer(args[0]))
        self._parts.append(text)
        self._known = {"it": value, "the same": args[0]}
        self.value = value
        return value

    def refer(self, subject: Any) -> str:
        """What a subject is called, or the empty string if it has to be written out."""
        if isinstance(subject, int):
            return ""
        return next((name for name, value in self._known.items() if value == subject), "")

    def say(self, text: str) -> None:
        """Adds a remark."""
        self._parts.append(text)

    @property
    def text(self) -> str:
        """All that was done."""
        return "; ".join(self._parts)


def followers(value: Any) -> list[str]:
    """Names of the operations that may be done on the result of another."""
    return [name for name, op in OPS.items() if op.suits(value)]


def draw_arguments(rng: random.Random, difficulty: int, op: WordOp, kind: str = "") -> list:
    """Arguments for an operation with a result that is not dull, if they are found."""
    for _ in range(DRAW_ATTEMPTS):
        subject = op.draw_subject(rng, difficulty, kind)
        args = [subject, *op.rest(rng, difficulty, subject)]
        if not is_dull(subject, op.apply(*args)):
            break
    return args


def _ask(op: WordOp, rng: random.Random, difficulty: int) -> tuple[str, str]:
    args = draw_arguments(rng, difficulty, op)
    wording = rng.choice((*op.asks, f"Do this: {op.phrase}."))
    text, value = op.write(*args)
    return wording.format(*map(repr, args)), f"{text} {ANSWER_MARK} {value!r}"


def _can_be_it(value: Any) -> bool:
    return not isinstance(value, int) and bool(followers(value))


def _ask_two(rng: random.Random, difficulty: int) -> tuple[str, str]:
    """An operation, and another one on its result or on the same subject."""
    choices: list = []
    while not choices:
        op, trace = rng.choice(list(OPS)), Trace()
        args = draw_arguments(rng, difficulty, OPS[op])
        choices = [each for each in (trace.do(op, *args), args[0]) if _can_be_it(each)]
    subject = rng.choice(choices)
    after = rng.choice(followers(subject))
    more = [subject, *OPS[after].rest(rng, difficulty, subject)]
    wish = OPS[after].say(*more, subject=trace.refer(subject))
    value = trace.do(after, *more)
    ask = f"Do this: {OPS[op].say(*args)}. Then do this: {wish}."
    return ask, f"{trace.text} {ANSWER_MARK} {value!r}"


PRIMITIVES: tuple[Callable[[random.Random, int], tuple[str, str]], ...] = (
    *(partial(_ask, op) for op in OPS.values()),
    _ask_two,
)

CHAIN_SHARE = 0.35
HINT_FRAMES = (
    "What does this give? Here {hint}.",
    "In this code {hint}. What is the last value?",
    "Suppose {hint}. What comes out?",
    "Let us say that {hint}. Work it out.",
)
# Layouts of a made-up call: {f} its name, {x} the subject, {rest} and {all} with commas.
NESTING_LAYOUTS = ("{f}({all})", "{x}.{f}({rest})", "{f}[{all}]", "({f} {all})", "{f}<{all}>")
LAYOUTS = (*NESTING_LAYOUTS, "{f} {all}", "{x} -> {f} {rest}", "{x} | {f} {rest}")
NAME_LETTERS = "bcdfghjkmpqrtvwz"  # no vowel, so that no name means something in Python
HINT_ARGUMENTS = ("x", "k", "m")
VARIABLES = ("xs", "a", "v", "p", "q", "y", "data", "w")


def _name(rng: random.Random) -> str:
    return "".join(rng.choices(NAME_LETTERS, k=rng.randint(2, 3)))


def _call(layout: str, name: str, args: list[str]) -> str:
    rest = ", ".join(args[1:])
    return layout.format(f=name, x=args[0], rest=rest, all=", ".join(args)).strip()


def _hint(rng: random.Random, op: WordOp, layout: str, name: str) -> str:
    verb = op.phrase.removesuffix(" {0}")
    if "{" not in verb and rng.random() < 0.5:
        return f"{name} means {verb}"
    letters = list(HINT_ARGUMENTS[: op.arity])
    return f"{_call(layout, name, letters)} means {op.phrase.format(*letters)}"


def hinted(rng: random.Random, difficulty: int) -> tuple[str, str, str]:
    """A made-up call, or two in a row, with what the names mean in plain words.

    Returns:
        Instruction with the hint, input with the call, and output.
    """
    op, trace = rng.choice(list(OPS)), Trace()
    args = draw_arguments(rng, difficulty, OPS[op])
    value = trace.do(op, *args)
    name, variable = _name(rng), rng.choice(VARIABLES)
    after = rng.choice(followers(value) or [""]) if rng.random() < CHAIN_SHARE else ""
    layout = rng.choice(NESTING_LAYOUTS if after else LAYOUTS)
    hint, named = _hint(rng, OPS[op], layout, name), rng.random() < 0.5
    subject = variable if named else repr(args[0])
    call = _call(layout, name, [subject, *map(repr, args[1:])])
    if after:
        more = OPS[after].rest(rng, difficulty, value)
        other = name + rng.choice(NAME_LETTERS)
        hint = f"{hint} and {_hint(rng, OPS[after], layout, other)}"
        call = _call(layout, other, [call, *map(repr, more)])
        value = trace.do(after, value, *more)
    code = f"{variable} = {args[0]!r}\n{call}" if named else call
    instruction = rng.choice(HINT_FRAMES).format(hint=hint)
    return instruction, code, f"{trace.text} {ANSWER_MARK} {value!r}"
