"""Self-Instruct: bootstrapping from given problems and from what was written before."""

from __future__ import annotations

from typing import Any

from dataenv.baselines.fixed import FILTER, Mirror, checked_and_trained, even

from dataenv.policy import Briefing, affordable_rows, request_sizes

ROUNDS = 4
OWN_SHARE = 0.25
"""Examples that are the teacher's own in each round after the first: two of eight in the original."""
NOVEL = {"op": "dedup", "level": "near", "threshold": 0.7}
"""Rows too much like an earlier one go: the original's 0.7 of ROUGE-L, by pieces of three words."""


class SelfInstruct(Mirror):
    """Self-Instruct (Wang et al., 2023).

    Kept: rounds that write from a quarter of own and three quarters of given examples; heuristics that
    drop what is malformed; the test of novelty against all rows so far. Left out: eight examples in one
    prompt, since a request shows one; sorting problems into classification and others, since a task has
    one form of answer. The given problems are the public items, which stand for what is wanted as the
    original's seed tasks do. Beyond the original: answers are checked with the calls there are.
    """

    name = "self_instruct"
    lives_on = ("a teacher",)

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """As many rows as calls write and check, in rounds."""
        plan: list[dict[str, Any]] = []
        for place, size in enumerate(even(affordable_rows(briefing), ROUNDS)):
            own = round(OWN_SHARE * size) if place else 0
            plan += self.writes(briefing, size - own)
            plan += [{"op": "expand", "n": n} for n in request_sizes(own)]
            plan += [FILTER, NOVEL]
        return [*plan, *checked_and_trained(briefing)]
