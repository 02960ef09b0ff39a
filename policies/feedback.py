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
class Held:
    """Rows of a topic: the teacher's own, and those that the second teacher solved."""

    plain: float = 0.0
    solved: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.plain + self.solved


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

    def expected(self, rows: Held) -> float:
        """The score that rows lead to, over all hypotheses."""
        return sum(p * self._score(rows, *which) for which, p in self.odds.items())

    def never(self) -> float:
        """The chance that no rows help."""
        return sum(p for (pace, _), p in self.odds.items() if pace == math.inf)

    def see(self, rows: Held, score: float) -> None:
        """Learns from the score that rows have led to."""
        right = score * self.items
        for which in self.odds:
            p = min(0.97, max(0.03, self._score(rows, *which)))
            evidence = right * math.log(p) + (self.items - right) * math.log(1 - p)
            self.odds[which] *= math.exp(TRUST * evidence)
        total = sum(self.odds.values())
        self.odds = {which: p / total for which, p in self.odds.items()}

    def _score(self, rows: Held, pace: float, weak: bool) -> float:
        if not rows.total:
            return self.base
        right = rows.solved + rows.plain * (WEAK_PURITY if weak else 1.0)
        learned = right / rows.total * (1 - math.exp(-rows.total / pace))
        return self.base + max(0.0, CEILING - self.base) * learned


class FeedbackPolicy:
    """Spends where the reports so far promise most, a few rows at a time.

    After every evaluation each topic's belief is updated. A round then grows by the few rows, of any
    topic, that promise the most public score a call: new ones of the teacher's, checked by itself, or
    rows that are there, solved anew by the dear second teacher. Rows of topics that nothing moves give
    way when the set is full.
    """

    name = "feedback"

    def begin(self, briefing: Briefing) -> None:
        """Forgets everything."""
        self.briefing, self.limits, self.task = briefing, briefing.limits, briefing.task
        self.rng = rng_of("feedback", briefing.seed)
        self.queue: list[dict[str, Any]] = []
        self.last: dict[str, Any] = {}
        self.beliefs: dict[str, Belief] = {}
        self.solved: Counter[str] = Counter()
        self.rounds, self.evaluation, self.size = 0, -1, -1

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next operation of the round, or a new round."""
        if self.last.get("op") == "rewrite":
            self.solved[self.last["topic"]] += dict(report.effect).get("rewritten", 0)
        if not self.queue:
            self.queue = self._plan(report)
        self.last = self.queue.pop(0)
        return self.last

    def _plan(self, report: EvalReport) -> list[dict[str, Any]]:
        left = {axis: limit - used for axis, (used, limit) in report.budget}
        size = dict(report.set)["rows"]
        held = {each.name: self._held(each) for each in report.slices}
        if report.evaluation > self.evaluation:  # a training that was refused shows nothing
            self.evaluation = report.evaluation
            self._learn(report, held)
        drops = self._hopeless(held) if size >= FULL * self.limits["max_rows"] else []
        for topic in drops:
            held[topic] = Held()
            del self.solved[topic]
        chosen = self._choose(report, held, left["calls"])
        nothing_new = size == self.size and not self.limits["calls"]  # the pool has no more
        gone = [{"op": "drop", "topic": topic} for topic in drops]
        plan = [*gone, *self._operations(chosen), {"op": "train"}]
        if left["trainings"] < 1 or len(plan) >= left["steps"] or not chosen or nothing_new:
            return [{"op": "submit"}]
        self.rounds, self.size = self.rounds + 1, size
        return plan

    def _held(self, topic: Slice) -> Held:
        solved = min(topic.rows, self.solved[topic.name])
        return Held(topic.rows - solved, solved)

    def _learn(self, report: EvalReport, held: Mapping[str, Held]) -> None:
        for each in report.slices:
            if each.name not in self.beliefs:
                self.beliefs[each.name] = Belief(each.score, each.n)
            else:
                self.beliefs[each.name].see(held[each.name], each.score)

    def _hopeless(self, held: Mapping[str, Held]) -> list[str]:
        return [
            name
            for name, rows in held.items()
            if rows.total and self.beliefs[name].never() > HOPELESS
        ]

    def _choose(
        self, report: EvalReport, held: dict[str, Held], calls: float
    ) -> Counter[tuple[str, str]]:
        """Rows of this round by topic and arm, the most promising first."""
        weight = {each.name: each.n / report.n for each in report.slices}
        there = {topic: rows.plain for topic, rows in held.items()}
        chosen: Counter[tuple[str, str]] = Counter()
        room = max(0.0, self.limits["max_rows"] - sum(rows.total for rows in held.values()))
        left = self._allowance(calls if self.limits["calls"] else room, room)
        while True:
            options = []
            for topic, rows in held.items():
                for arm, price in self._arms().items():
                    full = room < BATCH if arm == "write" else there[topic] < BATCH
                    if not full and price * BATCH <= left:
                        after = _after(rows, arm)
                        gain = self._promise(topic, rows, after)
                        options.append((gain * weight[topic] / price, topic, arm, after))
            if not options:
                return chosen
            promise, topic, arm, after = max(options, key=lambda option: option[0])
            if promise <= 0:
                return chosen
            room -= after.total - held[topic].total
            there[topic] -= BATCH if arm == "solve" else 0
            left -= self._arms()[arm] * BATCH
            held[topic] = after
            chosen[topic, arm] += BATCH

    def _allowance(self, calls: float, room: float) -> float:
        """Calls for this round; enough of them for a set that can be trained on, if there are."""
        share = ROUND_SHARES[min(self.rounds, len(ROUND_SHARES) - 1)]
        missing = self.limits["min_rows"] - (self.limits["max_rows"] - room)
        return min(calls, max(share * calls, 2.2 / PASSING * missing))

    def _arms(self) -> dict[str, int]:
        """Ways to get rows, and the calls that each costs a row; a draw from the pool counts one."""
        if not self.limits["calls"]:
            return {"write": 1}
        prices = self.briefing.prices
        return {"write": 2} | ({"solve": prices["second"]} if "second" in prices else {})

    def _promise(self, topic: str, rows: Held, after: Held) -> float:
        belief = self.beliefs[topic]
        return belief.expected(after) - belief.expected(rows)

    def _operations(self, chosen: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
        """Old rows are solved anew before new ones come, which read like them."""
        solve: list[dict[str, Any]] = []
        write: list[dict[str, Any]] = []
        for (topic, arm), n in sorted(chosen.items()):
            if arm == "solve":
                ask = {"op": "rewrite", "to": "worked", "by": "second", "topic": topic, "n": n}
                solve.append(ask)
            else:
                ids = [item.id for item in self.task.public if item.topic == topic]
                self.rng.shuffle(ids)
                write += more_like(ids, n, self.briefing)
        check = [{"op": "verify"}] if write and self.limits["calls"] else []
        return [*solve, *write, *check, {"op": "dedup", "level": "near"}]


def _after(rows: Held, arm: str) -> Held:
    """The rows of a topic after an arm has been pulled once."""
    if arm == "solve":
        return Held(rows.plain - BATCH, rows.solved + BATCH)
    return Held(rows.plain + PASSING * BATCH, rows.solved)
