"""Where episodes are told of beside their records: nowhere, to files, to Weights & Biases.

A run folder has its records anyway (``steps.jsonl``, ``result.json``), so `JsonlTracker` is for loops
over many episodes; see `dataenv.wrappers.TrackEpisodes`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dataenv.episode import Outcome
from dataenv.errors import ConfigError
from dataenv.naming import public_config
from dataenv.presets import EnvConfig
from dataenv.rows import WorkingSet
from dataenv.submission import SUBMISSION, SUBMISSION_ROWS, rows_text

PROJECT = "dataenv"
METRICS, TABLES, ARTIFACTS = "metrics.jsonl", "tables", "artifacts"
INDEX = "episode/index"
GROUPS = ("episode", "student", "budget")
"""First parts of the names of scalars."""
TEXT_LIMIT = 2_000
_FLUSH_ROWS = 20


@dataclass(frozen=True)
class About:
    """What is tracked.

    Args:
        name: Of the run, for people.
        group: The controller.
        job_type: ``train`` or ``eval``.
        config: Plain values, nothing of them of one machine.
    """

    name: str
    group: str
    job_type: str
    config: Mapping[str, Any]


def about(config: EnvConfig, policy: str, job_type: str, **more: Any) -> About:
    """What is tracked of a controller in an environment; `more` joins the configuration."""
    plain = {**public_config(config), "policy": policy, **more}
    return About(f"{policy} on {plain['domain']}", policy, job_type, plain)


class Tracker(Protocol):
    """Whoever is told of episodes. Calls come in the order start, any of the others, finish."""

    def start(self, about: About) -> None:
        """Begins.

        Raises:
            ConfigError: It cannot, as things are set up.
        """
        ...

    def log(self, scalars: Mapping[str, float]) -> None:
        """Takes the scalars of an episode; `INDEX` is among them."""
        ...

    def table(self, name: str, row: Mapping[str, Any]) -> None:
        """Adds a row to a table. All rows of a table have the same columns."""
        ...

    def artifact(self, name: str, kind: str, files: Mapping[str, str]) -> None:
        """Takes files: their texts by name."""
        ...

    def finish(self, failed: bool = False) -> None:
        """Ends."""
        ...


class NullTracker:
    """Tells nobody."""

    def start(self, about: About) -> None:
        pass

    def log(self, scalars: Mapping[str, float]) -> None:
        pass

    def table(self, name: str, row: Mapping[str, Any]) -> None:
        pass

    def artifact(self, name: str, kind: str, files: Mapping[str, str]) -> None:
        pass

    def finish(self, failed: bool = False) -> None:
        pass


class JsonlTracker:
    """Adds to files: ``metrics.jsonl``, ``tables/NAME.jsonl`` and ``artifacts/NAME/``.

    Args:
        folder: Where; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, about: About) -> None:
        self._add(METRICS, vars(about))

    def log(self, scalars: Mapping[str, float]) -> None:
        self._add(METRICS, scalars)

    def table(self, name: str, row: Mapping[str, Any]) -> None:
        self._add(f"{TABLES}/{name}.jsonl", row)

    def artifact(self, name: str, kind: str, files: Mapping[str, str]) -> None:
        for file, text in files.items():
            path = self.folder / ARTIFACTS / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")

    def finish(self, failed: bool = False) -> None:
        pass

    def _add(self, file: str, line: Mapping[str, Any]) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(dict(line)) + "\n")


class WandbTracker:
    """Tells Weights & Biases; with ``WANDB_MODE=offline``, its files, which ``wandb sync`` sends later.

    Args:
        folder: Gets the folder ``wandb``; made if it is not there.

    Raises:
        ConfigError: The package wandb is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import wandb
        except ImportError as error:
            raise ConfigError(
                "tracking by wandb needs the package wandb; install it: pip install "
                "'dataenv-gym[wandb]'"
            ) from error
        self.wandb, self.folder = wandb, folder
        self._run: Any = None
        self._tables: dict[str, Any] = {}
        self._unsent: dict[str, int] = {}

    def start(self, about: About) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            # a run of its own, whatever else the process tracks; its output is not for others
            self._run = self.wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                dir=self.folder,
                name=about.name,
                group=about.group,
                job_type=about.job_type,
                config=dict(about.config),
                reinit="create_new",
                settings=self.wandb.Settings(console="off"),
            )
        except self.wandb.errors.Error as error:
            raise ConfigError(
                f"wandb does not start: {error}; log in with `wandb login`, or set "
                "WANDB_MODE=offline, which needs no account"
            ) from error
        self._run.define_metric(INDEX)
        for group in GROUPS:
            self._run.define_metric(f"{group}/*", step_metric=INDEX)

    def log(self, scalars: Mapping[str, float]) -> None:
        self._run.log(dict(scalars) | self._newly_filled(1))

    def table(self, name: str, row: Mapping[str, Any]) -> None:
        if name not in self._tables:
            columns = list(row)
            self._tables[name] = self.wandb.Table(columns=columns, log_mode="INCREMENTAL")
        self._tables[name].add_data(*row.values())
        self._unsent[name] = self._unsent.get(name, 0) + 1
        self._send_tables(_FLUSH_ROWS)

    def artifact(self, name: str, kind: str, files: Mapping[str, str]) -> None:
        made = self.wandb.Artifact(name, type=kind)
        for file, text in files.items():
            with made.new_file(file, encoding="utf-8") as out:
                out.write(text)
        self._run.log_artifact(made)

    def finish(self, failed: bool = False) -> None:
        self._send_tables(1)
        self._run.finish(exit_code=int(failed))

    def _send_tables(self, least: int) -> None:
        filled = self._newly_filled(least)
        if filled:
            self._run.log(filled)

    def _newly_filled(self, least: int) -> dict[str, Any]:
        """Tables with so many rows that were not sent; every sending is a file, hence not each row."""
        names = [name for name, count in self._unsent.items() if count >= least]
        self._unsent.update(dict.fromkeys(names, 0))
        return {name: self._tables[name] for name in names}


class Trackers:
    """Tells several."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = tuple(trackers)

    def start(self, about: About) -> None:
        for each in self.trackers:
            each.start(about)

    def log(self, scalars: Mapping[str, float]) -> None:
        for each in self.trackers:
            each.log(scalars)

    def table(self, name: str, row: Mapping[str, Any]) -> None:
        for each in self.trackers:
            each.table(name, row)

    def artifact(self, name: str, kind: str, files: Mapping[str, str]) -> None:
        for each in self.trackers:
            each.artifact(name, kind, files)

    def finish(self, failed: bool = False) -> None:
        for each in self.trackers:
            each.finish(failed)


@contextlib.contextmanager
def tracking(tracker: Tracker, about: About) -> Iterator[Tracker]:
    """Starts a tracker, and finishes it however the block is left."""
    tracker.start(about)
    try:
        yield tracker
    except BaseException:
        tracker.finish(failed=True)
        raise
    tracker.finish()


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
        self.tracker.artifact(f"{name}-trajectory", "trajectory", {"steps.jsonl": steps})


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


TRACKERS = {"none": lambda folder: NullTracker(), "jsonl": JsonlTracker, "wandb": WandbTracker}
"""What makes a tracker of a folder, by name."""
