"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Args:
        name: What was looked at.
        ok: Whether it is fine; None: it may go wrong, or cannot be known yet.
        detail: What was found.
        fix: What to do about it; empty if it is fine.
    """

    name: str
    ok: bool | None
    detail: str
    fix: str = ""

    @property
    def mark(self) -> str:
        """ok, missing or warning."""
        return {True: "ok", False: "missing", None: "warning"}[self.ok]


def in_units(size: float) -> str:
    """Bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
