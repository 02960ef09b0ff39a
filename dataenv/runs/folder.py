"""The folder of a run: what it was started with, and whether it may be written to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dataenv.errors import ConfigError
from dataenv.lock import differences
from dataenv.runs.store import DATABASE, RunStore
from dataenv.submission import SUBMISSION, SUBMISSION_ROWS

RESULT, STEPS, PICTURE = "result.json", "steps.jsonl", "scores.png"
TRANSCRIPT, DECISIONS = "transcript.jsonl", "decisions.json"
CHANNEL = "channel"
"""What the plan of a run that is stepped from outside says beside that of a policy's; see
`dataenv.runs.stepping`."""


def read_plan(folder: Path) -> dict[str, Any]:
    """The plan of the run in a folder.

    Raises:
        ConfigError: There is none.
        StoreFault: Another process runs it, or it cannot be read.
    """
    if (folder / DATABASE).exists():
        with RunStore(folder) as store:
            begun = store.last("run")
        if begun:
            return begun.data
    raise ConfigError(f"there is no run in {str(folder)!r} to resume; start it with --out {folder}")


def is_unfinished(folder: Path) -> bool:
    """Whether a folder holds a run that can go on."""
    if not (folder / DATABASE).exists():
        return False
    with RunStore(folder) as store:
        return store.last("begin") is not None and store.last("end") is None


def holds_run(folder: Path) -> bool:
    """Whether a run was started in a folder, wherever it stands."""
    if not (folder / DATABASE).exists():
        return False
    with RunStore(folder) as store:
        return store.last("run") is not None


def open_run(folder: Path, plan: dict[str, Any], resume: bool) -> RunStore:
    """The store of a new run, or of one that goes on.

    Raises:
        ConfigError: See `run_to_folder`.
        StoreFault: Another process runs it, or it cannot be written.
    """
    if resume:
        changed = differences(read_plan(folder), plan)
        if changed:
            raise ConfigError(
                f"the run in {str(folder)!r} was started with other settings: {'; '.join(changed)}; "
                "leave them as they were, or take another --out"
            )
        return RunStore(folder)
    store = RunStore(folder)
    try:
        if store.last("begin") and not store.last("end"):  # what never began is not missed
            raise ConfigError(
                f"the run in {str(folder)!r} is not finished: go on with `{_going_on(store)}`, or "
                "take another folder, or remove this one"
            )
        views = (RESULT, STEPS, SUBMISSION, SUBMISSION_ROWS, PICTURE, TRANSCRIPT, DECISIONS)
        for view in views:
            (folder / view).unlink(missing_ok=True)
        store.restart("run", plan)
    except BaseException:
        store.close()
        raise
    return store


def _going_on(store: RunStore) -> str:
    begun = store.last("run")
    stepped = begun is not None and CHANNEL in begun.data
    return f"dataenv {'step' if stepped else 'run --resume'} {store.folder}"
