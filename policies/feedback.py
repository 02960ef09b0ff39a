"""A controller that closes the loop: it keeps a belief about how each topic answers to rows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

from dataenv.policies.belief import DEFAULTS, PASSING, Belief, Held, Settings

from dataenv.evaluation import EvalReport, Slice
from dataenv.hashing import rng_of
from dataenv.policy import Briefing, Remembers, more_like
from dataenv.topics import TopicModel

BATCH = 2
"""Rows by which a plan grows."""
SPARE = 1.15
"""Rows of the smallest set that are planned for each that it needs: some are repeats."""
FULL = 0.8
"""Share of the places taken at which a set counts as full."""
CHEAP = frozenset({"write", "leave", "pool"})
"""Arms that bring a set to the size at which it can be trained on."""
LAID_IN = {"solve": "solved", "leave": "raw", "pool": "pool"}
"""Arms whose rows are counted by topic, and where `Held` has them."""


class FeedbackPolicy(Remembers):
    """Spends where the reports so far promise most, a few rows at a time.

    After every evaluation each topic's belief is updated, by the score that its rows led to and by how
    many of them the teacher's own check let pass. A round then grows by the few rows, of any topic and
    by any arm, that promise the most public score a call: ``write``, by the teacher, which checks them
    itself; ``write and solve``, by the dear second teacher; ``solve``, by it, of rows that are there
    already; and, where the settings allow it, ``leave``, as the teacher writes them, and ``pool``, drawn
    from there. Rows of topics that nothing moves give way when the set is full.

    Args:
        settings: What is believed at first, and how it is acted upon.
    """

    name = "feedback"
    remembered = (
        *("rng", "queue", "last", "counts", "pool_left"),
        *("written", "rounds", "evaluation", "size"),
    )

    def __init__(self, settings: Settings = DEFAULTS) -> None:
        self.tuning = settings

    def begin(self, briefing: Briefing) -> None:
        """Forgets everything."""
        self.briefing, self.limits, self.task = briefing, briefing.limits, briefing.task
        self.rng = rng_of("feedback", briefing.seed)
        self.queue: list[tuple[dict[str, Any], str, str]] = []
        self.last: tuple[dict[str, Any], str, str] = ({}, "", "")
        self.beliefs: dict[str, Belief] = {}
        self.counts: dict[str, dict[str, int]] = {arm: {} for arm in LAID_IN}
        self.pool_left = self._pool_rows() if self.tuning.pool else {}
        self.written: dict[str, tuple[float, int]] = {}
        self.rounds, self.evaluation, self.size = 0, -1, -1

    def state_dict(self) -> dict[str, Any]:
        """Its beliefs and plans."""
        beliefs = {topic: each.to_dict() for topic, each in self.beliefs.items()}
        return {**super().state_dict(), "beliefs": beliefs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        super().load_state_dict(state)
        self.beliefs = {
            topic: Belief.from_dict(each, self.tuning) for topic, each in state["beliefs"].items()
        }

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next operation of the round, or a new round."""
        self._count(report)
        if not self.queue:
            self.queue = self._plan(report)
        self.last = self.queue.pop(0)
        if self._checks_nothing(self.last[0], report):
            return self.act(observation, report)
        return self.last[0]

    def _checks_nothing(self, action: Mapping[str, Any], report: EvalReport) -> bool:
        """Whether an action verifies a topic of which no row is left to be."""
        topics = {each.name: each for each in report.slices}
        topic = topics.get(action.get("topic", ""))
        if action["op"] != "verify" or topic is None:
            return False
        return not topic.rows or topic.verified == 1

    def _about(self, topic: str) -> Belief:
        """The belief that what is seen of a topic tells of."""
        return self.beliefs[topic]

    def _count(self, report: EvalReport) -> None:
        """Takes in what the last operation has done."""
        (_, topic, arm), effect = self.last, dict(report.effect)
        if arm not in LAID_IN:
            return
        count = effect.get("rewritten" if arm == "solve" else "added", 0)
        held = self.counts[arm]
        held[topic] = held.get(topic, 0) + count
        if arm == "solve":
            self._about(topic).see_solutions(effect.get("confirmed", 0), count)
            for other in ("leave", "pool"):  # unchecked rows are the first to be solved
                taken = min(count, self.counts[other].get(topic, 0))
                self.counts[other][topic] = self.counts[other].get(topic, 0) - taken
                count -= taken
        elif arm == "pool":
            self.pool_left[topic] -= count

    def _plan(self, report: EvalReport) -> list[tuple[dict[str, Any], str, str]]:
        left = {axis: limit - used for axis, (used, limit) in report.budget}
        size = dict(report.set)["rows"]
        held = {each.name: self._held(each) for each in report.slices}
        if report.evaluation > self.evaluation:  # a training that was refused shows nothing
            self.evaluation = report.evaluation
            self._learn(report, held)
        drops = self._hopeless(held) if size >= FULL * self.limits["max_rows"] else []
        for topic in drops:
            held[topic] = Held()
            for counted in self.counts.values():
                counted.pop(topic, None)
        start = dict(held)
        chosen = self._choose(report, held, left["calls"])
        nothing_new = size == self.size and not self.limits["calls"]  # the pool has no more
        gone = [_own({"op": "drop", "topic": topic}) for topic in drops]
        plan = [*gone, *self._operations(chosen), _own({"op": "train"})]
        if left["trainings"] < 1 or len(plan) >= left["steps"] or not chosen or nothing_new:
            return [_own({"op": "submit"})]
        self.rounds, self.size = self.rounds + 1, size
        self.written = {
            topic: (start[topic].total, chosen[topic, "write"])
            for topic in start
            if not any(arm != "write" for name, arm in chosen if name == topic)
        }
        return plan

    def _held(self, topic: Slice) -> Held:
        left, held = topic.rows, {}
        for arm, kind in LAID_IN.items():
            held[kind] = min(left, self.counts[arm].get(topic.name, 0))
            left -= held[kind]
        return Held(left, **held)

    def _learn(self, report: EvalReport, held: Mapping[str, Held]) -> None:
        for each in report.slices:
            if each.name not in self.beliefs:
                self.beliefs[each.name] = Belief(each.score, each.n, self.tuning)
            else:
                self.beliefs[each.name].see(held[each.name], each.score)
                before, written = self.written.get(each.name, (0, 0))
                if written and self.limits["calls"]:
                    self._about(each.name).see_check(max(0, each.rows - before), written)

    def _hopeless(self, held: Mapping[str, Held]) -> list[str]:
        return [
            name
            for name, rows in held.items()
            if rows.total and self.beliefs[name].never() > self.tuning.hopeless
        ]

    def _choose(
        self, report: EvalReport, held: dict[str, Held], calls: float
    ) -> Counter[tuple[str, str]]:
        """Rows of this round by topic and arm, the most promising first."""
        weight = {each.name: (each.n / report.n) ** self.tuning.tilt for each in report.slices}
        unsolved = {topic: rows.plain + rows.raw + rows.pool for topic, rows in held.items()}
        chosen: Counter[tuple[str, str]] = Counter()
        room = max(0.0, self.limits["max_rows"] - sum(rows.total for rows in held.values()))
        left = self._allowance(calls if self.limits["calls"] else room, room)
        prices = self._arms()
        left -= self._probe(chosen, held, weight, left, prices.get("write and solve", 0))
        room -= sum(chosen.values())

        @cache  # beliefs stay as they are while rows are chosen
        def promised(topic: str, arm: str, rows: Held) -> tuple[float, Held]:
            after = self._after(topic, rows, arm)
            return self.beliefs[topic].promise(rows, after), after

        while True:
            options = []
            # a set that is too small cannot be trained on, so the cheap rows come first
            small = self.limits["max_rows"] - room < SPARE * self.limits["min_rows"]
            arms = {arm: p for arm, p in prices.items() if arm in CHEAP or not small}
            for topic, rows in held.items():
                for arm, price in arms.items():
                    full = unsolved[topic] < BATCH if arm == "solve" else room < BATCH
                    if arm == "pool":
                        full |= self._pool_is_spent(topic, rows, chosen[topic, arm])
                    if not full and (arm == "pool" or price * BATCH <= left):
                        gain, after = promised(topic, arm, rows)
                        options.append((gain * weight[topic] / price, topic, arm, after))
            if not options:
                return chosen
            promise, topic, arm, after = max(options, key=lambda option: option[0])
            if promise <= 0:
                return chosen
            room -= after.total - held[topic].total
            unsolved[topic] -= BATCH if arm == "solve" else 0
            left -= 0 if arm == "pool" else prices[arm] * BATCH
            held[topic] = after
            chosen[topic, arm] += BATCH

    def _probe(
        self,
        chosen: Counter[tuple[str, str]],
        held: dict[str, Held],
        weight: Mapping[str, float],
        calls: float,
        price: float,
    ) -> float:
        """Plans the first look at every topic, the largest first; returns what it costs."""
        spare = calls - self._smallest(self.limits["min_rows"])
        probes, spent = self.tuning.probes, 0.0
        for topic in sorted(held, key=lambda name: -weight[name]):
            if self.rounds or not price or not probes or spent + price * probes > spare:
                break
            held[topic] = self._after(topic, held[topic], "write and solve", probes)
            chosen[topic, "write and solve"] += probes
            spent += price * probes
        return spent

    def _allowance(self, calls: float, room: float) -> float:
        """Calls for this round; enough of them for a set that can be trained on, if there are."""
        settings = self.tuning
        shares = (settings.first_share, settings.second_share, settings.third_share, 1.0)
        share = shares[min(self.rounds, len(shares) - 1)]
        missing = self.limits["min_rows"] - (self.limits["max_rows"] - room)
        return min(calls, max(share * calls, self._smallest(missing)))

    def _smallest(self, rows: float) -> float:
        """Calls that surely write and check so many rows."""
        return 2.2 / PASSING[True] * rows

    def _arms(self) -> dict[str, float]:
        """Ways to get rows, and what each counts a row, in calls."""
        if not self.limits["calls"]:
            return {"write": 1}
        arms: dict[str, float] = {"write": 2}
        price = self.briefing.prices.get("second")
        if price:
            arms |= {"solve": price, "write and solve": 1 + price}
        if self.tuning.unchecked:
            arms["leave"] = 1
        if self.tuning.pool and self.task.pool:
            arms["pool"] = self.tuning.pool_price
        return arms

    def _pool_rows(self) -> dict[str, int]:
        """Rows of the pool that read like each topic."""
        topics = TopicModel(self.task.public)
        found = Counter(topics.topic_of(row.prompt) for row in dict.fromkeys(self.task.pool))
        return {topic: found[topic] for topic in self.task.topics}

    def _pool_is_spent(self, topic: str, rows: Held, planned: int) -> bool:
        return min(self.tuning.pool - rows.pool, self.pool_left[topic] - planned) < BATCH

    def _after(self, topic: str, rows: Held, arm: str, n: float = BATCH) -> Held:
        """The rows of a topic after `n` more by an arm."""
        if arm == "leave":
            return dataclasses.replace(rows, raw=rows.raw + n)
        if arm == "pool":
            return dataclasses.replace(rows, pool=rows.pool + n)
        if arm == "write":
            passing = self.beliefs[topic].passing()
            return dataclasses.replace(rows, plain=rows.plain + passing * n)
        solved = rows.solved + n
        if arm == "write and solve":
            return dataclasses.replace(rows, solved=solved)
        raw = min(rows.raw, n)  # unchecked rows are the first to be solved
        pool = min(rows.pool, n - raw)
        return Held(rows.plain - (n - raw - pool), solved, rows.raw - raw, rows.pool - pool)

    def _operations(
        self, chosen: Counter[tuple[str, str]]
    ) -> list[tuple[dict[str, Any], str, str]]:
        """Old rows are solved anew before new ones come that read like them, and checks are made
        before those come that need none. Each operation with its topic and arm."""
        plan: dict[str, list[tuple[dict[str, Any], str, str]]] = {
            arm: [] for arm in ("solve", "write", "leave", "pool", "write and solve")
        }
        by_topic = self.tuning.unchecked or self.tuning.pool
        for (topic, arm), n in sorted(chosen.items()):
            if arm != "solve":
                plan[arm] += [(each, topic, arm) for each in self._brought(topic, arm, n)]
            if arm in ("solve", "write and solve"):
                ask = {"op": "rewrite", "to": "worked", "by": "second", "topic": topic, "n": n}
                plan[arm].append((ask, topic, "solve"))
            if arm == "write" and by_topic and self.limits["calls"]:
                plan[arm].append(_own({"op": "verify", "topic": topic, "n": n}))
        if plan["write"] and self.limits["calls"] and not by_topic:
            plan["write"].append(_own({"op": "verify"}))
        tidy = _own({"op": "dedup", "level": "near"})
        return [*(each for arm in plan.values() for each in arm), tidy]

    def _brought(self, topic: str, arm: str, n: int) -> list[dict[str, Any]]:
        ids = [item.id for item in self.task.public if item.topic == topic]
        self.rng.shuffle(ids)
        if arm == "pool":
            return [{**each, "topic": topic} for each in more_like(ids, n, self.briefing, True)]
        return more_like(ids, n, self.briefing)


def _own(action: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    """An operation that belongs to no topic."""
    return action, "", ""
