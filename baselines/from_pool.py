"""What recipes share that select from the raw pool."""

from __future__ import annotations

from typing import Any

from dataenv.baselines.fixed import FILTER, Recipe, solved_and_trained

from dataenv.policy import Briefing, request_sizes


class Selection(Recipe):
    """Selects from the raw pool by a criterion, and trains on what it selected.

    The originals have no teacher. Here the calls buy solutions of the second one for the first of the rows
    that were selected, so that they are compared at equal calls with those that have rows written. Nothing
    is checked: rows that fail would leave places empty, or to rows that were not selected.
    """

    lives_on = ("a raw pool",)
    by = "random"
    """A criterion of `select`."""

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """Warms up, looks at the whole pool, selects as many rows as training takes."""
        return [
            *self.warm_up(briefing),
            *drawn(briefing),
            FILTER,
            {"op": "dedup"},
            {"op": "select", "n": int(briefing.limits["max_rows"]), "by": self.by},
            *solved_and_trained(briefing),
        ]

    def warm_up(self, briefing: Briefing) -> list[dict[str, Any]]:
        """The operations that make the student by which rows are judged; none for the base."""
        return []


def drawn(briefing: Briefing) -> list[dict[str, Any]]:
    """The operations that bring in the whole pool, or at random what a quarter of the steps can."""
    draws = [{"op": "draw", "n": n} for n in request_sizes(len(briefing.task.pool))]
    return draws[: max(1, int(briefing.limits["steps"]) // 4)]


def warm_rows(briefing: Briefing, share: float) -> int:
    """Rows of a first training: a share of the pool, but enough to be trained on."""
    return max(int(briefing.limits["min_rows"]), round(share * len(briefing.task.pool)))
