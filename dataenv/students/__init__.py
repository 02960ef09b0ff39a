"""Students by name; each is loaded once per process."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from dataenv.students.base import Student

STUDENTS = {"nano-a": "nano_a"}
"""Names of the checkpoints that come with the package, and their folders."""


@lru_cache(maxsize=4)
def load_student(name: str, threads: int = 1) -> Student:
    """A student by name, checkpoint folder or hub id.

    Raises:
        ConfigError: It cannot be loaded; says why.
    """
    from dataenv.config import did_you_mean
    from dataenv.errors import ConfigError
    from dataenv.students.local import LocalStudent

    path = str(files(__package__) / STUDENTS[name]) if name in STUDENTS else name
    try:
        return LocalStudent(path, name, threads)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot load the student {name!r}: {error}{did_you_mean(name, list(STUDENTS))}"
        ) from error
