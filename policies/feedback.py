"""A controller that closes the loop: it keeps a belief about how each topic answers to rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from dataenv.evaluation import EvalReport, Slice
from dataenv.hashing import rng_of
from dataenv.policy import Briefing, Remembers, more_like

ROUND_SHARES = (0.5, 0.4, 0.5, 1.0)
"""Share of the calls left that each round spends."""
PACES = {6.0: 0.4, 20.0: 0.3, math.inf: 0.3}
"""Rows after which a topic is two thirds learned, and how likely that is at first; never: inf."""
WEAK = 0.35
"""Chance at first that the teacher is weak at a topic."""
PURITY = {False: 0.93, True: 0.25}
"""Share of right rows among those that pass the teacher's own check, by whether it is weak."""
PASSING = {False: 0.87, True: 0.65}
"""Share of its rows that pass."""
CONFIRMED = {False: 0.88, True: 0.3}
"""Share of its rows whose answer the second teacher confirms."""
PROBES = 2
"""Rows of every topic that the second teacher solves in the first round, to see whom to trust."""
CEILING = 0.95
"""Score of a topic that is learned."""
TRUST = 0.5
"""Weight of a report's evidence: the same public items answer every time."""
BATCH = 2
"""Rows by which a plan grows."""
HOPELESS = 0.9
"""A topic that is never learned with this chance is dropped from a full set."""
SPARE = 1.15
"""Rows of the smallest set that are planned for each that it needs: some are repeats."""
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"base": self.base, "items": self.items, "odds": [*self.odds.values()]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Belief:
        """The inverse of `to_dict`."""
        belief = cls(data["base"], data["items"])
        belief.odds = dict(zip(belief.odds, data["odds"], strict=True))
        return belief

    def expected(self, rows: Held) -> float:
        """The score that rows lead to, over all hypotheses."""
        return sum(p * self._score(rows, *which) for which, p in self.odds.items())

    def never(self) -> float:
        """The chance that no rows help."""
        return sum(p for (pace, _), p in self.odds.items() if pace == math.inf)

    def weak(self) -> float:
        """The chance that the teacher is weak here."""
        return sum(p for (_, weak), p in self.odds.items() if weak)

    def passing(self) -> float:
        """The share of the teacher's rows that is expected to pass its own check."""
        return self.weak() * PASSING[True] + (1 - self.weak()) * PASSING[False]

    def see(self, rows: Held, score: float) -> None:
        """Learns from the score that rows have led to."""
        right = score * self.items
        self._weigh(lambda which: _binomial(right, self.items, self._score(rows, *which)), TRUST)

    def see_check(self, passed: float, written: float) -> None:
        """Learns from how many of the teacher's rows have passed its own check."""
        passed = min(passed, written)  # a topic's rows may come from the requests for another
        self._weigh(lambda which: _binomial(passed, written, PASSING[which[1]]), 1.0)

    def see_solutions(self, confirmed: float, solved: float) -> None:
        """Learns from how many of the teacher's answers the second one has confirmed."""
        self._weigh(lambda which: _binomial(confirmed, solved, CONFIRMED[which[1]]), 1.0)

    def _weigh(self, evidence: Callable[[tuple[float, bool]], float], trust: float) -> None:
        weights = {which: p * math.exp(trust * evidence(which)) for which, p in self.odds.items()}
        total = sum(weights.values())
        self.odds = {which: weight / total for which, weight in weights.items()}

    def _score(self, rows: Held, pace: float, weak: bool) -> float:
        if not rows.total:
            return self.base
        right = rows.solved + rows.plain * PURITY[weak]
        learned = right / rows.total * (1 - math.exp(-rows.total / pace))
        return self.base + max(0.0, CEILING - self.base) * learned


def _binomial(right: float, count: float, chance: float) -> float:
    """Log-likelihood of so many successes, but for what all chances share."""
    p = min(0.97, max(0.03, chance))
    return right * math.log(p) + (count - right) * math.log(1 - p)


class FeedbackPolicy(Remembers):
    """Spends where the reports so far promise most, a few rows at a time.

    After every evaluation each topic's belief is updated, by the score that its rows led to and by how
    many of them the teacher's own check let pass. A round then grows by the few rows, of any topic and
    by any of three ways, that promise the most public score a call: written by the teacher and checked
    by itself; written and then solved by the dear second teacher; or there already and solved anew by
    it. Rows of topics that nothing moves give way when the set is full.
    """

    name = "feedback"
    remembered = ("rng", "queue", "last", "solved", "written", "rounds", "evaluation", "size")

    def begin(self, briefing: Briefing) -> None:
        """Forgets everything."""
        self.briefing, self.limits, self.task = briefing, briefing.limits, briefing.task
        self.rng = rng_of("feedback", briefing.seed)
        self.queue: list[dict[str, Any]] = []
        self.last: dict[str, Any] = {}
        self.beliefs: dict[str, Belief] = {}
        self.solved: Counter[str] = Counter()
        self.written: dict[str, tuple[float, int]] = {}
        self.rounds, self.evaluation, self.size = 0, -1, -1

    def state_dict(self) -> dict[str, Any]:
        """Its beliefs and plans."""
        beliefs = {topic: each.to_dict() for topic, each in self.beliefs.items()}
        return {**super().state_dict(), "beliefs": beliefs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        super().load_state_dict(state)
        self.solved = Counter(self.solved)
        self.beliefs = {topic: Belief.from_dict(each) for topic, each in state["beliefs"].items()}

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next operation of the round, or a new round."""
        if self.last.get("op") == "rewrite":
            self._count_solutions(self.last["topic"], dict(report.effect))
        if not self.queue:
            self.queue = self._plan(report)
        self.last = self.queue.pop(0)
        return self.last

    def _about(self, topic: str) -> Belief:
        """The belief that what is seen of a topic tells of."""
        return self.beliefs[topic]

    def _count_solutions(self, topic: str, effect: Mapping[str, Any]) -> None:
        solved = effect.get("rewritten", 0)
        self.solved[topic] += solved
        self._about(topic).see_solutions(effect.get("confirmed", 0), solved)

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
        start = dict(held)
        chosen = self._choose(report, held, left["calls"])
        nothing_new = size == self.size and not self.limits["calls"]  # the pool has no more
        gone = [{"op": "drop", "topic": topic} for topic in drops]
        plan = [*gone, *self._operations(chosen), {"op": "train"}]
        if left["trainings"] < 1 or len(plan) >= left["steps"] or not chosen or nothing_new:
            return [{"op": "submit"}]
        self.rounds, self.size = self.rounds + 1, size
        self.written = {
            topic: (start[topic].total, chosen[topic, "write"])
            for topic in start
            if not any(arm != "write" for name, arm in chosen if name == topic)
        }
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
                before, written = self.written.get(each.name, (0, 0))
                if written and self.limits["calls"]:
                    self._about(each.name).see_check(max(0, each.rows - before), written)

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
        prices = self._arms()
        left -= self._probe(chosen, held, weight, left, prices.get("write and solve", 0))
        room -= sum(chosen.values())
        while True:
            options = []
            # a set that is too small cannot be trained on, so the cheap rows come first
            small = self.limits["max_rows"] - room < SPARE * self.limits["min_rows"]
            arms = {arm: p for arm, p in prices.items() if arm == "write" or not small}
            for topic, rows in held.items():
                for arm, price in arms.items():
                    full = there[topic] < BATCH if arm == "solve" else room < BATCH
                    if not full and price * BATCH <= left:
                        after = self._after(topic, rows, arm)
                        gain = self._promise(topic, rows, after)
                        options.append((gain * weight[topic] / price, topic, arm, after))
            if not options:
                return chosen
            promise, topic, arm, after = max(options, key=lambda option: option[0])
            if promise <= 0:
                return chosen
            room -= after.total - held[topic].total
            there[topic] -= BATCH if arm == "solve" else 0
            left -= prices[arm] * BATCH
            held[topic] = after
            chosen[topic, arm] += BATCH

    def _probe(
        self,
        chosen: Counter[tuple[str, str]],
        held: dict[str, Held],
        weight: Mapping[str, float],
        calls: float,
        price: int,
    ) -> float:
        """Plans the first look at every topic, the largest first; returns what it costs."""
        spare = calls - self._smallest(self.limits["min_rows"])
        spent = 0.0
        for topic in sorted(held, key=lambda name: -weight[name]):
            if self.rounds or not price or spent + price * PROBES > spare:
                break
            held[topic] = self._after(topic, held[topic], "write and solve", PROBES)
            chosen[topic, "write and solve"] += PROBES
            spent += price * PROBES
        return spent

    def _allowance(self, calls: float, room: float) -> float:
        """Calls for this round; enough of them for a set that can be trained on, if there are."""
        share = ROUND_SHARES[min(self.rounds, len(ROUND_SHARES) - 1)]
        missing = self.limits["min_rows"] - (self.limits["max_rows"] - room)
        return min(calls, max(share * calls, self._smallest(missing)))

    def _smallest(self, rows: float) -> float:
        """Calls that surely write and check so many rows."""
        return 2.2 / PASSING[True] * rows

    def _arms(self) -> dict[str, int]:
        """Ways to get rows, and the calls that each costs a row; a draw from the pool counts one."""
        if not self.limits["calls"]:
            return {"write": 1}
        price = self.briefing.prices.get("second")
        return {"write": 2} | ({"solve": price, "write and solve": 1 + price} if price else {})

    def _promise(self, topic: str, rows: Held, after: Held) -> float:
        belief = self.beliefs[topic]
        return belief.expected(after) - belief.expected(rows)

    def _after(self, topic: str, rows: Held, arm: str, n: int = BATCH) -> Held:
        """The rows of a topic after `n` more by an arm."""
        if arm == "write":
            return Held(rows.plain + self.beliefs[topic].passing() * n, rows.solved)
        return Held(rows.plain - (n if arm == "solve" else 0), rows.solved + n)

    def _operations(self, chosen: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
        """Old rows are solved anew before new ones come that read like them, and checks are made
        before those come that need none."""
        plan: dict[str, list[dict[str, Any]]] = {"solve": [], "write": [], "write and solve": []}
        for (topic, arm), n in sorted(chosen.items()):
            if arm != "solve":
                ids = [item.id for item in self.task.public if item.topic == topic]
                self.rng.shuffle(ids)
                plan[arm] += more_like(ids, n, self.briefing)
            if arm != "write":
                ask = {"op": "rewrite", "to": "worked", "by": "second", "topic": topic, "n": n}
                plan[arm].append(ask)
        check = [{"op": "verify"}] if plan["write"] and self.limits["calls"] else []
        tidy = {"op": "dedup", "level": "near"}
        return [*plan["solve"], *plan["write"], *check, *plan["write and solve"], tidy]
