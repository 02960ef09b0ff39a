"""Evol-Instruct: problems made harder, generation after generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataenv.baselines.fixed import FILTER, Mirror, checked_and_trained, even, shown_ids
from dataenv.baselines.self_instruct import NOVEL

from dataenv.evaluation import EvalReport
from dataenv.policy import Briefing, affordable_rows, more_like

GENERATIONS = 3
"""Evolutions of the first problems; fewer where steps are scarce."""
WAYS = (
    "hard problems: the one below with a further condition to meet",
    "hard problems: about the matter below, to be understood more deeply",
    "hard problems: the one below with its general notions made particular",
    "hard problems: the one below so changed that solving it takes more steps",
    "hard problems: the one below with more data to read",
    "another problem from the field of the one below, of a rarer kind",
)
"""Five into depth, one into breadth."""
LOOKS = 3
"""Times that up to fifty rows are looked at in a generation, to learn their ids."""
STEPS = len(WAYS) + 2 + LOOKS
"""Of a generation."""


class EvolInstruct(Mirror):
    """Evol-Instruct (WizardLM, Xu et al., 2024).

    Kept: five ways into depth and one into breadth, dealt out at random to the youngest generation;
    elimination of what has failed (malformed, or nearly a copy); all generations are trained on. Left out:
    a call that writes the answer apart, since problems come with theirs; a model's judgement of whether
    anything was gained. The first generation is like the public items, as the original's is given. Beyond
    the original: answers are checked with the calls there are.
    """

    name = "evol_instruct"
    lives_on = ("a teacher",)
    remembered = ("rng", "queue", "seen", "known", "age")

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """The first generation, as large as each that follows."""
        self.seen: list[str] = []
        self.known: list[str] = []
        generations = int(briefing.limits["steps"]) // STEPS - 1
        self.age, self.oldest = 0, max(0, min(GENERATIONS, generations))
        self.size = affordable_rows(briefing) // (self.oldest + 1)
        return [*self.writes(briefing, self.size), *self._selected()]

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """Notes the rows that it is shown."""
        self.seen += shown_ids(report)
        return super().act(observation, report)

    def follow(self, report: EvalReport) -> list[dict[str, Any]]:
        """The next generation, or the end."""
        self.age += 1
        if self.age > self.oldest:
            return checked_and_trained(self.briefing) if self.age == self.oldest + 1 else []
        young = sorted(set(self.seen) - set(self.known))
        self.known, self.seen = [*self.known, *young], []
        return [*self._evolved(young), *self._selected()]

    def _selected(self) -> list[dict[str, Any]]:
        """Drops what failed, and looks at the rest if there is to be another generation."""
        look = {"op": "inspect", "what": "rows", "n": 50}
        return [FILTER, NOVEL, *([look] * LOOKS if self.age < self.oldest else [])]

    def _evolved(self, young: list[str]) -> list[dict[str, Any]]:
        """New problems from the youngest, each by one of the ways."""
        self.rng.shuffle(young)
        hands = [hand for place in range(len(WAYS)) if (hand := young[place :: len(WAYS)])]
        ways = self.rng.sample(WAYS, len(hands))
        return [
            {**operation, "brief": way}
            for way, hand, n in zip(ways, hands, even(self.size, len(hands)), strict=True)
            for operation in more_like(hand, n, self.briefing)
        ]
