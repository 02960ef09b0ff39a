"""The raw pool: rows as they lie around, of the whole domain, some wrong, some twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Container

from dataenv.rows import Provenance, Row
from dataenv.tasks.procedural.skill import ANSWER_MARK, Domain, Problem

TARGET_SHARE = 0.2
"""Share of the pool that comes from the target; the rest is of any skill."""
WRONG = 0.25
"""Share of solutions with a misconception; every skill has its own."""
BARE = 0.2
"""Share of solutions without steps."""
BROKEN = 0.05
"""Share of solutions without an answer line."""
REPEATED = 0.15
"""Share of rows that are there already."""


def raw_pool(
    domain: Domain,
    draw_target: Callable[[random.Random], Problem],
    count: int,
    rng: random.Random,
    forbidden: Container[str] = (),
) -> tuple[Row, ...]:
    """`count` rows.

    Args:
        domain: Where problems come from.
        draw_target: ``draw_target(rng)`` gives a problem of the target.
        count: How many rows.
        rng: Source of all chance.
        forbidden: Identities of problems that must not be among them.
    """
    rows: list[Row] = []
    while len(rows) < count:
        if rows and rng.random() < REPEATED:
            rows.append(rng.choice(rows))
            continue
        if rng.random() < TARGET_SHARE:
            problem = draw_target(rng)
        else:
            skill = rng.choice(sorted(domain.skills))
            problem = domain.sample(skill, rng.randint(1, 3), rng)
        if problem.identity not in forbidden:
            rows.append(_as_found(domain, problem, rng))
    return tuple(rows)


def _as_found(domain: Domain, problem: Problem, rng: random.Random) -> Row:
    if rng.random() < WRONG:
        problem = domain.mistaken(problem, 0) or problem  # what is usual for its skill
    output = f"{ANSWER_MARK} {problem.answer}" if rng.random() < BARE else problem.output
    if rng.random() < BROKEN:
        output = output.replace(ANSWER_MARK, "so").strip()
    return Row(problem.instruction, problem.input, output, Provenance("pool"))
