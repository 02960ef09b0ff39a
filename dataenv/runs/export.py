"""A finished run as what others can use: the student, and the data set it was trained on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataenv.config import from_mapping
from dataenv.contamination import OverlapIndex
from dataenv.env import DataEnv
from dataenv.errors import ConfigError
from dataenv.laboratory import Cache, Laboratory
from dataenv.lock import name_of_worlds
from dataenv.naming import public_name
from dataenv.presets import EnvConfig
from dataenv.rows import Row, WorkingSet
from dataenv.runs.cards import Story, dataset_card, student_card
from dataenv.runs.folder import RESULT
from dataenv.runs.results import check_measured, read_runs, require_fields
from dataenv.runs.runner import versions
from dataenv.students.base import Student
from dataenv.submission import SUBMISSION_ROWS, read_rows
from dataenv.world import task_of

STUDENT, DATASET = "student", "dataset"
"""Folders of an export."""
TABLE = "data/train-00000-of-00001.parquet"
_ADAPTER = "adapter_config.json"
_NEEDED = ("config", "final", "key", "submission", "target", "target_number", "versions", "worlds")


@dataclass(frozen=True)
class Run:
    """A finished run, as its folder has it.

    Args:
        folder: Where.
        result: The content of ``result.json``.
        config: Of the environment.
        submission: What was submitted.
    """

    folder: Path
    result: dict[str, Any]
    config: EnvConfig
    submission: WorkingSet


def export_run(
    folder: Path, out: Path, *, license: str = "unknown", verify: bool = True
) -> list[Path]:
    """Trains the student of a run again and writes it, with its data set, for an upload to a hub.

    Args:
        folder: Of the run.
        out: A folder that is empty or not there; it gets ``student`` and ``dataset``.
        license: An id such as ``apache-2.0``, for both cards.
        verify: Whether the student must score as it did in the run.

    Returns:
        The two folders.

    Raises:
        ConfigError: `out` is not empty, the run cannot be read or has no student of its own, or the
            student is not the same as in the run.
    """
    _check_target(out, license)
    run = read_run(folder)
    student = DataEnv(config=run.config).student
    laboratory = _laboratory(run, student)
    trained = laboratory.train(run.submission)
    if trained.weights is None:
        reason = trained.diverged or "all of its rows repeat public items"
        raise ConfigError(f"{folder}: training left the base as it was ({reason})")
    if verify:
        _verify(run, laboratory)
    story = _story(run, laboratory, license, verify)
    student.save(trained, out / STUDENT)
    has_adapter = _forget_place(out / STUDENT / _ADAPTER, run.config.student)
    _write_text(out / STUDENT / "README.md", student_card(story, has_adapter))
    _write_table(run.submission, out / DATASET / TABLE)
    _write_text(out / DATASET / "README.md", dataset_card(story, run.submission))
    return [out / STUDENT, out / DATASET]


def read_run(folder: Path) -> Run:
    """Reads a run folder.

    Raises:
        ConfigError: It holds no finished run, one of another version, or one without a submission.
    """
    (found,) = read_runs([folder])
    require_fields(found, _NEEDED, str(folder / RESULT))
    check_measured(found, f"the run in {folder}")
    result = dict(found)
    rows = read_rows(folder / SUBMISSION_ROWS)
    if not rows:
        flags = ", ".join(result.get("flags", ())) or "no flags"
        raise ConfigError(f"{folder}: nothing was submitted ({flags}), so nothing can be exported")
    config = from_mapping(EnvConfig, result["config"])
    return Run(folder, result, config, _as_submitted(rows, result["submission"]))


def _as_submitted(rows: tuple[Row, ...], digest: str) -> WorkingSet:
    """The set of that hash, which tells whether its order was fixed."""
    ordered = WorkingSet(rows, sequential=True)
    return ordered if ordered.digest == digest else WorkingSet(rows)


def _check_target(out: Path, license: str) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there and not an empty folder; name another")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", license):
        raise ConfigError(f"license must be an id such as apache-2.0, got {license!r}")


def _laboratory(run: Run, student: Student) -> Laboratory:
    """What the run was trained and scored in."""
    task = task_of(run.config, run.result["target_number"])
    overlap, seconds = OverlapIndex(task, task.public), dict.fromkeys(("train", "decode"), 0.0)
    return Laboratory(student, run.config, task, run.result["key"], overlap, Cache(), seconds)


def _story(run: Run, laboratory: Laboratory, license: str, verified: bool) -> Story:
    used, contaminated = laboratory.training_rows(run.submission)
    description = laboratory.task.description
    return Story(run.result, run.config, license, verified, description, len(used), contaminated)


def _verify(run: Run, laboratory: Laboratory) -> None:
    result, rows = run.result, run.submission
    private = result["final"]["private"] is not None
    score = (laboratory.private(rows) if private else laboratory.scores(rows).public).score
    split = "private" if private else "public"
    different = _differences(
        [
            ("the hash of the rows", result["submission"], rows.digest),
            ("the target", result["target"], laboratory.task.target),
            (f"the {split} score", result["final"][split], score),
        ]
    )
    if different:
        raise ConfigError(
            f"{run.folder}: not the student of the run: {'; '.join(different + _circumstances(run))}. "
            "Use the versions of the run, or --no-verify to export what there is"
        )


def _circumstances(run: Run) -> list[str]:
    """What else is not as it was, and may be the reason."""
    now, then = versions(), run.result["versions"]
    pairs = [(f"the version of {name}", then.get(name), now[name]) for name in now]
    worlds = run.result["worlds"]
    return _differences([*pairs, ("worlds.lock", worlds, worlds and name_of_worlds())])


def _differences(pairs: list[tuple[str, Any, Any]]) -> list[str]:
    return [f"{what} was {old!r} and is {new!r}" for what, old, new in pairs if old != new]


def _forget_place(path: Path, student: str) -> bool:
    """Names the base of an adapter as others may know it; False if there is no adapter."""
    if not path.exists():
        return False
    content = json.loads(path.read_text("utf-8"))
    content["base_model_name_or_path"] = public_name(student)
    _write_text(path, json.dumps(content, indent=2) + "\n")
    return True


def _write_table(rows: WorkingSet, path: Path) -> None:
    from datasets import disable_progress_bars, enable_progress_bars

    path.parent.mkdir(parents=True, exist_ok=True)
    disable_progress_bars()
    table: Any = rows.to_dataset()
    table = table.add_column("operation", [row.provenance.operation for row in rows])
    table = table.add_column("checks", ["; ".join(row.provenance.checks) for row in rows])
    table.to_parquet(path)
    enable_progress_bars()


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
