"""Reading logged steps: as a table, and as arrays by episode."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dataenv.errors import ConfigError
from dataenv.runs.steps import EPISODE, SCHEMA, SIZE


def read_steps(path: Path) -> pa.Table:
    """The steps in a file, or in all files of a folder.

    Raises:
        ConfigError: There are none, or they have other columns.
    """
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    try:
        tables = [pq.read_table(file).cast(SCHEMA) for file in files]
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise ConfigError(f"cannot read steps from {path}: {error}") from error
    if not tables:
        raise ConfigError(f"{path} holds no steps; name a Parquet file, or a folder of them")
    return pa.concat_tables(tables)


@dataclass(frozen=True)
class Trajectory:
    """An episode as arrays.

    Args:
        about: Its columns of `EPISODE`.
        observations: Of shape (steps + 1, `SIZE`).
        texts: The action of each step, as JSON.
        rewards, terminated, truncated, valid: Of shape (steps,).
    """

    about: dict[str, Any]
    observations: NDArray[np.float32]
    texts: tuple[str, ...]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    valid: NDArray[np.bool_]

    @property
    def actions(self) -> list[dict[str, Any]]:
        """The action of each step."""
        return [json.loads(text) for text in self.texts]


def trajectories(table: pa.Table) -> Iterator[Trajectory]:
    """The episodes of a table, each once, in the order of their first rows."""
    names = table["episode"].to_numpy()
    for episode in dict.fromkeys(names):
        chosen = np.flatnonzero(names == episode)
        numbers = table["step"].to_numpy()[chosen]
        # the same episode may have been written twice
        once = chosen[np.unique(numbers, return_index=True)[1]]
        yield _trajectory(table.take(once))


def _trajectory(rows: pa.Table) -> Trajectory:
    first = rows.slice(0, 1).to_pylist()[0]
    arrays = {
        name: rows[name].to_numpy() for name in ("reward", "terminated", "truncated", "valid")
    }
    before, after = (_matrix(rows[name]) for name in ("observation", "next_observation"))
    return Trajectory(
        about={name: first[name] for name in EPISODE},
        observations=np.concatenate([before[:1], after]),
        texts=tuple(rows["action"].to_pylist()),
        rewards=arrays["reward"],
        terminated=arrays["terminated"],
        truncated=arrays["truncated"],
        valid=arrays["valid"],
    )


def _matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, SIZE)
