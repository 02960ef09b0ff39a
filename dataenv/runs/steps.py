"""Steps of episodes as a table, for learning from what was played: Parquet files, a row a step.

Columns
    episode, task, target, target_number, seed, policy, student, laboratory, worlds, flags,
    gain_points: of the episode. ``episode`` is a hash of its key and actions; ``seed`` is null where
    none was given, ``worlds`` outside the offline domains, ``gain_points`` without a private score.
    step: from 1 on.
    observation, next_observation: before and after the action; `LAYOUT` says what is where.
    action, operation: the action as JSON, and its name.
    reward, terminated, truncated, valid: what came of it; ``valid`` is false of a refused action.
    evaluation, public_score, hidden_score: evaluations so far, and the newest one's scores on the public
    and on the reward items. No controller sees the latter.
    topics, topic_scores, topic_rows: as in the report, weakest first.
    calls_left, trainings_left, steps_left: of the budgets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from gymnasium import spaces
from numpy.typing import NDArray

from dataenv.errors import ConfigError
from dataenv.evaluation import Evaluation
from dataenv.hashing import digest
from dataenv.observation import SHAPES, observation_space
from dataenv.runs.files import write_whole
from dataenv.runs.folder import DATABASE
from dataenv.runs.store import Event, RunStore

_SPACE = observation_space()
SIZE = spaces.flatdim(_SPACE)


def _layout() -> dict[str, slice]:
    found, start = {}, 0
    for name in _SPACE.spaces:
        size = int(np.prod(SHAPES[name]))
        found[name], start = slice(start, start + size), start + size
    return found


LAYOUT = _layout()
"""Where each array of the observation lies, flattened by rows, as `gymnasium.spaces.flatten` does."""
EPISODE = (
    *("episode", "task", "target", "target_number", "seed", "policy", "student"),
    *("laboratory", "worlds", "flags", "gain_points"),
)
"""Columns that are the same in all rows of an episode."""
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("episode", "task", "target")),
        *((name, pa.int64()) for name in ("target_number", "seed")),
        *((name, pa.string()) for name in ("policy", "student", "laboratory", "worlds")),
        ("flags", pa.list_(pa.string())),
        ("gain_points", pa.float64()),
        ("step", pa.int32()),
        *((name, pa.list_(pa.float32(), SIZE)) for name in ("observation", "next_observation")),
        *((name, pa.string()) for name in ("action", "operation")),
        ("reward", pa.float64()),
        *((name, pa.bool_()) for name in ("terminated", "truncated", "valid")),
        ("evaluation", pa.int32()),
        *((name, pa.float64()) for name in ("public_score", "hidden_score")),
        ("topics", pa.list_(pa.string())),
        ("topic_scores", pa.list_(pa.float32())),
        ("topic_rows", pa.list_(pa.int32())),
        *((f"{axis}_left", pa.int32()) for axis in ("calls", "trainings", "steps")),
    ]
)


@dataclass
class Story:
    """An episode as it is played.

    Args:
        observation: At its start.
        key: Of the episode.
        about: Columns of `EPISODE` that are known by then.
        rows: Of its steps so far.
    """

    observation: Mapping[str, Any]
    key: str
    about: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        observation: Mapping[str, Any],
        action: Mapping[str, Any],
        reward: float,
        report: Mapping[str, Any],
        hidden: float,
        ended: str = "",
    ) -> None:
        """Takes a step.

        Args:
            observation: After it.
            action: What was done.
            reward: What it paid.
            report: After it, as plain values.
            hidden: Score of the newest evaluation on the reward items.
            ended: How the episode has ended, if it has.
        """
        slices = report["slices"]
        self.rows.append(
            {
                "step": len(self.rows) + 1,
                "observation": _flat(self.observation),
                "next_observation": _flat(observation),
                "action": json.dumps(action),
                "operation": str(action.get("op", "")),
                "reward": float(reward),
                "terminated": ended == "submitted",
                "truncated": ended not in ("", "submitted"),
                "valid": not report["error"],
                "evaluation": report["evaluation"],
                "public_score": report["score"],
                "hidden_score": hidden,
                "topics": [each["name"] for each in slices],
                "topic_scores": [each["score"] for each in slices],
                "topic_rows": [each["rows"] for each in slices],
                **{
                    f"{axis}_left": int(each["limit"] - each["used"])
                    for axis, each in report["budget"].items()
                },
            }
        )
        self.observation = observation

    def finished(self, flags: Sequence[str], gain_points: float | None) -> list[dict[str, Any]]:
        """The rows of the whole episode."""
        actions = [row["action"] for row in self.rows]
        episode = digest(self.key, self.about["policy"], actions, size=8)
        more = {"episode": episode, "flags": list(flags), "gain_points": gain_points}
        return [{**self.about, **more, **row} for row in self.rows]


def _flat(observation: Mapping[str, Any]) -> NDArray[np.float32]:
    arrays = {name: np.asarray(observation[name], np.float32) for name in _SPACE.spaces}
    return np.asarray(spaces.flatten(_SPACE, arrays), np.float32)


class StepLog:
    """Writes the steps of finished episodes into a folder, in files of some episodes each.

    Processes may write to one folder; each has a log of its own.

    Args:
        folder: Made if it is not there.
        episodes: In a file; what is not written yet is lost with the process.
    """

    def __init__(self, folder: Path, episodes: int = 64) -> None:
        self.folder, self.episodes = folder, episodes
        self._waiting: list[list[dict[str, Any]]] = []

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Takes the rows of an episode."""
        self._waiting.append(rows)
        if len(self._waiting) >= self.episodes:
            self.flush()

    def flush(self) -> None:
        """Writes what is waiting."""
        rows = [row for episode in self._waiting for row in episode]
        if rows:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = digest(sorted({row["episode"] for row in rows}), size=8)
            write_steps_table(rows, self.folder / f"steps-{name}.parquet")
        self._waiting = []

    def __enter__(self) -> StepLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.flush()


def write_steps_table(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes rows as one Parquet file, whole or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def steps_of_runs(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """The steps of finished runs, from their stores.

    Raises:
        ConfigError: A folder holds no finished run.
        StoreFault: A store cannot be read.
    """
    return [row for folder in folders for row in _steps_of_run(folder)]


def _steps_of_run(folder: Path) -> list[dict[str, Any]]:
    if not (folder / DATABASE).exists():
        raise ConfigError(f"there is no run in {str(folder)!r}; name the folder of a finished run")
    with RunStore(folder) as store:
        end = store.last("end")
        if end is None:
            raise ConfigError(
                f"the run in {str(folder)!r} is not finished: go on with `dataenv run --resume {folder}`"
            )
        result = end.data["result"]
        (begun,), steps = store.events("begin"), store.events("step")
        story = Story(begun.data["observation"], result["key"], _about(result))
        base = Evaluation.from_dict(store.get(begun.data["base"]["reward"])).score
        for place, step in enumerate(steps, 1):
            data, ended = step.data, result["ended"] if place == len(steps) else ""
            hidden = _hidden_score(store, step, base)
            observed = data["observation"]
            story.add(observed, data["action"], data["reward"], data["report"], hidden, ended)
        return story.finished(result["flags"], result["gain_points"])


def _about(result: Mapping[str, Any]) -> dict[str, Any]:
    same = ("task", "target", "target_number", "seed", "policy", "student", "worlds")
    laboratory = result["config"].get("laboratory", "real")  # results of old have none
    return {**{name: result[name] for name in same}, "laboratory": laboratory}


def _hidden_score(store: RunStore, step: Event, base: float) -> float:
    evaluated = step.data["snapshot"]["state"]["evaluated"]
    return Evaluation.from_dict(store.get(evaluated[-1]["reward"])).score if evaluated else base
