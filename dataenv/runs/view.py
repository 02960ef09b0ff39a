"""A finished run as a report shows it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dataenv.errors import ConfigError
from dataenv.naming import public_name
from dataenv.rows import Row
from dataenv.runs.decisions import Decisions, read_decisions
from dataenv.runs.drawing import Plot, Track, plot_of, track_of
from dataenv.runs.folder import STEPS
from dataenv.runs.leaderboard import UNRANKED
from dataenv.runs.results import read_runs
from dataenv.runs.resumable import read_records
from dataenv.statistics import Interval, wilson
from dataenv.submission import SUBMISSION_ROWS, read_rows

ROWS_SHOWN = 12
CASES_SHOWN = 6


@dataclass(frozen=True)
class SliceChange:
    """A topic before and after.

    Args:
        name: The topic.
        n: Its public items.
        before, after: Scores of the base and of the submission.
        interval: 95% interval of `after`.
        rows: Rows that read like it.
        track: The change, drawn.
    """

    name: str
    n: int
    before: float
    after: float
    interval: Interval
    rows: int
    track: Track

    @property
    def change(self) -> float:
        """In points."""
        return 100 * (self.after - self.before)


@dataclass(frozen=True)
class Answers:
    """Public answers of an evaluation by class; `cut_off` are in the other classes, too."""

    evaluation: int
    right: int
    wrong: int
    unreadable: int
    cut_off: int


@dataclass(frozen=True)
class RunView:
    """A finished run as the report shows it.

    Args:
        result: The content of ``result.json``.
        steps: The records of its steps.
        rows: The submission.
        decisions: What its operations were good for, if somebody asked; see `dataenv.runs.decisions`.
    """

    result: dict[str, Any]
    steps: tuple[dict[str, Any], ...]
    rows: tuple[Row, ...]
    decisions: Decisions | None = None

    @property
    def title(self) -> str:
        """Who did it on what."""
        return f"{public_name(self.result['policy'])} on {self.result['target']}"

    @property
    def student(self) -> str:
        """The base's name."""
        return public_name(self.result["student"])

    @property
    def teacher(self) -> str:
        """The teacher's name."""
        return public_name(self.result["teacher"])

    @property
    def task(self) -> str:
        """The task's name."""
        return public_name(self.result["task"])

    @property
    def warnings(self) -> list[str]:
        """Flags that take the run out of the competition."""
        return [flag for flag in self.result["flags"] if flag in UNRANKED]

    @cached_property
    def evaluations(self) -> list[dict[str, Any]]:
        """The report of the base, as of the first step, and those of all trainings."""
        first = [s["report"] for s in self.steps[:1] if s["report"]["evaluation"] == 0]
        found = {each["evaluation"]: each for each in first}
        for step in self.steps:
            if step["report"]["effect"].get("operation") == "train":
                found.setdefault(step["report"]["evaluation"], step["report"])
        return list(found.values())

    @cached_property
    def submitted(self) -> dict[str, Any] | None:
        """The evaluation of what was submitted; None if it is none of these."""
        same = [e for e in self.evaluations if e["set"]["hash"] == self.result["submission"]]
        return next((each for each in same if each["evaluation"]), None)

    @property
    def plot(self) -> Plot:
        """Scores over evaluations."""
        submitted = self.submitted["evaluation"] if self.submitted else None
        return plot_of(self.evaluations, self.result, submitted)

    @property
    def slices(self) -> list[SliceChange]:
        """Topics, from the one that rose most to the one that fell most."""
        if not self.submitted or self.evaluations[0]["evaluation"]:
            return []
        before = {each["name"]: each["score"] for each in self.evaluations[0]["slices"]}
        found = [
            SliceChange(
                each["name"],
                each["n"],
                before[each["name"]],
                each["score"],
                wilson(each["score"] * each["n"], each["n"]),
                each["rows"],
                track_of(before[each["name"]], each["score"]),
            )
            for each in self.submitted["slices"]
            if each["name"] in before
        ]
        return sorted(found, key=lambda each: (-each.change, each.name))

    @property
    def answers(self) -> list[Answers]:
        """Right and wrong answers by class, for every evaluation."""
        found = []
        for each in self.evaluations:
            right, unreadable = round(each["score"] * each["n"]), each["extraction_failures"]
            wrong = max(0, each["n"] - right - unreadable)
            found.append(Answers(each["evaluation"], right, wrong, unreadable, each["truncated"]))
        return found

    @property
    def refused(self) -> list[dict[str, Any]]:
        """Steps whose action was invalid."""
        return [step for step in self.steps if step["report"]["error"]]

    @property
    def spent(self) -> list[tuple[str, int, int]]:
        """(operation, steps, calls), dearest first."""
        found: dict[str, list[int]] = {}
        for step in self.steps:
            name = str(step["action"].get("op", "invalid"))
            found.setdefault(name, []).append(step["report"]["effect"].get("calls", 0))
        return sorted(
            ((name, len(calls), sum(calls)) for name, calls in found.items()),
            key=lambda each: (-each[2], -each[1], each[0]),
        )

    @property
    def sample(self) -> list[Row]:
        """Some rows, evenly spread over the submission."""
        count = min(ROWS_SHOWN, len(self.rows))
        return [self.rows[place * len(self.rows) // count] for place in range(count)]

    @property
    def cases(self) -> list[tuple[str, list[dict[str, str]]]]:
        """Public items answered wrongly, (when, which)."""
        found = []
        if not self.evaluations[0]["evaluation"]:
            found.append(("before", self.evaluations[0]["bad_cases"][:CASES_SHOWN]))
        if self.submitted:
            found.append(("after", self.submitted["bad_cases"][:CASES_SHOWN]))
        return found


def read_view(folder: Path) -> RunView:
    """Reads a run folder.

    Raises:
        ConfigError: It holds no finished run, or its steps or rows cannot be read.
    """
    (result,) = read_runs([folder])
    steps = read_records(folder / STEPS)
    if not steps:
        raise ConfigError(f"{folder / STEPS} has no steps; `dataenv run --resume` writes it anew")
    rows = read_rows(folder / SUBMISSION_ROWS)
    return RunView(dict(result), tuple(steps), rows, read_decisions(folder))
