"""Seed questions alone, with the teacher's answers."""

from __future__ import annotations

from typing import Any

from dataenv.baselines.fixed import FILTER, Recipe, checked_and_trained

from dataenv.policy import Briefing, affordable_rows, request_sizes


class SeedOnly(Recipe):
    """The seed questions as they are, answered by the teacher: sequence-level distillation (Kim and
    Rush, 2016), without which no synthesis of questions can show what it adds.

    Kept: given questions, the teacher's answers as labels, one pass. Left out: the best of a beam in place
    of the likeliest answer, since a teacher is asked for text.
    """

    name = "seed_only"
    lives_on = ("a teacher", "seed questions")

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """As many questions as calls answer and check, at random."""
        rows = min(affordable_rows(briefing), len(briefing.task.seeds))
        labels = [{"op": "label", "n": n} for n in request_sizes(rows)]
        return [*labels, FILTER, *checked_and_trained(briefing)]
