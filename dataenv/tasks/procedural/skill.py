"""Skills and domains: what a procedural task is made of, as data.

A `Skill` is one thing to be learned: how its parameters are drawn, how a problem reads, how it is
solved, and an oracle that answers it without looking at text or solution. A `Domain` is a table of
skills with a description and the name of a grader.
"""

from __future__ import annotations

import ast
import contextlib
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

ANSWER_MARK = "Answer:"
Parameters = Mapping[str, Any]

_LITERAL = r"'[^']*'|-?\d+(?:\.\d+)?|True|False|None"
_LARGE_NUMBER = re.compile(r"\d{6}")  # no problem has one, and a loop of that many steps takes long
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Problem:
    """One concrete problem. `identity` is what "the same item" means in a procedural domain."""

    skill: str
    topic: str
    difficulty: int
    parameters: tuple[tuple[str, Any], ...]
    instruction: str
    input: str
    work: str
    answer: str
    reserved: bool

    @property
    def identity(self) -> str:
        """Skill and parameters, as text; the phrasing does not matter."""
        return f"{self.skill}{self.parameters!r}"

    @property
    def output(self) -> str:
        """The worked solution with its final answer line."""
        return f"{self.work} {ANSWER_MARK} {self.answer}"


@dataclass(frozen=True)
class Skill:
    """One skill.

    Args:
        name: Unique in its domain; hidden from controllers.
        topic: The visible heading under which its problems appear.
        open_templates: Phrasings that anyone may write, with ``{parameter}`` placeholders; a text
            after the first ``\\n`` is the problem's input field.
        reserved_templates: Phrasings that only test items use.
        draw: Draws parameters from a random source and a difficulty of 1, 2 or 3.
        work: Writes the worked solution, without the final answer line.
        oracle: The answer as text, computed without template or solution.
        keywords: Words by which a brief may ask for this skill.
        parts: Names of the skills that this one is composed of.
        mistaken: Writes the solution of somebody who has got one thing wrong, and its answer; the
            number says which thing. Raises ValueError where that leads nowhere.
    """

    name: str
    topic: str
    open_templates: tuple[str, ...]
    reserved_templates: tuple[str, ...]
    draw: Callable[[random.Random, int], dict[str, Any]]
    work: Callable[[Parameters], str]
    oracle: Callable[[Parameters], str]
    keywords: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    mistaken: Callable[[Parameters, int], tuple[str, str]] | None = None


@dataclass(frozen=True)
class Domain:
    """A table of skills, with what a controller is told about them.

    Args:
        name, description, answer_format: What a controller is told.
        grader: A name in `dataenv.tasks.graders.GRADERS`.
        skills: By name.
        executable: Whether answers can be checked by running something.
        special_topics: Those whose skills are learned unlike the others; every target has one.
    """

    name: str
    description: str
    answer_format: str
    grader: str
    skills: Mapping[str, Skill]
    executable: bool = False
    special_topics: tuple[str, ...] = ()
    _index: dict[str, list] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def topics(self) -> tuple[str, ...]:
        """The visible topics, sorted."""
        return tuple(sorted({skill.topic for skill in self.skills.values()}))

    def sample(
        self, skill: str, difficulty: int, rng: random.Random, reserved: bool = False
    ) -> Problem:
        """Draws a problem of a skill, phrased by an open or a reserved template."""
        entry = self.skills[skill]
        parameters = entry.draw(rng, difficulty)
        templates = entry.reserved_templates if reserved else entry.open_templates
        return self.build(entry, parameters, rng.choice(templates), difficulty, reserved)

    def build(
        self, skill: Skill, parameters: Parameters, template: str, difficulty: int, reserved: bool
    ) -> Problem:
        """Writes out a problem with given parameters and template."""
        text = fill(template, parameters)
        instruction, _, code = text.partition("\n")
        return Problem(
            skill=skill.name,
            topic=skill.topic,
            difficulty=difficulty,
            parameters=tuple(sorted(parameters.items())),
            instruction=instruction,
            input=code,
            work=skill.work(parameters),
            answer=skill.oracle(parameters),
            reserved=reserved,
        )

    def mistaken(self, problem: Problem, which: int) -> Problem | None:
        """The problem as somebody solves it who has got one thing wrong; the number says which.

        None where the skill has no such thing, or where it leads nowhere.
        """
        write = self.skills[problem.skill].mistaken
        if write is None:
            return None
        try:
            work, answer = write(dict(problem.parameters), which)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return None
        return replace(problem, work=work, answer=answer)

    def recognise(self, text: str) -> tuple[Skill, dict[str, Any]] | None:
        """Finds the skill and the parameters of a problem's text (its inverse template).

        Args:
            text: Instruction, followed by a newline and the input if there is one.

        Returns:
            None if no template fits.
        """
        if not self._index:
            self._build_index()
        for skill, template in self._index.get(skeleton(text), ()):
            parameters = match(template, text)
            if parameters is not None:
                return skill, parameters
        return None

    def problem_of(self, text: str) -> Problem | None:
        """The problem that a text states, in its first phrasing; None if it states none."""
        found = None if _LARGE_NUMBER.search(text) else self.recognise(text)
        if found is None:
            return None
        skill, parameters = found
        # A text may fit a template with values that no problem has: 1 // 0, an index too far.
        with contextlib.suppress(Exception):
            return self.build(skill, parameters, skill.open_templates[0], 1, False)
        return None

    def _build_index(self) -> None:
        for skill in self.skills.values():
            for template in skill.open_templates + skill.reserved_templates:
                key = skeleton(_PLACEHOLDER.sub("0", template))
                self._index.setdefault(key, []).append((skill, template))


def fill(template: str, parameters: Parameters) -> str:
    """Puts parameters into a template; values other than numbers are written as literals."""

    def text(found: re.Match[str]) -> str:
        value = parameters[found.group(1)]
        return repr(value) if isinstance(value, str | list | dict | tuple | bool) else str(value)

    return _PLACEHOLDER.sub(text, template)


def skeleton(text: str) -> str:
    """A text with every literal replaced by ``#``: equal for all problems of one template."""
    text = re.sub(_LITERAL, "#", text.strip())
    for _ in range(3):  # nested lists and dicts collapse from the inside
        text = re.sub(r"\[(?:#(?:, #)*)?\]|\{(?:#: #(?:, #: #)*)?\}|\((?:#(?:, #)+)\)", "#", text)
    return text


def match(template: str, text: str) -> dict[str, Any] | None:
    """The parameters with which a template gives a text, or None."""
    found_text = _pattern(template).fullmatch(text.strip())
    if found_text is None:
        return None
    try:
        return {name: ast.literal_eval(value) for name, value in found_text.groupdict().items()}
    except (ValueError, SyntaxError):
        return None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """What fits a template; there are more of them than `re` remembers."""
    pattern, position, seen = "", 0, set()
    for found in _PLACEHOLDER.finditer(template):
        name = found.group(1)
        pattern += re.escape(template[position : found.start()])
        pattern += f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
        seen.add(name)
        position = found.end()
    pattern += re.escape(template[position:])
    return re.compile(pattern, re.DOTALL)
