"""Long experiments as files of records: what is there already is not run again."""

from __future__ import annotations

import contextlib
import functools
import json
import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dataenv.lock import name_of_worlds


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

    A job that fails is printed and left for the next time; the others go on.

    Args:
        function: What is run; must be importable, as processes are spawned.
        jobs: Its arguments.
        path: The file.
        processes: How many at a time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _end_cut_line(path)
    context = multiprocessing.get_context("spawn")
    guarded = functools.partial(_attempt, function)
    failed = 0
    with context.Pool(processes) as pool, path.open("a", encoding="utf-8") as out:
        for place, (records, error) in enumerate(pool.imap_unordered(guarded, jobs), 1):
            out.writelines(json.dumps(record) + "\n" for record in records)
            out.flush()
            failed += bool(error)
            print(f"{place}/{len(jobs)}{error and f' failed: {error}'}", flush=True)
    if failed:
        print(f"{failed} of {len(jobs)} jobs failed; run this again for them")


def _attempt(
    function: Callable[[Any], list[dict[str, Any]]], job: Any
) -> tuple[list[dict[str, Any]], str]:
    try:
        return function(job), ""
    except Exception:
        return [], f"{job!r}\n{traceback.format_exc()}"


def _end_cut_line(path: Path) -> None:
    """So that what follows a cut-off line is not lost with it."""
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        with path.open("a", encoding="utf-8") as out:
            out.write("\n")
