"""Long experiments as files of records: what is there already is not run again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dataenv.lock import name_of_worlds
from dataenv.runs.processes import in_processes


def read_records(path: Path) -> list[dict[str, Any]]:
    """All complete records of a file of JSON lines; a line cut off by a kill is left out."""
    records = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            records.append(json.loads(line))
    return records


def read_current(path: Path) -> list[dict[str, Any]]:
    """The records of the worlds as they are locked now; those of others are not comparable."""
    return [record for record in read_records(path) if record["worlds"] == name_of_worlds()]


def run_jobs(
    function: Callable[[Any], list[dict[str, Any]]], jobs: Sequence[Any], path: Path, processes: int
) -> None:
    """Runs jobs in processes of their own and adds the records of each to a file as it ends.

    A job that fails, or whose process is killed, is printed and left for the next time; the others go on.

    Args:
        function: What is run; must be importable, as processes are spawned.
        jobs: Its arguments.
        path: The file.
        processes: How many at a time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    end_cut_line(path)
    failed = 0
    with path.open("a", encoding="utf-8") as out:
        for place, (job, records, error) in enumerate(in_processes(function, jobs, processes), 1):
            out.writelines(json.dumps(record) + "\n" for record in records or ())
            out.flush()
            failed += bool(error)
            said = f" failed: {job!r}\n{error}" if error else ""
            print(f"{place}/{len(jobs)}{said}", flush=True)
    if failed:
        print(f"{failed} of {len(jobs)} jobs failed; run this again for them")


def end_cut_line(path: Path) -> None:
    """So that what follows a cut-off line is not lost with it."""
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        with path.open("a", encoding="utf-8") as out:
            out.write("\n")
