"""What a tracker is told of an episode: a row for every step, scalars and artifacts at its end."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dataenv.episode import Outcome
from dataenv.rows import WorkingSet
from dataenv.runs.folder import STEPS
from dataenv.runs.trackers import INDEX, Tracker
from dataenv.submission import SUBMISSION, SUBMISSION_ROWS, rows_text

TEXT_LIMIT = 2_000


class EpisodeLog:
    """Tells a tracker of one episode.

    Args:
        tracker: Who is told.
        index: Of the episode.
    """

    def __init__(self, tracker: Tracker, index: int) -> None:
        self.tracker, self.index = tracker, index
        self._steps: list[dict[str, Any]] = []

    def step(self, record: dict[str, Any]) -> None:
        """Takes the record of a step."""
        self._steps.append(record)
        self.tracker.table("steps", step_row(self.index, record))

    def end(self, outcome: Outcome, name: str, rows: WorkingSet | None) -> None:
        """Takes the end of the episode.

        Args:
            outcome: How it ended.
            name: Of its artifacts.
            rows: The submission; None to have no artifacts.
        """
        rewards = [record["reward"] for record in self._steps]
        self.tracker.log(episode_scalars(self.index, outcome, rewards))
        if rows is None:
            return
        name = re.sub(r"[^\w.-]", "-", f"{name}-{self.index}")
        submission = {
            SUBMISSION: json.dumps(rows.to_submission(), indent=1),
            SUBMISSION_ROWS: rows_text(rows),
        }
        self.tracker.artifact(f"{name}-submission", "dataset", submission)
        steps = "".join(json.dumps(record) + "\n" for record in self._steps)
        self.tracker.artifact(f"{name}-trajectory", "trajectory", {STEPS: steps})


def step_row(index: int, record: Mapping[str, Any]) -> dict[str, Any]:
    """A step as a row of a table."""
    action, report = record["action"], record["report"]
    effect = report["effect"]
    arguments = {name: value for name, value in action.items() if name != "op"}
    reasons = ", ".join(f"{reason}: {count}" for reason, count in effect.get("reasons", ()))
    return {
        "episode": index,
        "step": record["step"],
        "operation": str(action.get("op", "")),
        "arguments": json.dumps(arguments)[:TEXT_LIMIT],
        "reward": float(record["reward"]),
        **{name: effect.get(name, 0) for name in ("added", "dropped", "calls")},
        "reasons": reasons[:TEXT_LIMIT],
        "rows": report["set"]["rows"],
        "public": float(report["score"]),
        "error": report["error"],
    }


def episode_scalars(index: int, outcome: Outcome, rewards: Sequence[float]) -> dict[str, float]:
    """The figures of a finished episode; those that it has not are left out."""
    found = {
        INDEX: index,
        "episode/return": sum(rewards),
        "episode/length": len(rewards),
        "episode/rows": outcome.rows,
        "episode/mats": outcome.mats,
        "student/base_public": outcome.base[0],
        "student/base_private": outcome.base[1],
        "student/public": outcome.final[0],
        "student/private": outcome.final[1],
        "student/gain_points": outcome.gain_points,
        "student/gain_percent": outcome.gain_percent,
        "student/retention": outcome.retention[1],
        **{f"budget/{axis}": used for axis, used, _ in outcome.budget},
    }
    return {name: float(value) for name, value in found.items() if value is not None}
