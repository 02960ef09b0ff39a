"""Reading results: of run folders, and of files with one a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dataenv.errors import ConfigError
from dataenv.presets import SURROGATE
from dataenv.runs.folder import RESULT
from dataenv.runs.resumable import read_records

Record = Mapping[str, Any]
"""The content of a ``result.json``, or a part of it."""
_NEEDED = (
    *("task", "target", "policy", "seed", "student", "base", "final", "gain_points", "budget"),
    *("flags", "attempts", "successful", "seconds", "worlds"),
)


def read_runs(folders: Iterable[Path]) -> list[Record]:
    """The results of run folders.

    Raises:
        ConfigError: One holds no finished run.
    """
    found = []
    for folder in folders:
        path = folder / RESULT
        try:
            found.append(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{folder} holds no finished run: cannot read {path}: {error}"
            ) from error
    return found


def read_results(path: Path) -> list[Record]:
    """The results of a file of JSON lines.

    Raises:
        ConfigError: There are none.
    """
    found = read_records(path)
    if not found:
        raise ConfigError(f"{path} has no results; name a file with a result.json on every line")
    return list(found)


def require_fields(record: Record, names: Iterable[str], what: str) -> None:
    """Raises `ConfigError` if a result lacks a field; `what` is its name in the message."""
    missing = [name for name in names if name not in record]
    if missing:
        raise ConfigError(
            f"{what} has no {missing[0]!r}: another version wrote it; run the episode again"
        )


def check_measured(record: Record, what: str) -> None:
    """Sees that a student was trained in a run; `what` is its name in the message.

    Raises:
        ConfigError: Its scores are a surrogate's.
    """
    if SURROGATE in record.get("flags", ()):
        raise ConfigError(
            f"{what} was scored by a surrogate of training: no student was trained; run the episode "
            "with laboratory=real"
        )


def check_scored(record: Record) -> None:
    """Sees that a result can be compared.

    Raises:
        ConfigError: It cannot, as fields or its private score are missing.
    """
    require_fields(record, _NEEDED, f"a result of {record.get('policy', 'nobody')!r}")
    if record["gain_points"] is None:
        raise ConfigError(
            f"the run of {record['policy']!r} on {record['target']} has no private score; run it "
            "with score_private=true"
        )
