"""Files that a kill cannot damage: written whole or not at all, by one process at a time."""

from __future__ import annotations

import fcntl
import os
import signal
from collections import Counter
from pathlib import Path
from typing import IO

from dataenv.errors import StoreFault

POINTS = (
    *("after_run", "after_evaluation", "after_begin", "after_choice", "after_reserve"),
    *("before_settle", "after_settle", "in_artifact", "after_artifact", "in_commit", "after_step"),
    *("after_end", "after_view"),
)
"""Moments of a run at which a kill is tested; see `reach`."""
_visits: Counter[str] = Counter()


def reach(point: str) -> None:
    """Dies here, for the tests, at the visit that ``DATAENV_DIE_AT=point:visit`` names."""
    wanted = os.environ.get("DATAENV_DIE_AT")
    if wanted:
        _visits[point] += 1
        if wanted == f"{point}:{_visits[point]}":
            os.kill(os.getpid(), signal.SIGKILL)


def claim(path: Path) -> IO[str]:
    """A lock that is held until the file is closed or the process ends, however it ends.

    Raises:
        StoreFault: Another process holds it.
    """
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise StoreFault(
            f"{path.parent} is being written by process {holder}; wait for it, stop it, or take "
            "another --out"
        ) from error
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def replace_text(path: Path, text: str) -> None:
    """Writes a view in one piece: whoever reads it finds the old one or the new one."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that is there whole or not at all; see `sync_folder`."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    reach("in_artifact")
    temporary.replace(path)


def sync_folder(folder: Path) -> None:
    """Has the names of files in a folder outlast a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
