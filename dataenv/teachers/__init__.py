"""Teachers: who writes and solves problems. `TEACHERS` lists the built-in ones."""

from __future__ import annotations

from dataenv.config import did_you_mean
from dataenv.errors import UnknownNameError

TEACHERS: dict[str, dict[str, float]] = {
    "procedural": {},
    "procedural-exact": {
        "accuracy": 1.0,
        "weak_share": 0.0,
        **dict.fromkeys(("format_slip", "off_topic", "over_hard", "repeat", "chatty"), 0.0),
    },
}
"""Error rates by name, where they differ from those of `TeacherProfile`."""


def teacher_rates(name: str) -> dict[str, float]:
    """The error rates of a built-in teacher.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name not in TEACHERS:
        raise UnknownNameError(f"unknown teacher {name!r}{did_you_mean(name, list(TEACHERS))}")
    return dict(TEACHERS[name])
