"""What recipes share that select from the raw pool."""

from __future__ import annotations

from typing import Any

from dataenv.baselines.fixed import FILTER, REST, Recipe, solved_and_trained

from dataenv.policy import Briefing, request_sizes

SPARE = 1.5
"""Rows selected for a place in the set, if they can be checked: some fail."""


class Selection(Recipe):
    """Selects from the raw pool by a criterion, and trains on what it selected.

    The originals have no teacher. Here it checks what was selected, and the calls that are left buy
    solutions of the second, so that they are compared at equal calls with those that have rows written.
    """

    lives_on = ("a raw pool",)
    by = "random"
    """A criterion of `select`."""

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """Warms up, looks at the whole pool, selects, checks, selects again."""
        places = int(briefing.limits["max_rows"])
        check: list[dict[str, Any]] = []
        if briefing.limits["calls"]:
            spare = {"op": "select", "n": round(SPARE * places), "by": self.by}
            check = [spare, {"op": "verify", "n": REST}]
        return [
            *self.warm_up(briefing),
            *drawn(briefing),
            FILTER,
            {"op": "dedup"},
            *check,
            {"op": "select", "n": places, "by": self.by},
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
