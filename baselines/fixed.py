"""Fixed recipes: the same operations whatever the reports say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataenv.evaluation import EvalReport
from dataenv.hashing import rng_of
from dataenv.policy import (
    LARGEST_CHANGE,
    LARGEST_LIKE,
    LARGEST_REQUEST,
    Briefing,
    Remembers,
    affordable_rows,
    more_like,
    more_like_topics,
)

REST = "rest"
"""As the number of rows of a `rewrite`: as many as the calls that are left pay for."""


class Recipe(Remembers):
    """Plays a list of operations, then submits."""

    name = "recipe"

    def begin(self, briefing: Briefing) -> None:
        """Writes the plan."""
        self.rng = rng_of(self.name, briefing.seed)
        self.prices = briefing.prices
        self.queue = self.plan(briefing)

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """The operations, without the submission."""
        raise NotImplementedError

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next of the plan that can be paid."""
        while self.queue:
            action = self.queue.pop(0)
            if action.get("n") == REST:
                used, limit = dict(report.budget)["calls"]
                rows = int((limit - used) // self.prices[action["by"]])
                action = {**action, "n": min(rows, LARGEST_CHANGE)}
            if action.get("n") != 0:
                return action
        return {"op": "submit"}


def checked_and_trained(briefing: Briefing) -> list[dict[str, Any]]:
    """The end of a recipe: every row is checked by the teacher, and the calls that are left buy
    solutions of the dear second one for the first rows; without a teacher nobody can check."""
    check = [{"op": "verify"}] if briefing.limits["calls"] else []
    solve = [{"op": "rewrite", "to": "worked", "by": "second", "n": REST}]
    return [
        *check,
        {"op": "dedup"},
        *(solve if "second" in briefing.prices else []),
        {"op": "train"},
    ]


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
        """As many rows as calls write and check, in batches of as many examples as one takes."""
        return [*self.writes(briefing, affordable_rows(briefing)), *checked_and_trained(briefing)]

    def writes(self, briefing: Briefing, rows: int) -> list[dict[str, Any]]:
        """Every public item is an example as often as any other."""
        ids = [item.id for item in briefing.task.public]
        self.rng.shuffle(ids)
        chunks = [ids[at : at + LARGEST_LIKE] for at in range(0, len(ids), LARGEST_LIKE)]
        writes: list[dict[str, Any]] = []
        for place, chunk in enumerate(chunks):
            n = round(rows / (len(chunks) - place))
            writes += more_like(chunk, n, briefing)
            rows -= n
        return writes


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
        self.briefing, self.planned = briefing, False
        return []

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """Plans once, by the public items that the base gets wrong."""
        if not self.planned:
            self.planned = True
            self.queue = self._by_errors(report)
        return super().act(observation, report)

    def _by_errors(self, report: EvalReport) -> list[dict[str, Any]]:
        rows = affordable_rows(self.briefing)
        wrong = {each.name: each.n * (1 - each.score) for each in report.slices}
        total = sum(wrong.values()) or 1.0
        ranked = sorted(wrong.items(), key=lambda pair: -pair[1])
        counts = {topic: round(rows * errors / total) for topic, errors in ranked}
        return [*more_like_topics(counts, self.briefing), *checked_and_trained(self.briefing)]
