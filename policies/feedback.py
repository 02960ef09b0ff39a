"""A controller that closes the loop: it keeps a belief about how each topic answers to rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from dataenv.evaluation import EvalReport, Slice
from dataenv.hashing import rng_of
from dataenv.policy import Briefing, more_like

ROUND_SHARES = (0.45, 0.5, 0.6, 1.0)
"""Share of the calls left that each round spends."""
PACES = {6.0: 0.4, 20.0: 0.3, math.inf: 0.3}
"""Rows after which a topic is two thirds learned, and how likely that is at first; never: inf."""
WEAK = 0.35
"""Chance at first that the teacher is weak at a topic."""
WEAK_PURITY = 0.35
"""Share of a weak teacher's rows that are right."""
CEILING = 0.95
"""Score of a topic that is learned."""
TRUST = 0.5
"""Weight of a report's evidence: the same public items answer every time."""
PASSING = 0.85
"""Share of the teacher's rows that pass its own check."""
BATCH = 2
"""Rows by which a plan grows."""
HOPELESS = 0.9
"""A topic that is never learned with this chance is dropped from a full set."""
FULL = 0.8
"""Share of the places taken at which a set counts as full."""


@dataclass(frozen=True)
class Rows:
    """Rows of a topic: the teacher's own, and those that an expert solved."""

    plain: float = 0.0
    expert: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.plain + self.expert


@dataclass(frozen=True)
class Arm:
    """A way to spend calls on a topic: rows it brings, which may take the place of others, and what
    they cost."""

    name: str
    plain: int
    expert: int
    cost: float

    def applied(self, rows: Rows) -> Rows:
        """The rows of a topic after it."""
        passing = PASSING if self.plain > 0 else 1.0
        return Rows(rows.plain + passing * self.plain, rows.expert + self.expert)


class Belief:
    """What may be true of a topic, and how likely that is.

    Hypotheses are a pace of learning and whether the teacher is weak at it. A score is expected to
    rise from the base's as ``purity * (1 - exp(-rows / pace))`` of the way to `CEILING`.

    Args:
        base: The base's score.
        items: Public items of the topic.
    """

    def __init__(self, base: float, items: int) -> None:
        self.base, self.items = base, items
        self.odds = {
            (pace, weak): chance * (WEAK if weak else 1 - WEAK)
            for (pace, chance), weak in product(PACES.items(), (False, True))
        }

    def expected(self, rows: Rows) -> float:
        """The score that rows lead to, over all hypotheses."""
        return sum(p * self._score(rows, *which) for which, p in self.odds.items())

    def never(self) -> float:
        """The chance that no rows help."""
        return sum(p for (pace, _), p in self.odds.items() if pace == math.inf)

    def see(self, rows: Rows, score: float) -> None:
        """Learns from the score that rows have led to."""
        right = score * self.items
        for which in self.odds:
            p = min(0.97, max(0.03, self._score(rows, *which)))
            evidence = right * math.log(p) + (self.items - right) * math.log(1 - p)
            self.odds[which] *= math.exp(TRUST * evidence)
        total = sum(self.odds.values())
        self.odds = {which: p / total for which, p in self.odds.items()}

    def _score(self, rows: Rows, pace: float, weak: bool) -> float:
        if not rows.total:
            return self.base
        right = rows.expert + rows.plain * (WEAK_PURITY if weak else 1.0)
        learned = right / rows.total * (1 - math.exp(-rows.total / pace))
        return self.base + max(0.0, CEILING - self.base) * learned


class FeedbackPolicy:
    """Spends where the reports so far promise most, one step of a plan at a time.

    After every evaluation each topic's belief is updated. A round then grows by the few rows, of any
    topic and by any way to get them, that promise the most public score a call: the teacher's rows,
    checked by itself; rows solved by the dear second teacher; or rows that are there, solved anew by
    it. Rows of topics that nothing moves give way when the set is full.
    """

    name = "feedback"

    def begin(self, briefing: Briefing) -> None:
        """Forgets everything."""
        self.briefing, self.limits, self.task = briefing, briefing.limits, briefing.task
        self.rng = rng_of("feedback", briefing.seed)
        self.queue: list[dict[str, Any]] = []
        self.beliefs: dict[str, Belief] = {}
        self.expert: dict[str, int] = dict.fromkeys(briefing.task.topics, 0)
        self.rounds, self.rows_before = 0, -1

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next operation of the round, or a new round."""
        if not self.queue:
            self.queue = self._plan(report)
        return self.queue.pop(0)

    def _plan(self, report: EvalReport) -> list[dict[str, Any]]:
        left = {axis: limit - used for axis, (used, limit) in report.budget}
        size = dict(report.set)["rows"]
        held = {each.name: self._held(each) for each in report.slices}
        self._learn(report, held)
        drops = self._hopeless(held) if size >= FULL * self.limits["max_rows"] else []
        for topic in drops:
            held[topic], self.expert[topic] = Rows(), 0
        chosen = self._choose(report, held, left["calls"])
        nothing_new = size == self.rows_before and not self.limits["calls"]  # the pool has no more
        gone = [{"op": "drop", "topic": topic} for topic in drops]
        plan = [*gone, *self._requests(chosen), {"op": "train"}]
        if left["trainings"] < 1 or len(plan) >= left["steps"] or not chosen or nothing_new:
            return [{"op": "submit"}]
        self.rounds, self.rows_before = self.rounds + 1, size
        return plan

    def _held(self, topic: Slice) -> Rows:
        expert = min(topic.rows, self.expert[topic.name])
        return Rows(topic.rows - expert, expert)

    def _learn(self, report: EvalReport, held: Mapping[str, Rows]) -> None:
        for each in report.slices:
            if each.name not in self.beliefs:
                self.beliefs[each.name] = Belief(each.score, each.n)
            else:
                self.beliefs[each.name].see(held[each.name], each.score)

    def _hopeless(self, held: Mapping[str, Rows]) -> list[str]:
        return [
            name
            for name, rows in held.items()
            if rows.total and self.beliefs[name].never() > HOPELESS
        ]

    def _choose(
        self, report: EvalReport, held: dict[str, Rows], calls: float
    ) -> Counter[tuple[str, str]]:
        """How often to pull which arm on which topic in this round, the most promising first."""
        share = ROUND_SHARES[min(self.rounds, len(ROUND_SHARES) - 1)]
        weight = {each.name: each.n / report.n for each in report.slices}
        chosen: Counter[tuple[str, str]] = Counter()
        room = self.limits["max_rows"] - sum(rows.total for rows in held.values())
        left = share * (calls if self.limits["calls"] else room)
        missing = self.limits["min_rows"] - self.limits["max_rows"] + room
        left = max(left, 2.2 / PASSING * missing)  # what is too small cannot be trained on
        while True:
            options = [
                (self._promise(topic, rows, arm) * weight[topic] / arm.cost, topic, arm)
                for topic, rows in held.items()
                for arm in self._arms(rows)
                if arm.cost <= left and arm.plain + arm.expert <= room
            ]
            if not options:
                return chosen
            promise, topic, arm = max(options, key=lambda option: option[0])
            if promise <= 0:
                return chosen
            after = arm.applied(held[topic])
            room -= after.total - held[topic].total
            held[topic] = after
            left -= arm.cost
            chosen[topic, arm.name] += BATCH

    def _promise(self, topic: str, rows: Rows, arm: Arm) -> float:
        belief = self.beliefs[topic]
        return belief.expected(arm.applied(rows)) - belief.expected(rows)

    def _arms(self, rows: Rows) -> list[Arm]:
        if not self.limits["calls"]:
            return [Arm("write", BATCH, 0, BATCH)]
        arms = [Arm("write", BATCH, 0, 2 * BATCH)]
        price = self.briefing.prices.get("second")
        if price:
            arms.append(Arm("write_expert", 0, BATCH, (1 + price) * BATCH))
            if rows.plain >= BATCH:
                arms.append(Arm("solve_anew", -BATCH, BATCH, price * BATCH))
        return arms

    def _requests(self, chosen: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
        plan: list[dict[str, Any]] = []
        checked = {topic: n for (topic, arm), n in chosen.items() if arm == "write"}
        plan += self._writes(checked)
        if checked and self.limits["calls"]:
            plan.append({"op": "verify"})
        unchecked = {topic: n for (topic, arm), n in chosen.items() if arm == "write_expert"}
        plan += self._writes(unchecked)
        for topic in self.task.topics:
            n = unchecked.get(topic, 0) + chosen[topic, "solve_anew"]
            if n:
                self.expert[topic] += n
                plan.append(
                    {"op": "rewrite", "to": "worked", "by": "second", "topic": topic, "n": n}
                )
        return [*plan, {"op": "dedup", "level": "near"}]

    def _writes(self, counts: Mapping[str, int]) -> list[dict[str, Any]]:
        plan: list[dict[str, Any]] = []
        for topic, n in sorted(counts.items()):
            ids = [item.id for item in self.task.public if item.topic == topic]
            self.rng.shuffle(ids)
            plan += more_like(ids, n, self.briefing)
        return plan
