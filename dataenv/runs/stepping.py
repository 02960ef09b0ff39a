"""An episode in a folder that is stepped from outside: by a shell, or by a client of a server.

It is recorded as a policy's is, and every step that was told to the outside is durable.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataenv.config import from_mapping
from dataenv.env import DataEnv
from dataenv.episode import Outcome, loggable
from dataenv.errors import ConfigError, EnvironmentFault
from dataenv.evaluation import EvalReport
from dataenv.policy import Briefing, Progress, Remembers, briefing_of, play_step
from dataenv.presets import EnvConfig
from dataenv.runs.folder import CHANNEL, RESULT, open_run, read_plan
from dataenv.runs.runner import Recording, note_fault, plan_of, write_views
from dataenv.runs.store import RunStore
from dataenv.students import student_of
from dataenv.students.late import LateStudent

TOLD = (
    *("ended", "flags", "evaluation", "rows", "base", "final", "private_interval", "gain_points"),
    *("gain_interval_points", "gain_percent", "retention", "attempts", "successful", "mats"),
    *("private_overlap", "public_gap_points"),
)
"""What the outside is told of an `Outcome`: scores, but none of the hidden items."""

ACTION_SHOWN = 200
"""Characters of an action that a note shows."""


class Visitor(Remembers):
    """Chooses what it is told to.

    Args:
        name: Of whoever tells it, for records.
    """

    remembered = ()

    def __init__(self, name: str) -> None:
        self.name = name
        self.wish: Any = None

    def begin(self, briefing: Briefing) -> None:
        """Keeps the briefing for whoever asks."""
        self.briefing = briefing

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The wish."""
        return self.wish


@dataclass(frozen=True)
class Turn:
    """What the outside is told.

    Args:
        step: Number of the newest step; 0 before the first.
        report: The newest.
        reward: Of the newest step, for learners; no controller is told it.
        outcome: There when the episode is over.
        cut_off: An operation that a kill has interrupted. It was begun, so the next step finishes it.
        finished: An operation that a kill had interrupted and that this step has finished first.
    """

    step: int
    report: EvalReport
    reward: float = 0.0
    outcome: Outcome | None = None
    cut_off: Any = None
    finished: Any = None

    @property
    def told(self) -> dict[str, Any] | None:
        """The end of the episode, without hidden items; None before."""
        if not self.outcome:
            return None
        plain = self.outcome.to_dict()
        return {name: plain[name] for name in TOLD}

    def to_text(self) -> str:
        """Compact text for a person or a language model."""
        lines = [f"step {self.step}"]
        if self.finished is not None:
            lines.append(f"note: {_shown(self.finished)} had been cut off; it was finished first")
        if self.cut_off is not None:
            lines.append(
                f"note: {_shown(self.cut_off)} was cut off; the next step finishes it first"
            )
        lines.append(self.report.to_text())
        if self.outcome:
            lines += _ending(self.outcome)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            **self.brief(),
            "report": self.report.to_dict(),
            "cut_off": self.cut_off,
            "finished": self.finished,
        }

    def brief(self) -> dict[str, Any]:
        """The figures of `to_dict` that fit beside the text."""
        report = self.report
        return {
            "step": self.step,
            "done": self.outcome is not None,
            "error": report.error,
            "evaluation": report.evaluation,
            "score": report.score,
            "interval": list(report.interval),
            "base_score": report.base_score,
            "best_score": report.best_score,
            "rows": dict(report.set)["rows"],
            "budget": {axis: {"used": u, "limit": m} for axis, (u, m) in report.budget},
            "outcome": self.told,
        }


def _shown(action: Any) -> str:
    text = json.dumps(action)
    return text if len(text) <= ACTION_SHOWN else text[:ACTION_SHOWN] + "..."


def _ending(outcome: Outcome) -> list[str]:
    flags = f"; flags: {', '.join(outcome.flags)}" if outcome.flags else ""
    which = "the base" if outcome.evaluation == 0 else "a set that was never evaluated"
    which = f"the set of evaluation {outcome.evaluation}" if outcome.evaluation else which
    lines = [
        f"The episode is over ({outcome.ended}). Submitted: {which}, {outcome.rows} rows, public score "
        f"{outcome.final[0]:.3f}{flags}."
    ]
    before, after = outcome.base[1], outcome.final[1]
    if outcome.gain_interval_points is not None:
        low, high = outcome.gain_interval_points
        lines.append(
            f"private score {before:.3f} -> {after:.3f}: {outcome.gain_points:+.1f} points "
            f"[{low:+.1f}, {high:+.1f}]"
        )
    return lines


class SteppedRun:
    """A run in a folder, open for steps, in one process and one thread.

    Made by `begin` or `resume`; closes itself when a step fails, and can then be resumed.
    """

    def __init__(self, store: RunStore, plan: Mapping[str, Any]) -> None:
        self.store = store
        self._visitor = Visitor(plan["policy"])
        with self._closed_by_failure():
            self._recording = self._open(plan)
            self._settle()

    @classmethod
    def begin(
        cls,
        folder: Path,
        config: EnvConfig,
        seed: int,
        *,
        channel: str,
        by: str = "",
        options: dict[str, Any] | None = None,
    ) -> SteppedRun:
        """Begins an episode in a folder; a finished run in it is replaced.

        Args:
            folder: Made if it is not there.
            config: Of the environment.
            seed: Of the episode.
            channel: Through which it is stepped, e.g. ``shell``; for records.
            by: Who steps it, as the name of the policy in records; the channel, if empty.
            options: Passed to `DataEnv.reset`.

        Raises:
            ConfigError: There is an unfinished run, or something is wrong with what is asked for.
            StoreFault: Another process has the folder, or it cannot be written.
        """
        student = LateStudent(lambda: student_of(config))
        DataEnv(config=config, student=student).check(options)
        _ = student.placement  # nothing is replaced by a run that cannot begin
        plan = {**plan_of(config, by or channel, seed, options), CHANNEL: channel}
        return cls(open_run(folder, plan, resume=False), plan)

    @classmethod
    def resume(cls, folder: Path) -> SteppedRun:
        """Goes on with the run in a folder, or looks at what it has come to.

        Raises:
            ConfigError: There is none, a policy plays it, or it was begun by other versions.
            StoreFault: Another process has the folder, or it cannot be read.
        """
        plan = read_plan(folder)
        if CHANNEL not in plan:
            raise ConfigError(
                f"the run in {str(folder)!r} is played by the policy {plan['policy']!r}: go on with "
                f"`dataenv run --resume {folder}`"
            )
        config = from_mapping(EnvConfig, plan["config"])
        own = plan_of(config, plan["policy"], plan["seed"], plan["options"])
        return cls(open_run(folder, {**own, CHANNEL: plan[CHANNEL]}, resume=True), plan)

    def __enter__(self) -> SteppedRun:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the folder back."""
        self.store.close()

    @property
    def briefing(self) -> Briefing:
        """What whoever steps the run is told at its beginning."""
        return briefing_of(self._recording.env, self._recording.seed)

    @property
    def is_over(self) -> bool:
        """Whether the episode has ended."""
        return self._progress.outcome is not None

    def look(self) -> Turn:
        """Where the episode stands; costs nothing."""
        return self._turn()

    def step(self, action: Any, number: int | None = None) -> Turn:
        """Carries out one operation; what it has led to is durable on return.

        An operation that a kill has interrupted is finished first. If it is this one, that is all.

        Args:
            action: As of `DataEnv.step`; an invalid one is reported.
            number: Which step it is to be. One that is there already is not carried out again.

        Raises:
            ConfigError: The episode is over, or `number` is another operation's or not the next.
            EnvironmentFault: The environment failed; the step has not happened, and can be tried
                again on the run, resumed.
        """
        if number is not None and self._has(number, action):
            return self._turn()
        if self.is_over:
            raise ConfigError(
                f"the episode in {str(self.store.folder)!r} is over; `dataenv report` tells of it"
            )
        wanted, cut_off = loggable(action), self._progress.chosen
        with self._closed_by_failure():
            if cut_off is not None:
                self._play(None)
            if cut_off != wanted and not self.is_over:
                self._play(action)
        return self._turn(finished=cut_off if cut_off != wanted else None)

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _progress(self) -> Progress:
        return self._recording.progress

    def _open(self, plan: Mapping[str, Any]) -> Recording:
        config = from_mapping(EnvConfig, plan["config"])
        begun = self.store.last("begin")
        known = begun.data["ground"]["student"] if begun else ""
        env = DataEnv(config=config, student=LateStudent(lambda: student_of(config), known))
        return Recording(self.store, env, self._visitor, plan["seed"], plan["options"])

    @contextlib.contextmanager
    def _closed_by_failure(self) -> Iterator[None]:
        """What has failed half-way is read anew from the store."""
        try:
            yield
        except BaseException as error:
            if isinstance(error, EnvironmentFault):
                note_fault(self.store, error)
            self.close()
            raise

    def _play(self, action: Any) -> None:
        recording, self._visitor.wish = self._recording, action
        step = (recording.chose, recording.stepped)
        play_step(recording.env, self._visitor, self._progress, *step)
        self._settle()

    def _settle(self) -> None:
        """Writes what an episode that is over leaves, as far as it is not there."""
        if not self.is_over:
            return
        if not self.store.last("end"):
            self._recording.end()
        elif (self.store.folder / RESULT).exists():
            return
        write_views(self.store, self.store.folder)

    def _has(self, number: int, action: Any) -> bool:
        steps = self._progress.steps
        if not 1 <= number <= len(steps) + 1:
            raise ConfigError(f"step {number} cannot be next: there are {len(steps)}")
        cut_off = self._progress.chosen
        if number > len(steps) and cut_off is None:
            return False
        there = cut_off if number > len(steps) else steps[number - 1]["action"]
        if there != loggable(action):
            raise ConfigError(f"step {number} is another operation: {_shown(there)}")
        return number <= len(steps)

    def _turn(self, finished: Any = None) -> Turn:
        progress = self._progress
        reward = progress.steps[-1]["reward"] if progress.steps else 0.0
        return Turn(
            step=len(progress.steps),
            report=progress.report,
            reward=reward,
            outcome=progress.outcome,
            cut_off=progress.chosen,
            finished=finished,
        )
