"""A controller that draws valid, useful operations at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataenv.evaluation import EvalReport
from dataenv.hashing import rng_of
from dataenv.policy import Briefing, Remembers

AMOUNTS = (16, 32, 64)


class RandomPolicy(Remembers):
    """Spends its budgets without looking at scores: topics, amounts and checks by chance."""

    name = "random"
    remembered = ("rng",)

    def begin(self, briefing: Briefing) -> None:
        """Seeds its choices."""
        self.limits, self.topics = briefing.limits, briefing.task.topics
        self.rng = rng_of("random", briefing.seed)

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """Trains when the set has grown enough, otherwise writes or cleans at random."""
        budget = {axis: limit - used for axis, (used, limit) in report.budget}
        rows = dict(report.set)["rows"]
        if budget["trainings"] < 1 or budget["steps"] <= 1:
            return {"op": "submit"}
        if rows >= self.limits["min_rows"] and (budget["calls"] < 64 or self.rng.random() < 0.25):
            return {"op": "train"}
        choice = self.rng.random()
        if choice < 0.6 and budget["calls"] >= 64:
            topic = self.rng.choice(self.topics)
            n = self.rng.choice(AMOUNTS)
            return {"op": "generate", "brief": f"problems about {topic}", "n": n}
        if choice < 0.7 and budget["calls"] >= 64:
            return {"op": "label", "n": 32}
        if choice < 0.8 and 0 < rows <= budget["calls"] and dict(report.set)["checked"] < rows:
            return {"op": "verify"}
        return {"op": "dedup"} if rows else {"op": "inspect", "what": "public"}
