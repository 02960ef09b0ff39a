"""A pipeline of operators, each of which sees the rows once."""

from __future__ import annotations

from typing import Any

from dataenv.baselines.fixed import FILTER, REST, Mirror, solved_and_trained
from dataenv.baselines.self_instruct import NOVEL

from dataenv.policy import Briefing, affordable_rows

VOTES = 2
"""New solutions a row: an answer that one of them gives has the majority of three."""
HARD_SHARE = 0.85
"""Rows that are hard enough: what the base finds easiest teaches it least."""


class Pipeline(Mirror):
    """Operators in a row, as in DataFlow (Liang et al., 2025): generate, filter by format, filter by
    difficulty, vote, deduplicate, select for diversity.

    Kept: the operators and their order. Left out: a model that writes the pipeline, and one that marks
    difficulty and quality; the base's loss tells what is easy. Beyond the original: the calls that are left
    buy solutions of the second teacher.
    """

    name = "pipeline"
    lives_on = ("a teacher",)

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """As many rows as calls write and vote on."""
        rows, places = affordable_rows(briefing, VOTES), int(briefing.limits["max_rows"])
        hard = max(places, round(HARD_SHARE * rows))
        return [
            *self.writes(briefing, rows),
            FILTER,
            {"op": "select", "n": hard, "by": "high_loss"},
            {"op": "verify", "votes": VOTES, "n": REST},
            NOVEL,
            {"op": "select", "n": places, "by": "diversity"},
            *solved_and_trained(briefing),
        ]
