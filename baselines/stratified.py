"""Equal shares: a sample stratified by topic."""

from __future__ import annotations

from typing import Any

from dataenv.baselines.fixed import Recipe, checked_and_trained, even

from dataenv.policy import Briefing, affordable_rows, more_like_topics


class Stratified(Recipe):
    """Stratified sampling with equal allocation (Neyman, 1934): as many rows of a rare topic as of a
    common one.

    Kept: strata, which are the topics, and as many units of each. Left out: allocation by the spread
    within a stratum, which nobody knows beforehand. Rows are like the public items of their topic, so
    that `mirror` differs in the shares alone. Without a teacher they come from the pool.
    """

    name = "stratified"
    lives_on = ("a teacher or a raw pool",)

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """As many rows as calls write and check, equally many a topic."""
        topics = briefing.task.topics
        counts = dict(zip(topics, even(affordable_rows(briefing), len(topics)), strict=True))
        return [*more_like_topics(counts, briefing), *checked_and_trained(briefing)]
