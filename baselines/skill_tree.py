"""A tree of skills that grows where the student errs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataenv.baselines.fixed import (
    REST,
    Recipe,
    by_errors,
    checked_and_trained,
    like_each,
    shown_ids,
)

from dataenv.evaluation import EvalReport
from dataenv.policy import Briefing, budget_left

MOVES = (("explore", 2), ("exploit", 1), ("explore", 1), ("exploit", 1))
"""What each round does, and its share of the rows; the first must be enough to train on."""
SPARE = 1.4
"""Rows written for each that is missing: some fail the check."""
WRONG = {"op": "inspect", "what": "wrong", "n": 50}


class SkillTree(Recipe):
    """The skill tree of DataEnvGym (Khan et al., 2025) under a fixed rule.

    Kept: rounds of data, training and a report by skill; skills (the topics) with branches, for which the
    public items stand; exploring, which opens branches, and exploiting, which writes more of open ones;
    more rows for skills with more errors. Left out: a model that names skills and decides between the two,
    which take turns here. Beyond the original: answers are checked with the calls there are. Without a
    teacher rows come from the pool.
    """

    name = "skill_tree"
    lives_on = ("a teacher or a raw pool",)
    remembered = ("rng", "queue", "opened", "wrong", "round")

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """As many rounds as trainings and steps allow; waits for the report."""
        longest = 2 * len(briefing.task.topics) + 5  # operations of a round
        rounds = min(briefing.limits["trainings"], briefing.limits["steps"] // longest, len(MOVES))
        self.moves = MOVES[: max(1, int(rounds))]
        self.opened: list[str] = []
        self.wrong: list[str] = []
        self.round = 0
        return []

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """Notes which items it is shown, those that the newest student gets wrong."""
        self.wrong = shown_ids(report) or self.wrong
        return super().act(observation, report)

    def follow(self, report: EvalReport) -> list[dict[str, Any]]:
        """A round, by what the last one left wrong."""
        if self.round == len(self.moves):
            return []
        move, _ = self.moves[self.round]
        writes: list[dict[str, Any]] = []
        for topic, n in by_errors(report, self._size(report)).items():
            branches = self._branches(topic, move)[:n]
            self.opened += [i for i in branches if i not in self.opened]
            writes += like_each(branches, n, self.briefing)
        self.round += 1
        if self.round == len(self.moves):
            return [*writes, *checked_and_trained(self.briefing)]
        check = [{"op": "verify", "n": REST}] if self.briefing.limits["calls"] else []
        return [*writes, *check, {"op": "dedup"}, {"op": "train"}, WRONG]

    def _size(self, report: EvalReport) -> int:
        """Rows that bring the set to the share of its places that is due by now, and some that fail; no
        more than the round's share of the calls that are left writes and checks."""
        shares = [share for _, share in self.moves]
        due = sum(shares[: self.round + 1]) / sum(shares) * self.briefing.limits["max_rows"]
        missing = max(0.0, due - dict(report.set)["rows"])
        if not self.briefing.limits["calls"]:
            return round(missing)
        calls = budget_left(report)["calls"] * shares[self.round] / sum(shares[self.round :])
        return round(min(SPARE * missing, calls / 2))

    def _branches(self, topic: str, move: str) -> list[str]:
        """Items of a topic to write more like: those never written for, or open ones that are wrong;
        where there are none, all of the topic."""
        ids = [item.id for item in self.briefing.task.public if item.topic == topic]
        self.rng.shuffle(ids)
        if move == "explore":
            chosen = [i for i in ids if i not in self.opened]
        else:
            chosen = [i for i in ids if i in self.opened and i in self.wrong]
        return chosen or ids
