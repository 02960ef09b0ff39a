"""Where episodes are told of beside their records: nowhere, to files, to Weights & Biases.

A run folder has its steps and result in files anyway, so `JsonlTracker` is for loops over many
episodes; see `dataenv.wrappers.TrackEpisodes`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dataenv.errors import ConfigError
from dataenv.naming import public_config
from dataenv.presets import EnvConfig

PROJECT = "dataenv"
METRICS, TABLES, ARTIFACTS = "metrics.jsonl", "tables", "artifacts"
INDEX = "episode/index"
GROUPS = ("episode", "student", "budget")
"""First parts of the names of scalars."""
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


def about_run(config: EnvConfig, policy: str, job_type: str, **more: Any) -> About:
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
            columns: list[str | int] = list(row)
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


TRACKERS: dict[str, Callable[[Path], Tracker]] = {
    "none": lambda folder: NullTracker(),
    "wandb": WandbTracker,
}
"""What makes the tracker of a run folder, by name."""
