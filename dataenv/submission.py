"""Submissions as files: the paper's list of entries, and the same rows with their provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dataenv.errors import ConfigError
from dataenv.rows import Provenance, Row, WorkingSet
from dataenv.tasks.folder import ROW, listed, once, wrong_fields
from dataenv.teachers.parsing import STRICT, BadReply

SUBMISSION, SUBMISSION_ROWS = "submission.json", "submission_rows.jsonl"
"""Their files in a run folder."""


def read_submission(path: Path) -> list[Row]:
    """The rows of a list of entries; fields that no entry needs are left out.

    Raises:
        ConfigError: The file cannot be read, or is no list of entries with instruction and output.
            The message names every bad entry, counted from 1.
    """
    content = _json_of(path)
    if not isinstance(content, list) or not content:
        what = "an empty list" if content == [] else type(content).__name__
        raise ConfigError(
            f'{path}: must be a list of {{"instruction", "input", "output"}}, got {what}'
        )
    entries = [_known_fields(each) for each in content]
    problems = [
        f"entry {number}: {name}: {reason}"
        for number, entry in enumerate(entries, 1)
        for name, reason in wrong_fields(entry, ROW)
    ]
    if problems:
        raise ConfigError(listed(str(path), problems))
    origin = Provenance("submission")
    return [Row(e["instruction"], e.get("input", ""), e["output"], origin) for e in entries]


def _json_of(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"), object_pairs_hook=once)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not JSON: {error}; write one list of entries") from error


def _known_fields(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    required, optional = ROW
    held = {name: entry[name] for name in (*required, *optional) if name in entry}
    return {name: value for name, value in held.items() if name in required or value is not None}


class BadRow(ValueError):
    """A line that holds no row; the message says why."""


LONGEST_LINE = 64 << 10
"""Bytes of a row."""


def read_entry(line: bytes, origin: Provenance) -> Row:
    """The row of one line of JSON; fields that no entry needs are left out.

    Raises:
        BadRow: There is none.
    """
    if len(line) > LONGEST_LINE:
        raise BadRow(f"longer than {LONGEST_LINE} bytes")
    try:
        entry = _known_fields(STRICT.decode(line.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise BadRow("is not UTF-8") from error
    except BadReply as error:
        raise BadRow(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BadRow(f"is not JSON: {getattr(error, 'msg', type(error).__name__)}") from error
    for name, reason in wrong_fields(entry, ROW):
        raise BadRow(f"{name} {reason}")
    return Row(entry["instruction"], entry.get("input", ""), entry["output"], origin)


def write_rows(path: Path, rows: WorkingSet) -> None:
    """Writes rows with their provenance, one a line."""
    path.write_text(rows_text(rows), "utf-8")


def rows_text(rows: WorkingSet) -> str:
    """Rows with their provenance, one a line."""
    return "".join(json.dumps(row.to_dict()) + "\n" for row in rows)


def read_rows(path: Path) -> tuple[Row, ...]:
    """The inverse of `write_rows`.

    Raises:
        ConfigError: The file cannot be read, or a line holds no row.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
        return tuple(Row.from_dict(json.loads(line)) for line in lines)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"cannot read the rows of {path}: {error!r}") from error
