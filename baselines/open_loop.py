"""Recipes tuned as hard as learners are, that see no report: the opponent of whatever closes the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataenv.baselines.fixed import REST, Recipe
from dataenv.policies.cem import CrossEntropy
from dataenv.policies.settings import Space, switch, tuned

from dataenv.policy import Briefing, Policy, more_like_topics, shared_out

ORDERS = ("shuffle", "short_first", "long_first")
FEWEST = 4
"""Rows for which the second teacher is asked: some of them may be garbled."""


@dataclass(frozen=True)
class RecipeSettings:
    """A recipe in numbers. The defaults are those of `mirror`.

    Args:
        tilt: Power of a topic's share of the public items in its share of the rows; 0 is even.
        spare: Rows that are brought in for each place of the set, if calls pay for them.
        solved: Share of the teacher's rows that the second teacher solves anew.
        votes: How often the teacher checks the others.
        pool: Share of the places that is drawn from the raw pool.
        pool_checked: Whether those are checked, too.
        direct: Share of the teacher's rows that are written without steps.
        rest: Whether calls that are left buy solutions of the second teacher.
        order: Index into `ORDERS`.
    """

    tilt: float = tuned(1.0, 0.0, 2.0)
    spare: float = tuned(1.5, 0.6, 1.8)
    solved: float = tuned(0.0, 0.0, 1.0, margin=0.4)
    votes: int = tuned(1, 0, 3)
    pool: float = tuned(0.0, 0.0, 0.6, margin=0.4)
    pool_checked: bool = switch(False)
    direct: float = tuned(0.0, 0.0, 0.5, margin=0.4)
    rest: bool = switch(True)
    order: int = tuned(0, 0, 2)


class OpenLoop(Recipe):
    """A recipe of settings: rows by topic, solved, checked, drawn, trained once.

    Args:
        settings: The recipe.
    """

    name = "open_loop"

    def __init__(self, settings: RecipeSettings) -> None:
        self.tuning = settings

    @classmethod
    def of(cls, learned: Mapping[str, Any]) -> OpenLoop:
        """The recipe that `RecipeSearch` has written."""
        return cls(Space(RecipeSettings).read(learned["settings"]))

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """What is to be solved comes first, then what is checked, then what is taken as it is."""
        calls, settings = briefing.limits["calls"], self.tuning
        second = "second" in briefing.prices and calls > 0
        places = briefing.limits["max_rows"]
        drawn = round(settings.pool * places) if briefing.task.pool else 0
        solved, others = self._affordable(briefing, settings.spare * places - drawn, drawn)
        draws = self._by_topic(briefing, drawn, from_pool=True)
        check = [{"op": "verify", "votes": settings.votes}] if settings.votes and calls else []
        solve = {"op": "rewrite", "to": "worked", "by": "second", "n": solved}
        rest = {"op": "rewrite", "to": "worked", "by": "second", "n": REST}
        return [
            *self._by_topic(briefing, solved),
            *([solve] if solved else []),
            *self._by_topic(briefing, others),
            *(draws if settings.pool_checked else []),
            *(check if others or (drawn and settings.pool_checked) else []),
            *([] if settings.pool_checked else draws),
            {"op": "dedup"},
            *([rest] if settings.rest and second else []),
            *([{"op": "order", "by": ORDERS[settings.order]}] if settings.order else []),
            {"op": "train"},
        ]

    def _affordable(self, briefing: Briefing, room: float, drawn: int) -> tuple[int, int]:
        """Rows that the second teacher solves, and others: as many as there is room and calls for."""
        calls, settings = briefing.limits["calls"], self.tuning
        if not calls:
            return 0, round(room)
        price = briefing.prices.get("second", 0)
        share = settings.solved if price else 0.0
        calls -= drawn * settings.votes * settings.pool_checked
        each = 1 + share * price + (1 - share) * settings.votes
        rows = max(0.0, min(room, calls / each))
        solved = int(share * rows)
        solved = solved if solved >= FEWEST else 0
        return solved, int(rows - solved)

    def _by_topic(
        self, briefing: Briefing, rows: int, from_pool: bool = False
    ) -> list[dict[str, Any]]:
        """Operations that bring in so many rows, some of them without steps."""
        items = briefing.task.public
        weights = {
            topic: sum(item.topic == topic for item in items) ** self.tuning.tilt
            for topic in briefing.task.topics
        }
        counts = shared_out(rows, weights)
        if from_pool or not self.tuning.direct:
            return more_like_topics(counts, briefing, from_pool)
        bare = {topic: int(n * self.tuning.direct) for topic, n in counts.items()}
        steps = {topic: n - bare[topic] for topic, n in counts.items()}
        direct = [
            {**each, "style": "direct"} if each["op"] == "generate" else each
            for each in more_like_topics(bare, briefing)
        ]
        return [*direct, *more_like_topics(steps, briefing)]


class RecipeSearch(CrossEntropy):
    """The cross-entropy method over recipes."""

    kind = "open_loop"
    space = Space(RecipeSettings)

    @staticmethod
    def policy(candidate: Any) -> Policy:
        """The recipe of a candidate."""
        return OpenLoop(RecipeSearch.space.settings(candidate))
