"""Fixed recipes: the same operations whatever the reports say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataenv.evaluation import EvalReport
from dataenv.hashing import rng_of
from dataenv.policy import Briefing, more_like


class Recipe:
    """Plays a list of operations, then submits."""

    name = "recipe"

    def begin(self, briefing: Briefing) -> None:
        """Writes the plan."""
        self.rng = rng_of(self.name, briefing.seed)
        self.queue = self.plan(briefing)

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """The operations, without the submission."""
        raise NotImplementedError

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next of the plan."""
        return self.queue.pop(0) if self.queue else {"op": "submit"}


class RandomMix(Recipe):
    """Problems of every topic of the task alike, unchecked; trained once."""

    name = "random_mix"

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """As many rows as training takes, equally many a topic."""
        topics = briefing.task.topics
        calls, rows = (int(briefing.limits[name]) for name in ("calls", "max_rows"))
        each = max(1, min(256, min(calls or rows, rows) // len(topics)))
        if not calls:
            return [*({"op": "draw", "n": each, "topic": t} for t in topics), {"op": "train"}]
        writes = [{"op": "generate", "brief": f"problems about {t}", "n": each} for t in topics]
        return [*writes, {"op": "train"}]


class Mirror(Recipe):
    """Problems like the public items, in their proportions; verified, deduplicated, trained."""

    name = "mirror"

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """A call to write and one to check for each row; batches of at most 64 examples."""
        calls, room = briefing.limits["calls"], int(1.5 * briefing.limits["max_rows"])
        rows = min(int(calls // 2), room) if calls else room
        ids = [item.id for item in briefing.task.public]
        self.rng.shuffle(ids)
        chunks = [ids[at : at + 64] for at in range(0, len(ids), 64)]
        writes, left = [], rows
        for place, chunk in enumerate(chunks):
            n = min(256, round(left / (len(chunks) - place)))
            writes.append(more_like(chunk, n, briefing))
            left -= n
        check = [{"op": "verify"}] if calls else []
        return [*writes, *check, {"op": "dedup"}, {"op": "train"}]
