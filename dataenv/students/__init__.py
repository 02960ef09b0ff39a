"""Students by name; each is loaded once per process."""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from dataenv.config import did_you_mean
from dataenv.errors import ConfigError
from dataenv.presets import SURROGATE, EnvConfig
from dataenv.students.base import Student

if TYPE_CHECKING:
    from dataenv.students.local import LocalStudent

STUDENTS = {"nano-a": "nano_a", "nano-b": "nano_b", "nano-c": "nano_c"}
"""Names of the checkpoints that come with the package, and their folders."""
HELD_OUT = frozenset({"nano-c"})
"""Those that nothing is learned on, so that they tell whether what was learned holds for another."""


def student_folder(name: str) -> Path:
    """The checkpoint folder of a name of `STUDENTS`."""
    return Path(str(files(__package__) / STUDENTS[name]))


@lru_cache(maxsize=4)
def load_student(
    name: str,
    threads: int = 1,
    device: str = "auto",
    dtype: str = "auto",
    attention: str = "auto",
) -> LocalStudent:
    """A student by name, checkpoint folder or hub id.

    Args:
        name: One that ships, one that was fetched, a folder, or a hub id.
        threads: How many cores share its batches.
        device, dtype, attention: See `dataenv.students.placement.place`.

    Raises:
        ConfigError: It cannot be loaded; says why.
    """
    from dataenv.students.local import LocalStudent

    path = path_of(name)
    try:
        student = LocalStudent(path, name, threads, device, dtype, attention)
    except ConfigError:
        raise
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise ConfigError(
            f"cannot load the student {name!r}: {error}{did_you_mean(name, list(STUDENTS))}"
        ) from error
    logging.getLogger(__name__).info("student %s: %s", name, student.placement)
    return student


def path_of(name: str) -> str | Path:
    """The folder of a known name; others are folders or hub ids themselves.

    Raises:
        ConfigError: It looks like a known name misspelt, or has not been fetched yet.
    """
    from dataenv.students.fetch import ORIGINS, fetched_folder

    if name in STUDENTS:
        return student_folder(name)
    if name in ORIGINS:
        return fetched_folder(name)
    slip = f"unknown student {name!r}{did_you_mean(name, [*STUDENTS, *ORIGINS])}"
    if "Did you mean" in slip and not Path(name).exists():
        raise ConfigError(slip)  # at once: the hub would keep us waiting for it
    return name


def student_of(config: EnvConfig) -> Student:
    """The student of a configuration; if an endpoint is named, it answers there.

    Raises:
        ConfigError: It cannot be loaded; says why.
    """

    def load() -> LocalStudent:
        placed = config.threads, config.device, config.dtype, config.attention
        return load_student(config.student, *placed)

    if config.laboratory == SURROGATE:
        from dataenv.surrogate.student import PredictedStudent

        return PredictedStudent(config, load)
    student = load()
    if config.student_endpoint.base_url:
        from dataenv.students.served import ServedStudent

        return ServedStudent(student, config.student_endpoint)
    return student
