"""One prompt, one program: the one-shot agent of arXiv 2605.30407."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataenv.policies.programs import Programmer

from dataenv.evaluation import EvalReport
from dataenv.policy import Briefing, budget_left

ATTEMPTS = 8


class OneShot(Programmer):
    """Asks the same question until a program hands in a valid set, at most `ATTEMPTS` times.

    Nothing is told of what went wrong before. The first valid set is trained on and submitted.
    """

    name = "one_shot"
    remembered = ("attempts", "draft", "failures", "last")

    def begin(self, briefing: Briefing) -> None:
        """Forgets everything."""
        super().begin(briefing)
        self.attempts, self.last = 0, ""

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """Another attempt, or the end."""
        action = self._next(report)
        self.last = action["op"]
        return action

    def _next(self, report: EvalReport) -> dict[str, Any]:
        left = budget_left(report)
        valid = self.last == "program" and not self.outcome(report)[0]
        if valid:
            return {"op": "train" if left["steps"] > 1 else "submit"}
        out_of_budget = left["calls"] < 1 or left["steps"] < 2 or left["trainings"] < 1
        if self.last == "train" or self.attempts == ATTEMPTS or out_of_budget:
            return {"op": "submit"}
        self.attempts += 1
        gaps = {**self.task_gaps(), **self.example_gaps(0), "status": self.status(report)}
        return self.write("draft", report, gaps)
