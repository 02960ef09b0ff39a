"""A program as a recipe: what one file does, submitted as a single operation."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from dataenv.baselines.fixed import Recipe

from dataenv.evaluation import EvalReport
from dataenv.policy import Briefing

SOURCE = "topics_program.py"


class TopicsProgram(Recipe):
    """Topics x prompts, checked by asking again, topped up until there are enough; trained once."""

    name = "program"

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """The program, and a training of what it hands in."""
        self.min_rows = briefing.limits["min_rows"]
        source = files(__package__).joinpath(SOURCE).read_text("utf-8")
        return [{"op": "program", "source": source}, {"op": "train"}]

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """What failed is not trained on."""
        ran = dict(report.effect).get("operation") == "program" or report.error
        if ran and dict(report.set)["rows"] < self.min_rows:
            self.queue.clear()
        return super().act(observation, report)
