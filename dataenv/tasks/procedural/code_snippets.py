"""Code skills out of snippets and plain-word operations.

A `Snippet` is code over named parameters; its layouts (variable names, literal or variable, wrapped
in a function) times instruction frames are the templates of a skill. The answer comes from running
the snippet; the worked solution comes from plain-word operations. The two meet only in a test.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from dataenv.tasks.procedural.code_ops import OPS, Trace, draw_arguments
from dataenv.tasks.procedural.code_words import is_dull
from dataenv.tasks.procedural.skill import Parameters, Skill, fill

FRAMES = (
    "What does this return?",
    "Evaluate the last line.",
    "Which value results?",
    "What is the result of this code?",
    "Give the value of the last expression.",
)
RESERVED_FRAMES = (
    "What would Python show for the last line?",
    "Run this by hand and state the outcome.",
)

# Parameters that may stand in a variable: kind of value, and two open and one reserved name.
VARIABLES: Mapping[str, tuple[str, tuple[str, str, str]]] = {
    "xs": ("ints", ("xs", "values", "data")),
    "ys": ("ints", ("ys", "others", "more")),
    "zs": ("sized", ("xs", "values", "data")),
    "ns": ("small", ("xs", "nums", "data")),
    "rs": ("repeats", ("xs", "items", "data")),
    "words": ("words", ("words", "names", "parts")),
    "ws": ("lengths", ("words", "names", "parts")),
    "s": ("word", ("s", "word", "text")),
    "t": ("word", ("t", "end", "tail")),
    "e": ("echo", ("s", "word", "text")),
    "line": ("line", ("line", "msg", "phrase")),
    "d": ("table", ("d", "table", "book")),
    "a": ("int", ("a", "left", "p")),
    "b": ("int", ("b", "right", "q")),
    "n": ("int", ("n", "size", "num")),
    "m": ("dividend", ("n", "size", "num")),
    "g": ("digit", ("n", "size", "num")),
    "grid": ("", ("grid", "rows", "board")),
}
FUNCTION_NAMES = ("f", "g", "run")
BUILTINS = {
    each.__name__: each
    for each in (abs, any, chr, enumerate, len, list, max, min, ord, range, sorted, sum, zip)
}
DRAW_ATTEMPTS = 500
LARGEST = 200  # of a number by itself; what is drawn stays below

Draw = Callable[[random.Random, int], dict[str, Any]]
Plan = Callable[[Trace, Parameters], Any]


@dataclass(frozen=True)
class Snippet:
    """Code with placeholders.

    Args:
        params: Names of the parameters; one that the code uses as a bare word is a variable.
        expr: The last line.
        body: The lines before it.
        inline: Whether the expression may also be written on the literals themselves; not where
            the same text would fit another skill.
    """

    params: tuple[str, ...]
    expr: str
    body: str = ""
    inline: bool = True

    @property
    def variables(self) -> tuple[str, ...]:
        """The parameters that are assigned to variables."""
        code = f"{self.body}\n{self.expr}"
        return tuple(p for p in self.params if re.search(_bare(p), code))

    def plain(self, naming: int, result: str = "") -> str:
        """Assignments, body and expression, with a choice of names."""
        last = f"{result} = {self.expr}\n{result}" if result else self.expr
        lines = [f"{name} = {{{name}}}" for name in self.variables]
        return self._rename("\n".join(filter(None, (*lines, self.body, last))), naming)

    def wrapped(self, naming: int) -> str:
        """The code in a function of the variables."""
        if not self.variables or "def " in self.body:
            return self.plain(naming, "y")
        body = "".join(f"    {line}\n" for line in self.body.splitlines())
        header = f"def f({', '.join(self.variables)}):\n{body}    return {self.expr}\n"
        if len(self.variables) == 1:
            call = f"f({{{self.variables[0]}}})"
        else:  # keywords, so that a text can be taken apart again
            call = f"f({', '.join(f'{name}={{{name}}}' for name in self.variables)})"
        return self._rename(header + call, naming)

    def on_literals(self) -> str:
        """The expression with literals for variables, where that is clear and short."""
        counts = [len(re.findall(_bare(name), self.expr)) for name in self.variables]
        if not self.inline or self.body or any(count != 1 for count in counts):
            return self.plain(0, "y")
        text = self.expr
        for name in self.variables:
            text = re.sub(_bare(name), f"{{{name}}}", text)
        return text

    def open_layouts(self) -> tuple[str, ...]:
        """The layouts that anyone may use."""
        return self.plain(0), self.plain(1), self.on_literals(), self.wrapped(0)

    def reserved_layouts(self) -> tuple[str, ...]:
        """The layouts of test items."""
        return self.plain(2, "result"), self.wrapped(2)

    def _rename(self, code: str, naming: int) -> str:
        names = {p: VARIABLES[p][1][naming] for p in self.variables}
        names["f"] = FUNCTION_NAMES[naming]
        pattern = "|".join(map(_bare, names))
        return re.sub(pattern, lambda found: names[found.group()], code)


def _bare(name: str) -> str:
    return rf"(?<![{{\w']){name}(?![}}\w'])"


def _check(parameters: Parameters) -> None:
    """Refuses parameters, recognised in a foreign text, with which code might run for long.

    Raises:
        ValueError: A number is out of range, a value has no type that is ever drawn.
    """
    for name, value in parameters.items():
        if not isinstance(value, int | str | list | dict):
            raise ValueError(f"{name} = {value!r} is of no known type")
        if isinstance(value, int) and not (name == "step") <= value <= LARGEST:
            raise ValueError(f"{name} = {value} is out of range")


def _run(snippet: Snippet, parameters: Parameters) -> str:
    """The oracle: runs the code."""
    _check(parameters)
    *lines, last = fill(snippet.plain(0), parameters).splitlines()
    namespace: dict[str, Any] = {"__builtins__": BUILTINS}
    exec("\n".join(lines), namespace)
    return repr(eval(last, namespace))


def _templates(frames: tuple[str, ...], layouts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{frame}\n{code}" for frame in frames for code in layouts))


def _keywords(name: str, topic: str, snippet: Snippet) -> tuple[str, ...]:
    code = re.sub(r"\{\w+\}", "", f"{snippet.body} {snippet.expr}")
    return tuple(dict.fromkeys((name.replace("_", " "), topic, *re.findall(r"[a-z]{3,}", code))))


def build(
    topic: str, name: str, snippet: Snippet, draw: Draw, plan: Plan, parts: tuple[str, ...] = ()
) -> Skill:
    """A skill of a snippet, with a draw and a plan of its solution in word operations."""

    def work(parameters: Parameters) -> str:
        _check(parameters)
        trace = Trace()
        plan(trace, parameters)
        return trace.text

    def mistaken(parameters: Parameters, which: int) -> tuple[str, str]:
        _check(parameters)
        right = Trace()
        plan(right, parameters)
        if not right.confusable:
            raise ValueError(f"nothing in {name} is easily confused")
        wrong = Trace(which % right.confusable)
        plan(wrong, parameters)
        return wrong.text, repr(wrong.value)

    return Skill(
        name=name,
        topic=topic,
        open_templates=_templates(FRAMES, snippet.open_layouts()),
        reserved_templates=_templates(RESERVED_FRAMES, snippet.reserved_layouts()),
        draw=draw,
        work=work,
        oracle=partial(_run, snippet),
        keywords=_keywords(name, topic, snippet),
        parts=parts,
        mistaken=mistaken,
    )


def chain(
    topic: str,
    name: str,
    ops: str,
    params: str,
    expr: str,
    body: str = "",
    *,
    inline: bool = True,
    parts: tuple[str, ...] = (),
) -> Skill:
    """A skill whose solution is a row of word operations, each on the result of the one before.

    Args:
        topic: Its heading.
        name: Its name.
        ops: The operations, in order.
        params: Names of the first subject and of all further arguments, in order.
        expr: The last line of code.
        body: The lines before it.
        inline: As in `Snippet`.
        parts: As in `Skill`.
    """
    row, names = ops.split(), tuple(params.split())

    def try_draw(rng: random.Random, difficulty: int) -> tuple[list, bool]:
        args = draw_arguments(rng, difficulty, OPS[row[0]], VARIABLES[names[0]][0])
        value = OPS[row[0]].apply(*args)
        for op in (OPS[name] for name in row[1:]):
            if not op.suits(value):
                return args, False
            more = op.rest(rng, difficulty, value)
            args, subject, value = [*args, *more], value, op.apply(value, *more)
            if is_dull(subject, value):
                return args, False
        return args, True

    def draw(rng: random.Random, difficulty: int) -> dict[str, Any]:
        for _ in range(DRAW_ATTEMPTS):
            args, good = try_draw(rng, difficulty)
            if good:
                return dict(zip(names, args, strict=True))
        raise ValueError(f"no parameters found for {name}")

    def plan(trace: Trace, parameters: Parameters) -> None:
        value, *rest = (parameters[each] for each in names)
        for op in row:
            count = OPS[op].arity - 1
            value, rest = trace.do(op, value, *rest[:count]), rest[count:]

    return build(topic, name, Snippet(names, expr, body, inline), draw, plan, parts)
