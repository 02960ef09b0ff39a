"""A bandit over topics: within an episode it learns where rows raise the score, and asks for more there."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from dataenv.evaluation import EvalReport
from dataenv.hashing import rng_of
from dataenv.policy import Briefing, Remembers, more_like_topics, shared_out

SPARE = 1.3
"""Rows that are asked for, for each place that is left: some do not pass the check."""
ROUNDS = 4
"""Trainings among which the calls are shared out, if there are so many."""
PRIOR_GAIN, PRIOR_ROWS = 0.02, 12.0
"""Gain of a topic's score a row that is expected at first, and the rows that this counts for."""
NOISE = 0.12
"""Standard deviation of a change of a topic's score that means nothing."""


class Bandit(Remembers):
    """Thompson sampling (Thompson, 1933) over topics.

    What a row does for its topic's score is believed normal around what rows did for it so far. Every
    round draws a value of each topic's rows from that, weighs it by the topic's share of the public items
    and what is still wrong there, and shares the round's calls out in proportion; the teacher checks what
    it wrote. What a report shows of one round decides the next, and nothing is known of other episodes.
    """

    name = "bandit"
    remembered = ("rng", "queue", "gains", "rows", "scores", "counts", "round", "evaluation")

    def begin(self, briefing: Briefing) -> None:
        """Forgets everything."""
        self.briefing = briefing
        self.rng: random.Random = rng_of("bandit", briefing.seed)
        self.queue: list[dict[str, Any]] = []
        topics = briefing.task.topics
        self.gains, self.rows = dict.fromkeys(topics, 0.0), dict.fromkeys(topics, 0)
        self.scores: dict[str, float] = {}
        self.counts = dict.fromkeys(topics, 0)
        self.round, self.evaluation = 0, -1

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next operation of the round, or a new round."""
        if report.evaluation > self.evaluation:
            self._learn(report)
        if not self.queue:
            self.queue = self._plan(report)
        return self.queue.pop(0)

    def _learn(self, report: EvalReport) -> None:
        self.evaluation = report.evaluation
        for each in report.slices:
            added = each.rows - self.counts[each.name]
            if added > 0 and each.name in self.scores:
                self.gains[each.name] += each.score - self.scores[each.name]
                self.rows[each.name] += added
            self.scores[each.name], self.counts[each.name] = each.score, each.rows

    def _plan(self, report: EvalReport) -> list[dict[str, Any]]:
        left = {axis: limit - used for axis, (used, limit) in report.budget}
        if left["trainings"] < 1 or left["steps"] < len(report.slices) + 4:
            return [{"op": "submit"}]
        room = max(0, self.briefing.limits["max_rows"] - dict(report.set)["rows"])
        rows = self._rows(room, left)
        plan = [*self._brought(rows, report), *self._rest(rows, room, left["calls"] - 2 * rows)]
        self.round += 1
        return [*plan, {"op": "train"}] if plan else [{"op": "submit"}]

    def _rows(self, room: float, left: Mapping[str, float]) -> int:
        """How many this round asks for: its share of what can be paid, and no more than find a place."""
        calls, rounds = self.briefing.limits["calls"], min(ROUNDS - self.round, left["trainings"])
        if rounds < 1 or not room:
            return 0
        affordable = left["calls"] / 2 if calls else room  # one writes a row, one checks it
        least = self.briefing.limits["min_rows"] * (1.5 if calls else 1.0) if not self.round else 1
        return int(min(affordable, max(affordable / rounds, least), SPARE * room))

    def _brought(self, rows: int, report: EvalReport) -> list[dict[str, Any]]:
        counts = shared_out(rows, {each.name: self._worth(each, report) for each in report.slices})
        check = [{"op": "verify"}] if self.briefing.limits["calls"] else []
        return [*more_like_topics(counts, self.briefing), *check, {"op": "dedup"}] if rows else []

    def _rest(self, rows: int, room: float, calls: float) -> list[dict[str, Any]]:
        """When the set is full, calls that are left buy solutions of the second teacher."""
        price = self.briefing.prices.get("second")
        if rows < SPARE * room - 1 or not price or calls < price:
            return []
        return [{"op": "rewrite", "to": "worked", "by": "second", "n": int(calls / price)}]

    def _worth(self, topic: Any, report: EvalReport) -> float:
        """A drawn value of a row of a topic, for the score of all."""
        rows = self.rows[topic.name] + PRIOR_ROWS
        mean = (self.gains[topic.name] + PRIOR_GAIN * PRIOR_ROWS) / rows
        drawn = self.rng.gauss(mean, NOISE / rows)
        return max(1e-3, drawn) * topic.n / report.n * (1 - topic.score) + 1e-6
