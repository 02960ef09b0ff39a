"""Students by name; each is loaded once per process."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from dataenv.students.base import Student

STUDENTS = {"nano-a": "nano_a", "nano-b": "nano_b"}
"""Names of the checkpoints that come with the package, and their folders."""


def student_folder(name: str) -> Path:
    """The checkpoint folder of a name of `STUDENTS`."""
    return Path(str(files(__package__) / STUDENTS[name]))


@lru_cache(maxsize=4)
def load_student(name: str, threads: int = 1) -> Student:
    """A student by name, checkpoint folder or hub id.

    Raises:
        ConfigError: It cannot be loaded; says why.
    """
    from dataenv.config import did_you_mean
    from dataenv.errors import ConfigError

    path = student_folder(name) if name in STUDENTS else name
    slip = f"unknown student {name!r}{did_you_mean(name, list(STUDENTS))}"
    if path == name and "Did you mean" in slip and not Path(name).exists():
        raise ConfigError(slip)  # at once: the hub would keep us waiting for it

    from dataenv.students.local import LocalStudent

    try:
        return LocalStudent(path, name, threads)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot load the student {name!r}: {error}{did_you_mean(name, list(STUDENTS))}"
        ) from error
