"""Controls: controllers from which one thing is taken away, to see what it was worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from dataenv.policies.belief import Belief
from dataenv.policies.feedback import FeedbackPolicy

from dataenv.evaluation import EvalReport
from dataenv.hashing import rng_of
from dataenv.policy import Briefing


class ShuffledFeedback(FeedbackPolicy):
    """`feedback` that is told of each topic what is true of another: scores, and what checks show.

    Where there is one topic only, nothing can be shuffled, and it is `feedback` itself.
    """

    name = "feedback_shuffled"

    def begin(self, briefing: Briefing) -> None:
        """Draws whose scores stand where."""
        super().begin(briefing)
        topics = list(briefing.task.topics)
        moved = rng_of("shuffled", briefing.seed).sample(topics, len(topics))
        self.taken = dict(zip(moved, [*moved[1:], moved[0]], strict=True))  # nobody keeps its own
        self.given = {source: topic for topic, source in self.taken.items()}

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """What `feedback` would do on the shuffled report."""
        return super().act(observation, self.shuffled(report))

    def _about(self, topic: str) -> Belief:
        """What checks and solutions of a topic show is taken for another's too."""
        return self.beliefs[self.given[topic]]

    def shuffled(self, report: EvalReport) -> EvalReport:
        """The report with scores, changes and progress moved between topics."""
        by_name = {each.name: each for each in report.slices}
        slices = []
        for each in report.slices:
            source = by_name[self.taken[each.name]]
            scores = {name: getattr(source, name) for name in ("score", "change", "progress")}
            slices.append(dataclasses.replace(each, **scores))
        return dataclasses.replace(report, slices=tuple(slices))
