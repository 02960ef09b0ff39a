"""References: what rows from the private distribution itself would give. No competitors.

They hand the environment rows that no operation made, through `DataEnv.insert_reference`, which marks
the episode as privileged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataenv.evaluation import EvalReport
from dataenv.policy import Briefing, Remembers


class MatchedClean(Remembers):
    """Clean rows drawn from the private distribution, as many as training takes."""

    name = "matched_clean"
    source = "clean"

    def begin(self, briefing: Briefing) -> None:
        """Starts anew."""
        self.seed = briefing.seed
        self.queue: list[dict[str, Any]] = [{"op": "train"}, {"op": "submit"}]

    def use_reference(self, env: Any) -> None:
        """Takes the rows from the environment."""
        env.insert_reference(self.source, env.config.max_rows, self.seed)

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """Trains, then submits."""
        return self.queue.pop(0)


class MatchedTeacher(MatchedClean):
    """The same problems, solved by the teacher with its errors, unchecked."""

    name = "matched_teacher"
    source = "teacher"
