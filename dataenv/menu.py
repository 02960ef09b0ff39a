"""A menu of discrete operations for learned policies, and what they see: topics by rank, and the rest.

Ranks, not names: the weakest topic is in the first place, whatever it is about, so that what is learned on
some targets holds for others. Everything here is a function of the report and of what a controller knows at
the start, so that a policy uses it as well as the wrapper `DiscreteOperations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dataenv.evaluation import EvalReport, Slice
from dataenv.policy import LARGEST_LIKE, Briefing

RANKS = 6
RECENT = 3
"""Evaluations in view."""


@dataclass(frozen=True)
class Entry:
    """Something on the menu.

    Args:
        kind: write, solve, draw, verify or drop, of a topic; or an operation's name.
        n: Rows, where it takes some.
        rank: Of the topic, the weakest is 0; None: of no topic.
    """

    kind: str
    n: int = 0
    rank: int | None = None


TOPIC_KINDS = (("write", 8), ("write", 24), ("solve", 4), ("solve", 12), ("draw", 8), ("verify", 0))
"""What can be done about a topic, and with how many rows: the teacher writes more like its public items,
the second teacher solves its rows anew, the pool is searched for more, the teacher checks its rows."""
OTHER_KINDS = (
    *(("mirror", 24), ("mirror", 96), ("label", 24)),
    *(
        (name, 0)
        for name in ("verify", "dedup", "filter", "rebalance", "revert", "train", "submit")
    ),
)
MENU = (
    *(Entry(kind, n, rank) for kind, n in TOPIC_KINDS for rank in range(RANKS)),
    *(Entry(kind, n) for kind, n in OTHER_KINDS),
)
"""Topic entries first, kind by kind."""
SUBMIT = len(MENU) - 1
TRAIN = SUBMIT - 1
COUNTED = ("write", "solve", "draw")
"""Kinds of which is remembered how many rows of a topic they were asked for."""
SLOT_FEATURES = 8 + 2 * RECENT + len(COUNTED) + 1
OVERALL_FEATURES = 17


@dataclass
class Memory:
    """What a report does not say of an episode so far.

    Args:
        recent: (score, rows) of each topic at the last evaluations, the newest first.
        asked: Rows asked for, by topic and kind.
        confirmed: Answers of the teacher that the second one found right, and how many it looked at, by
            topic.
        spent: Topics of which the pool has given nothing more.
        evaluation: The last that was seen.
        since: Operations since then.
    """

    recent: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    asked: dict[str, dict[str, int]] = field(default_factory=dict)
    confirmed: dict[str, list[int]] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)
    evaluation: int = -1
    since: int = 0

    def see(self, report: EvalReport) -> None:
        """Takes in a report, once a step."""
        self.since += 1
        if report.evaluation > self.evaluation:
            self.evaluation, self.since = report.evaluation, 0
            for each in report.slices:
                held = self.recent.get(each.name, [])
                self.recent[each.name] = [(each.score, each.rows), *held][:RECENT]

    def done(self, entry: Entry, topic: str, effect: Mapping[str, Any]) -> None:
        """Takes in what an entry has done about a topic."""
        if entry.kind in COUNTED:
            count = effect.get("rewritten" if entry.kind == "solve" else "added", 0)
            asked = self.asked.setdefault(topic, {})
            asked[entry.kind] = asked.get(entry.kind, 0) + count
            if entry.kind == "draw" and not count:
                self.spent.add(topic)
        if entry.kind == "solve":
            seen = self.confirmed.setdefault(topic, [0, 0])
            seen[0] += effect.get("confirmed", 0)
            seen[1] += effect.get("rewritten", 0)


class Menu:
    """The menu in an episode.

    Args:
        briefing: What is known at the start.
    """

    def __init__(self, briefing: Briefing) -> None:
        self.task, self.limits, self.prices = briefing.task, briefing.limits, briefing.prices
        self.memory = Memory()
        self._last: tuple[Entry, str] | None = None

    def see(self, report: EvalReport) -> None:
        """Takes in the report after an operation, or the first."""
        if self._last is not None:
            self.memory.done(*self._last, {} if report.error else dict(report.effect))
            self._last = None
        self.memory.see(report)

    def operation(self, number: int, report: EvalReport) -> dict[str, Any]:
        """The operation that an entry stands for now; one that fits nothing is an invalid action."""
        entry = MENU[number]
        if entry.rank is not None:
            if entry.rank >= len(report.slices):
                return {"op": f"nothing of rank {entry.rank}"}
            topic = report.slices[entry.rank].name
            self._last = entry, topic
            return self._of_topic(entry, topic)
        if entry.kind == "mirror":
            ids = [item.id for item in self.task.public]
            turned = self.memory.asked.get("", {}).get("mirror", 0) % len(ids)
            like = (ids[turned:] + ids[:turned])[:LARGEST_LIKE]
            self.memory.asked.setdefault("", {})["mirror"] = turned + len(like)
            return {"op": "generate", "brief": "", "n": entry.n, "examples": like}
        return {"op": entry.kind, **({"n": entry.n} if entry.n else {})}

    def _of_topic(self, entry: Entry, topic: str) -> dict[str, Any]:
        like = [item.id for item in self.task.public if item.topic == topic][:LARGEST_LIKE]
        if entry.kind == "write":
            return {"op": "generate", "brief": "", "n": entry.n, "examples": like}
        if entry.kind == "solve":
            return {"op": "rewrite", "to": "worked", "by": "second", "topic": topic, "n": entry.n}
        if entry.kind == "draw":
            return {"op": "draw", "n": entry.n, "like": like, "topic": topic}
        return {"op": entry.kind, "topic": topic}

    def mask(self, report: EvalReport) -> np.ndarray:
        """Which entries can be of use now, of shape (entries,), bool.

        Submitting is of none until half of the trainings are used, unless nothing else is left.
        """
        left = {axis: limit - used for axis, (used, limit) in report.budget}
        mask = np.array([self._fits(entry, report, left) for entry in MENU])
        used, limit = dict(report.budget)["trainings"]
        mask[SUBMIT] = 2 * used >= limit or not mask[:SUBMIT].any()
        return mask

    def _fits(self, entry: Entry, report: EvalReport, left: Mapping[str, float]) -> bool:
        if entry.rank is not None:
            return entry.rank < len(report.slices) and self._fits_topic(
                entry, report.slices[entry.rank], left["calls"]
            )
        rows, unchecked = dict(report.set)["rows"], _unchecked(report.slices)
        fits = {
            "mirror": entry.n <= left["calls"],
            "label": bool(self.task.seeds) and entry.n <= left["calls"],
            "verify": 0 < unchecked <= left["calls"],
            "revert": report.evaluation > 0,
            "train": left["trainings"] > 0 and rows >= self.limits["min_rows"],
            "submit": True,
        }
        return fits.get(entry.kind, rows > 0)

    def _fits_topic(self, entry: Entry, topic: Slice, calls: float) -> bool:
        if entry.kind == "write":
            return entry.n <= calls
        if entry.kind == "solve":
            price = self.prices.get("second")
            solved = self.memory.asked.get(topic.name, {}).get("solve", 0)
            return price is not None and entry.n * price <= calls and topic.rows - solved > 0
        if entry.kind == "draw":
            return bool(self.task.pool) and topic.name not in self.memory.spent
        return 0 < _unchecked((topic,)) <= calls

    def view(self, report: EvalReport) -> dict[str, np.ndarray]:
        """What a learned policy sees: ``slots``, of shape (`RANKS`, `SLOT_FEATURES`), one a topic from the
        weakest on, and ``overall``, of shape (`OVERALL_FEATURES`,); about -1 to 1."""
        slots = np.zeros((RANKS, SLOT_FEATURES), np.float32)
        for place, each in enumerate(report.slices[:RANKS]):
            slots[place] = self._slot(each, report)
        return {
            "slots": np.clip(slots, -1, 1),
            "overall": np.clip(np.array(self._overall(report), np.float32), -1, 1),
        }

    def _slot(self, topic: Slice, report: EvalReport) -> list[float]:
        size, memory = self.limits["max_rows"], self.memory
        recent = memory.recent.get(topic.name, [])
        past = [(score, rows / size) for score, rows in recent] + [(0.0, 0.0)] * RECENT
        asked = memory.asked.get(topic.name, {})
        right, looked = memory.confirmed.get(topic.name, (0, 0))
        return [
            *(1.0, topic.score, topic.n / report.n, topic.rows / size, topic.share),
            *(topic.change, topic.progress * 10, topic.verified),
            *(value for pair in past[:RECENT] for value in pair),
            *(4 * asked.get(kind, 0) / size for kind in COUNTED),
            (right + 1) / (looked + 2) - 0.5 if looked else 0.0,
        ]

    def _overall(self, report: EvalReport) -> list[float]:
        rows, effect = dict(report.set), dict(report.effect)
        size = self.limits["max_rows"]
        left = [(limit - used) / max(1, limit) for _, (used, limit) in report.budget]
        return [
            *(report.score, report.base_score, report.best_score),
            *(report.score - report.base_score, report.score - report.best_score),
            *left,
            *(rows["rows"] / size, float(rows["rows"] >= self.limits["min_rows"])),
            *(rows["distinct"] / max(1, rows["rows"]), rows["checked"] / max(1, rows["rows"])),
            *(effect.get("added", 0) / size, effect.get("dropped", 0) / size),
            *(report.evaluation / 10, self.memory.since / 20, float(bool(report.error))),
        ]


def _unchecked(topics: tuple[Slice, ...]) -> int:
    return sum(round(each.rows * (1 - each.verified)) for each in topics)
