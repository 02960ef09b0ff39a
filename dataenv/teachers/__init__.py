"""Teachers: who writes and solves problems. `TEACHERS` lists the built-in ones."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dataenv.config import did_you_mean
from dataenv.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from dataenv.presets import EnvConfig
    from dataenv.teachers.base import Teacher

SERVED = "openai"
"""The name of a teacher behind an endpoint."""
TEACHERS: dict[str, dict[str, float]] = {
    "procedural": {},
    SERVED: {},
    "procedural-exact": {
        "accuracy": 1.0,
        "weak_share": 0.0,
        **dict.fromkeys(("format_slip", "off_topic", "over_hard", "repeat", "chatty"), 0.0),
    },
}
"""By name: error rates, where they differ from those of `TeacherProfile`; a served one has none."""


def teacher_rates(name: str) -> dict[str, float]:
    """The error rates of a built-in teacher.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name not in TEACHERS:
        raise UnknownNameError(f"unknown teacher {name!r}{did_you_mean(name, list(TEACHERS))}")
    return dict(TEACHERS[name])


def in_process(name: str) -> bool:
    """Whether a teacher answers within this process, so that nobody has seen a call that died with it."""
    return name != SERVED


def served_teacher(config: EnvConfig, keyless: bool = False) -> Teacher:
    """The teacher behind the endpoint of a configuration, or the tape of one.

    Args:
        config: Of the environment.
        keyless: It will not be asked, and needs no key.

    Raises:
        ConfigError: The endpoint names no model, a key is missing, or there is no such tape.
    """
    from dataenv.teachers.openai import OpenAITeacher
    from dataenv.teachers.tape import Tape

    if config.tape_mode == "replay" and not config.tape:
        raise ConfigError("tape_mode='replay' needs a tape: name its file")
    teacher = OpenAITeacher(config.endpoint, keyless or config.tape_mode == "replay")
    if not config.tape:
        return teacher
    asked = asdict(config.endpoint)
    settings = [
        asked[name] for name in ("base_url", "max_tokens", "temperature", "seeded", "extra")
    ]
    return Tape(teacher, Path(config.tape), config.tape_mode, settings)
