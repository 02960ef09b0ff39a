"""Controls: controllers from which one thing is taken away, to see what it was worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from dataenv.policies.belief import Belief
from dataenv.policies.feedback import FeedbackPolicy

from dataenv.evaluation import EvalReport
from dataenv.hashing import rng_of
from dataenv.policy import Briefing, Policy


def _taken(briefing: Briefing) -> dict[str, str]:
    """Whose scores stand where: no topic keeps its own, where there are several."""
    topics = list(briefing.task.topics)
    moved = rng_of("shuffled", briefing.seed).sample(topics, len(topics))
    return dict(zip(moved, [*moved[1:], moved[0]], strict=True))


def _moved(report: EvalReport, taken: Mapping[str, str]) -> EvalReport:
    """A report with scores, changes and progress moved between topics."""
    by_name = {each.name: each for each in report.slices}
    slices = []
    for each in report.slices:
        source = by_name[taken[each.name]]
        scores = {name: getattr(source, name) for name in ("score", "change", "progress")}
        slices.append(dataclasses.replace(each, **scores))
    return dataclasses.replace(report, slices=tuple(slices))


class ShuffledFeedback(FeedbackPolicy):
    """`feedback` that is told of each topic what is true of another: scores, and what checks show.

    Where there is one topic only, nothing can be shuffled, and it is `feedback` itself.
    """

    name = "feedback_shuffled"

    def begin(self, briefing: Briefing) -> None:
        """Draws whose scores stand where."""
        super().begin(briefing)
        self.taken = _taken(briefing)
        self.given = {source: topic for topic, source in self.taken.items()}

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """What `feedback` would do on the shuffled report."""
        return super().act(observation, self.shuffled(report))

    def _about(self, topic: str) -> Belief:
        """What checks and solutions of a topic show is taken for another's too."""
        return self.beliefs[self.given[topic]]

    def shuffled(self, report: EvalReport) -> EvalReport:
        """The report with scores, changes and progress moved between topics."""
        return _moved(report, self.taken)


class _Told:
    """A controller that is told something else than the report.

    Args:
        inner: The controller.
    """

    def __init__(self, inner: Policy) -> None:
        self.inner, self.name = inner, inner.name

    def begin(self, briefing: Briefing) -> None:
        """Begins."""
        self.briefing = briefing
        self.inner.begin(briefing)

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """What the controller does on another report; observations are not changed: those that are
        told otherwise read reports only."""
        return self.inner.act(observation, self.told(report))

    def told(self, report: EvalReport) -> EvalReport:
        """The other report."""
        raise NotImplementedError


class _Shuffled(_Told):
    """Of each topic what is true of another, and ranked by it; no bad cases, which would tell."""

    def told(self, report: EvalReport) -> EvalReport:
        """Scores moved between topics."""
        moved = _moved(report, _taken(self.briefing))
        return dataclasses.replace(moved, slices=_ranked(moved), bad_cases=())


class _Unsliced(_Told):
    """Of every topic what is true of the whole; no bad cases."""

    def told(self, report: EvalReport) -> EvalReport:
        """The whole's score everywhere."""
        slices = tuple(
            dataclasses.replace(each, score=report.score, change=0.0, progress=0.0)
            for each in report.slices
        )
        other = dataclasses.replace(report, slices=slices, bad_cases=())
        return dataclasses.replace(other, slices=_ranked(other))


def _ranked(report: EvalReport) -> tuple[Any, ...]:
    return tuple(sorted(report.slices, key=lambda each: (each.score, -each.n, each.name)))


def shuffled(policy: Policy) -> Policy:
    """A controller that is told of each topic what is true of another: scores, and for those that keep
    beliefs as `feedback` does, also what checks show."""
    if isinstance(policy, FeedbackPolicy):
        return ShuffledFeedback(policy.tuning)
    return _Shuffled(policy)


def unsliced(policy: Policy) -> Policy:
    """A controller that sees no scores of topics and no bad cases."""
    return _Unsliced(policy)
