"""Specialisation targets: which skills of a domain a student must become good at.

A target is a hidden mixture of skills over a few topics. Public, reward and private items are drawn
from it independently; no two of them are the same item.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dataenv.config import did_you_mean
from dataenv.errors import UnknownNameError
from dataenv.hashing import digest, rng_of
from dataenv.rows import Provenance, Row
from dataenv.tasks.base import Item, Task
from dataenv.tasks.procedural import code, finance, general, science
from dataenv.tasks.procedural.pool import raw_pool
from dataenv.tasks.procedural.skill import Domain, Problem

DOMAINS: dict[str, Domain] = {
    domain.name: domain for domain in (science.DOMAIN, code.DOMAIN, finance.DOMAIN)
}

PLAIN_TOPICS = (3, 4)
"""How many topics a target has besides a special one."""
TOPIC_SHAPE, SKILL_SHAPE = 4.0, 1.5
"""Of the gamma distributions that weights are drawn from; the larger, the more even they are."""
SPECIAL_SHARE = 0.75
"""Weight of the special topic beside that of a plain one."""
SKILLS_PER_TOPIC = 2
DIFFICULTIES = {1: 0.4, 2: 0.4, 3: 0.2}
RESERVED_SHARE = 0.25
"""Share of test items in phrasings that the teacher never uses."""
SEED_TARGET_SHARE = 0.4
"""Share of the seed questions that come from the target; the rest is from the whole domain."""


@dataclass(frozen=True)
class Target:
    """A hidden mixture: weights of skills, summing to 1."""

    name: str
    weights: tuple[tuple[str, float], ...]

    def draw(self, domain: Domain, rng: random.Random, reserved_share: float) -> Problem:
        """One problem of the mixture."""
        skill = rng.choices([s for s, _ in self.weights], [w for _, w in self.weights])[0]
        difficulty = rng.choices(list(DIFFICULTIES), list(DIFFICULTIES.values()))[0]
        return domain.sample(skill, difficulty, rng, rng.random() < reserved_share)


def get_domain(name: str) -> Domain:
    """A domain of the table.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name not in DOMAINS:
        raise UnknownNameError(f"unknown domain {name!r}{did_you_mean(name, list(DOMAINS))}")
    return DOMAINS[name]


def draw_target(domain: Domain, number: int) -> Target:
    """The target of a number: a few topics, a few skills of each, Dirichlet weights."""
    rng = rng_of("target", domain.name, number)
    plain = [topic for topic in domain.topics if topic not in domain.special_topics]
    topics = rng.sample(plain, rng.randint(*PLAIN_TOPICS)) + rng.sample(domain.special_topics, 1)
    weights: dict[str, float] = {}
    for topic in topics:
        share = rng.gammavariate(TOPIC_SHAPE, 1.0)
        if topic in domain.special_topics:
            share *= SPECIAL_SHARE
        skills = sorted(s.name for s in domain.skills.values() if s.topic == topic)
        for skill in rng.sample(skills, min(SKILLS_PER_TOPIC, len(skills))):
            weights[skill] = share * rng.gammavariate(SKILL_SHAPE, 1.0)
    total = sum(weights.values())
    return Target(
        name=f"{domain.name}-{number}",
        weights=tuple((skill, weight / total) for skill, weight in sorted(weights.items())),
    )


def build_task(
    domain: Domain,
    number: int,
    *,
    public: int,
    reward: int,
    private: int,
    seeds: int,
    retention: int,
    pool: int = 0,
) -> Task:
    """The task of a target: items drawn from it, all different.

    Args:
        domain: Where the problems come from.
        number: The target's number; see `dataenv.presets.SPLITS`.
        public, reward, private, seeds, retention, pool: How many items or rows of each kind.
    """
    target = draw_target(domain, number)
    seen: set[str] = set()

    def draw_items(kind: str, count: int, draw: Callable[[random.Random], Problem]) -> Iterator:
        rng = rng_of("items", target.name, kind)
        names = rng_of("names", target.name, kind)
        made = 0
        while made < count:
            problem = draw(rng)
            if problem.identity not in seen:
                seen.add(problem.identity)
                made += 1
                yield problem, f"{kind}-{names.getrandbits(40):010x}"

    def mixture(rng: random.Random) -> Problem:
        return target.draw(domain, rng, RESERVED_SHARE)

    def open_mixture(rng: random.Random) -> Problem:
        return target.draw(domain, rng, 0.0)

    def broad(rng: random.Random) -> Problem:
        if rng.random() < SEED_TARGET_SHARE:
            return open_mixture(rng)
        return domain.sample(rng.choice(sorted(domain.skills)), rng.randint(1, 3), rng)

    splits = {
        kind: tuple(_item(problem, name) for problem, name in draw_items(kind, count, mixture))
        for kind, count in (("private", private), ("reward", reward), ("public", public))
    }
    forbidden = frozenset(seen)
    seed_items = tuple(
        Item(name, problem.instruction, problem.input, "", problem.topic)
        for problem, name in draw_items("seed", seeds, broad)
    )
    few_shot_problem = domain.sample(target.weights[0][0], 1, rng_of("few_shot", target.name))

    return Task(
        public=splits["public"],
        reward=splits["reward"],
        private=splits["private"],
        seeds=seed_items,
        pool=raw_pool(domain, open_mixture, pool, rng_of("pool", target.name), forbidden),
        retention=general.items(retention, digest("retention", target.name)),
        few_shot=(to_row(few_shot_problem, Provenance("few_shot")),),
        **_about(domain, target, lambda: forbidden),
    )


def _about(
    domain: Domain, target: Target, forbidden: Callable[[], frozenset[str | None]]
) -> dict[str, Any]:
    """What a task is besides its items; `forbidden` gives the identities of the test items."""

    def reference(count: int, seed: int) -> list[Row]:
        """Clean rows from the private distribution, none of them a test item."""
        rng, taken = rng_of("reference", target.name, seed), forbidden()
        rows: list[Row] = []
        while len(rows) < count:
            problem = target.draw(domain, rng, RESERVED_SHARE)
            if problem.identity not in taken:
                rows.append(to_row(problem, Provenance("reference")))
        return rows

    return {
        "name": domain.name,
        "description": domain.description,
        "answer_format": domain.answer_format,
        "grader": domain.grader,
        "identify": lambda prompt: identify(domain, prompt),
        "reference": reference,
        "target": target.name,
    }


ITEMS, ROWS = ("public", "reward", "private", "seeds", "retention"), ("pool", "few_shot")
"""What of a task is drawn, and takes seconds to."""


def pack_task(task: Task) -> dict[str, Any]:
    """What of a task was drawn, as plain values."""
    items = {name: [list(vars(item).values()) for item in getattr(task, name)] for name in ITEMS}
    return items | {name: [row.to_dict() for row in getattr(task, name)] for name in ROWS}


def unpack_task(domain: Domain, number: int, packed: Mapping[str, Any]) -> Task:
    """The inverse of `pack_task`."""
    items: dict[str, Any] = {n: tuple(Item(*each) for each in packed[n]) for n in ITEMS}
    rows: dict[str, Any] = {n: tuple(map(Row.from_dict, packed[n])) for n in ROWS}

    def forbidden() -> frozenset[str | None]:
        tested = (*items["public"], *items["reward"], *items["private"])
        return frozenset(identify(domain, item.prompt) for item in tested)

    return Task(**items, **rows, **_about(domain, draw_target(domain, number), forbidden))


def _item(problem: Problem, name: str) -> Item:
    return Item(
        name, problem.instruction, problem.input, problem.answer, problem.topic, problem.output
    )


def to_row(problem: Problem, provenance: Provenance) -> Row:
    """A problem with its worked solution as a training row."""
    return Row(problem.instruction, problem.input, problem.output, provenance)


def identify(domain: Domain, prompt: str) -> str | None:
    """Skill and parameters of a prompt, whatever its phrasing; None if no template fits."""
    found = domain.recognise(prompt)
    return f"{found[0].name}{tuple(sorted(found[1].items()))!r}" if found else None


def oracle_of(name: str) -> Callable[[str], str | None] | None:
    """``oracle(prompt)``: the right answer of a problem of an offline domain, None for another text.

    There is no oracle for what is no offline domain. It is not for controllers.
    """
    if name not in DOMAINS:
        return None

    def oracle(prompt: str) -> str | None:
        problem = DOMAINS[name].problem_of(prompt)
        return problem.answer if problem else None

    return oracle
