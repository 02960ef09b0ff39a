"""Fixed recipes: the same operations whatever the reports say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dataenv.errors import ConfigError
from dataenv.evaluation import EvalReport
from dataenv.hashing import rng_of
from dataenv.policy import (
    LARGEST_CHANGE,
    LARGEST_LIKE,
    LARGEST_REQUEST,
    Briefing,
    Remembers,
    affordable_rows,
    budget_left,
    more_like,
    more_like_topics,
)

REST = "rest"
"""As the number of rows: as many as there are, and as the calls that are left pay for."""
MEANS: dict[str, Callable[[Briefing], bool]] = {
    "a teacher": lambda briefing: bool(briefing.limits["calls"]),
    "seed questions": lambda briefing: bool(briefing.task.seeds),
    "a raw pool": lambda briefing: bool(briefing.task.pool),
    "a teacher or a raw pool": lambda briefing: bool(
        briefing.limits["calls"] or briefing.task.pool
    ),
}
"""What a recipe may live on, and whether it is there."""
PAID = ("generate", "label", "expand", "rewrite", "verify")
"""Operations that cost calls."""
FILTER = {"op": "filter", "max_tokens": 8192}
"""Rows without a readable answer go; how long one may be differs from task to task."""


class Recipe(Remembers):
    """Plays a list of operations, then submits.

    What a budget no longer pays for, or what finds no rows, is cut down or left out. Where what it lives
    on is missing altogether it does not begin, since what it would do there were another recipe.
    """

    name = "recipe"
    lives_on: tuple[str, ...] = ()
    """Keys of `MEANS`."""

    def begin(self, briefing: Briefing) -> None:
        """Writes the plan.

        Raises:
            ConfigError: What the recipe lives on is missing.
        """
        for means in self.lives_on:
            if not MEANS[means](briefing):
                raise ConfigError(
                    f"{self.name} lives on {means}, and the task {briefing.task.name!r} has none "
                    "here; take mirror, which takes what there is"
                )
        self.rng, self.briefing = rng_of(self.name, briefing.seed), briefing
        self.queue = self.plan(briefing)

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """The operations, without the submission."""
        raise NotImplementedError

    def follow(self, report: EvalReport) -> list[dict[str, Any]]:
        """What comes after all that was planned; nothing at the end."""
        return []

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next of the plan that can be carried out."""
        while self.queue or self._goes_on(report):
            action = fitted(self.queue.pop(0), report, self.briefing)
            if action:
                return action
        return {"op": "submit"}

    def _goes_on(self, report: EvalReport) -> bool:
        self.queue = self.follow(report)
        return bool(self.queue)


def fitted(action: dict[str, Any], report: EvalReport, briefing: Briefing) -> dict[str, Any] | None:
    """An operation on as many rows as there are and as can be paid; None if it could do nothing."""
    if action["op"] == "train":
        left = budget_left(report)["trainings"]
        enough = dict(report.set)["rows"] >= briefing.limits["min_rows"]
        return action if enough and left >= 1 else None
    if "n" not in action:
        return action
    wanted = LARGEST_CHANGE if action["n"] == REST else action["n"]
    n = min(wanted, _most(action, report, briefing))
    return {**action, "n": n} if n > 0 else None


def _most(action: Mapping[str, Any], report: EvalReport, briefing: Briefing) -> int:
    """Rows that an operation can find and pay."""
    name, rows = action["op"], dict(report.set)["rows"]
    most = LARGEST_CHANGE
    if name == "verify":
        most = rows - dict(report.set)["checked"]
    elif name in ("expand", "rewrite", "select") and not rows:
        return 0
    elif name == "draw" and rows >= len({row.id for row in briefing.task.pool}):
        return 0  # all of them are there
    if name not in PAID:
        return most
    price = briefing.prices[action.get("by", "teacher")] * action.get("votes", 1)
    return min(most, int(budget_left(report)["calls"] // price))


def even(rows: int, parts: int) -> list[int]:
    """Rows in parts of about one size."""
    return [(rows + place) // parts for place in range(parts)]


def like_each(ids: Sequence[str], rows: int, briefing: Briefing) -> list[dict[str, Any]]:
    """The operations that bring in rows like items, each of which is an example as often as any other,
    in batches of as many as one takes."""
    chunks = [ids[at : at + LARGEST_LIKE] for at in range(0, len(ids), LARGEST_LIKE)]
    writes: list[dict[str, Any]] = []
    for place, chunk in enumerate(chunks):
        n = round(rows / (len(chunks) - place))
        writes += more_like(chunk, n, briefing)
        rows -= n
    return writes


def checked_and_trained(briefing: Briefing) -> list[dict[str, Any]]:
    """The end of a recipe: every row is checked by the teacher, and the rest follows; without a teacher
    nobody can check."""
    check = [{"op": "verify", "n": REST}] if briefing.limits["calls"] else []
    return [*check, {"op": "dedup"}, *solved_and_trained(briefing)]


def solved_and_trained(briefing: Briefing) -> list[dict[str, Any]]:
    """The calls that are left buy solutions of the dear second teacher for the first rows."""
    solve = [{"op": "rewrite", "to": "worked", "by": "second", "n": REST}]
    return [*(solve if "second" in briefing.prices else []), {"op": "train"}]


def by_errors(report: EvalReport, rows: int) -> dict[str, int]:
    """Rows of each topic, in proportion to the public items that the newest student gets wrong; most
    first."""
    wrong = {each.name: each.n * (1 - each.score) for each in report.slices}
    total = sum(wrong.values()) or 1.0
    ranked = sorted(wrong.items(), key=lambda pair: -pair[1])
    return {topic: round(rows * errors / total) for topic, errors in ranked}


def shown_ids(report: EvalReport) -> list[str]:
    """Ids of what the last operation showed."""
    return [identity for identity, *_ in dict(report.effect).get("shown", ())]


class RandomMix(Recipe):
    """Problems of every topic of the task alike, unchecked; trained once."""

    name = "random_mix"

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """As many rows as training takes, equally many a topic."""
        topics = briefing.task.topics
        calls, rows = (int(briefing.limits[name]) for name in ("calls", "max_rows"))
        each = max(1, min(LARGEST_REQUEST, min(calls or rows, rows) // len(topics)))
        if not calls:
            return [*({"op": "draw", "n": each, "topic": t} for t in topics), {"op": "train"}]
        writes = [{"op": "generate", "brief": f"problems about {t}", "n": each} for t in topics]
        return [*writes, {"op": "train"}]


class Mirror(Recipe):
    """Problems like the public items, in their proportions; checked with all the calls there are, and
    trained."""

    name = "mirror"

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """As many rows as calls write and check."""
        return [*self.writes(briefing, affordable_rows(briefing)), *checked_and_trained(briefing)]

    def writes(self, briefing: Briefing, rows: int) -> list[dict[str, Any]]:
        """Every public item is an example as often as any other."""
        ids = [item.id for item in briefing.task.public]
        self.rng.shuffle(ids)
        return like_each(ids, rows, briefing)


class MirrorSecond(Mirror):
    """The same, each problem solved by the dear second teacher: fewer rows, nearly all of them right."""

    name = "mirror_second"

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """As many rows as calls write and have solved; where there is no second, as `mirror`."""
        price = briefing.prices.get("second")
        rows = affordable_rows(briefing, price) if price else 0
        if not rows:
            return super().plan(briefing)
        solve = {"op": "rewrite", "to": "worked", "by": "second", "n": rows}
        return [*self.writes(briefing, rows), solve, {"op": "dedup"}, {"op": "train"}]


class Headroom(Recipe):
    """Sees the base's report and none after it: rows go where the base is wrong."""

    name = "headroom"
    remembered = ("queue", "planned")

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """Waits for the report."""
        self.planned = False
        return []

    def follow(self, report: EvalReport) -> list[dict[str, Any]]:
        """Plans once, by the public items that the base gets wrong."""
        if self.planned:
            return []
        self.planned = True
        counts = by_errors(report, affordable_rows(self.briefing))
        return [*more_like_topics(counts, self.briefing), *checked_and_trained(self.briefing)]
