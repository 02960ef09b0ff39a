"""What the surrogate looks at: an item, and the rows of a set that bear on it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataenv.rows import Row, WorkingSet
from dataenv.tasks.base import Item
from dataenv.tasks.graders import get_grader
from dataenv.tasks.procedural.skill import ANSWER_MARK, Domain, match
from dataenv.tasks.procedural.targets import get_domain

Array = NDArray[np.float64]
Values = tuple[tuple[str, str, str], ...]
SPECIALS = 3
"""Special topics of a domain."""

OF_SET = (
    *("rows", "wrong_share", "unread", "unanswered", "direct_share", "repeated", "sequential"),
    "drift",
)
OF_SKILL = (
    *("right", "wrong", "right_share", "direct", "share", "topic_right", "topic_wrong"),
    *("parts_right", "late", "base"),
)
OF_ITEM = ("reserved", "length", "seen", "near", *(f"special_{n}" for n in range(SPECIALS)))
CROSSED = (
    ("right", "base"),
    ("right", "reserved"),
    ("right", "right_share"),
    ("rows", "base"),
    *(("right", f"special_{n}") for n in range(SPECIALS)),
    *(("topic_right", f"special_{n}") for n in range(SPECIALS)),
)
"""Features whose products are features, too."""
FEATURES = (*OF_SET, *OF_SKILL, *OF_ITEM, *(f"{one} x {other}" for one, other in CROSSED))


@dataclass(frozen=True)
class Fact:
    """What a text is about. Counts of rows enter as ``log(1 + n)``.

    Args:
        skill, topic: Empty if it is no problem of the domain.
        identity: Skill and parameters.
        values: Its parameters, each with the skill.
        right: Whether its solution ends in the right answer.
        answered: Whether an answer can be read from it.
        direct: Whether the answer stands there without steps.
    """

    skill: str = ""
    topic: str = ""
    identity: str = ""
    values: Values = ()
    right: bool = False
    answered: bool = False
    direct: bool = False


class Reader:
    """Knows the problems of a domain by their texts.

    Args:
        domain: Whose.
    """

    def __init__(self, domain: Domain) -> None:
        self.domain, self._grader = domain, get_grader(domain.grader)
        self.read = lru_cache(maxsize=1 << 16)(self._read)

    def fact(self, row: Row) -> Fact:
        """What a row teaches."""
        return self.read(row.prompt, row.output)

    def subject(self, prompt: str) -> Fact:
        """What a problem is about, whatever its solution."""
        found = self.domain.recognise(prompt)
        if found is None:
            return Fact()
        skill, parameters = found
        return Fact(skill.name, skill.topic, *_identity(skill.name, parameters))

    def _read(self, prompt: str, output: str) -> Fact:
        problem = self.domain.problem_of(prompt)
        if problem is None:
            return Fact()
        verdict = self._grader.grade(output, problem.answer)
        return Fact(
            problem.skill,
            problem.topic,
            *_identity(problem.skill, dict(problem.parameters)),
            right=verdict.correct,
            answered=verdict.extracted is not None,
            direct=output.lstrip().startswith(ANSWER_MARK),
        )

    def is_reserved(self, prompt: str, skill: str) -> bool:
        """Whether a problem of a skill is phrased as only test items are."""
        templates = self.domain.skills[skill].reserved_templates
        return any(match(template, prompt) is not None for template in templates)


def _identity(skill: str, parameters: Mapping[str, Any]) -> tuple[str, Values]:
    """What makes two problems the same, and what they may have in common."""
    held = sorted(parameters.items())
    return f"{skill}{held!r}", tuple((skill, name, repr(value)) for name, value in held)


@lru_cache(maxsize=8)
def reader_of(domain: str) -> Reader:
    """The reader of a domain, one in each process: it remembers what it has read.

    Raises:
        UnknownNameError: There is no such offline domain.
    """
    return Reader(get_domain(domain))


class Items:
    """Items as the surrogate sees them.

    Args:
        reader: Of their domain.
        items: The items.
    """

    def __init__(self, reader: Reader, items: Sequence[Item]) -> None:
        domain = reader.domain
        self.domain = domain
        self.facts = [reader.subject(item.prompt) for item in items]
        self.skills = tuple(sorted({fact.skill for fact in self.facts}))
        place = {name: number for number, name in enumerate(self.skills)}
        self.skill_of = np.array([place[fact.skill] for fact in self.facts], int)
        special = np.array(
            [[fact.topic == topic for topic in domain.special_topics] for fact in self.facts], float
        ).reshape(len(items), SPECIALS)
        reserved = [reader.is_reserved(i.prompt, f.skill) for i, f in zip(items, self.facts)]
        length = [math.log(len(item.solution)) for item in items]
        self.fixed = np.column_stack([np.array(reserved, float), np.array(length), special])


class Counts:
    """How often a set has what.

    Args:
        reader: Of the domain.
        rows: The set.
    """

    def __init__(self, reader: Reader, rows: WorkingSet) -> None:
        facts = [reader.fact(row) for row in rows]
        known = [fact for fact in facts if fact.skill]
        right = [fact for fact in known if fact.right]
        once = {fact.identity: fact for fact in right}.values()
        self.skills = Counter(fact.skill for fact in known)
        self.right = Counter(fact.skill for fact in once)
        self.wrong = Counter(fact.skill for fact in known if not fact.right)
        self.direct = Counter(fact.skill for fact in right if fact.direct)
        self.topic_right = Counter(fact.topic for fact in once)
        self.topic_wrong = Counter(fact.topic for fact in known if not fact.right)
        self.identities = frozenset(fact.identity for fact in right)
        self.values = Counter(value for fact in once for value in fact.values)
        self.size = len(facts)
        size = max(1, self.size)
        self.of_set = (
            math.log1p(len(facts)),
            sum(self.wrong.values()) / size,
            (len(facts) - len(known)) / size,
            sum(not fact.answered for fact in known) / size,
            sum(fact.direct for fact in known) / size,
            1 - len({row.id for row in rows}) / size if facts else 0.0,
            float(rows.sequential),
            _drift(rows),
        )
        places: dict[str, list[float]] = {}
        for place, fact in enumerate(facts) if rows.sequential else ():
            places.setdefault(fact.skill, []).append((place + 0.5) / size - 0.5)
        self.late = {skill: sum(held) / len(held) for skill, held in places.items()}

    def of_skill(self, domain: Domain, skill: str) -> tuple[float, ...]:
        """The features of a skill, but for what the base knows of it."""
        entry = domain.skills[skill]
        right, wrong = self.right[skill], self.wrong[skill]
        return (
            math.log1p(right),
            math.log1p(wrong),
            right / (right + wrong + 1),
            self.direct[skill] / max(1, self.skills[skill] - wrong),
            self.skills[skill] / max(1, self.size),
            math.log1p(self.topic_right[entry.topic] - right),
            math.log1p(self.topic_wrong[entry.topic] - wrong),
            math.log1p(sum(self.right[part] for part in entry.parts)),
            self.late.get(skill, 0.0),
        )


def _drift(rows: WorkingSet) -> float:
    """How much longer than all the solutions of the last quarter are, as a logarithm, where the order is
    fixed."""
    lengths = [1 + len(row.output) for row in rows] if rows.sequential else []
    last = lengths[-(len(lengths) // 4) :] if len(lengths) >= 4 else lengths
    return math.log(sum(last) * len(lengths) / (sum(lengths) * len(last))) if last else 0.0


def features(items: Items, counts: Counts, base: Mapping[str, float]) -> Array:
    """The features of every item, of shape (items, `FEATURES`).

    Args:
        items: Of a task.
        counts: Of a set.
        base: The log-odds with which the base knows each skill.
    """
    n = len(items.facts)
    skills = [(*counts.of_skill(items.domain, name), base.get(name, 0.0)) for name in items.skills]
    of_skill = np.array(skills).reshape(-1, len(OF_SKILL))[items.skill_of]
    seen = [float(fact.identity in counts.identities) for fact in items.facts]
    near = [
        math.log1p(max((counts.values[value] for value in fact.values), default=0))
        for fact in items.facts
    ]
    plain = np.column_stack(
        [
            np.tile(counts.of_set, (n, 1)),
            of_skill,
            items.fixed[:, :2],
            np.array(seen),
            np.array(near),
            items.fixed[:, 2:],
        ]
    )
    return np.column_stack([plain, plain[:, _LEFT] * plain[:, _RIGHT]])


_LEFT = [FEATURES.index(one) for one, _ in CROSSED]
_RIGHT = [FEATURES.index(other) for _, other in CROSSED]
