"""Where the lines of a report's pictures go; the template draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 480, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 16, 20, 28
TRACK = 120


@dataclass(frozen=True)
class Mark:
    """An evaluation in the plot. `x`, `y`, `low` and `high` are its places."""

    name: str
    score: float
    x: float
    y: float
    low: float
    high: float
    is_submitted: bool


@dataclass(frozen=True)
class Level:
    """A line across the plot. Its label stands where scores tend not to be: see `anchor`."""

    name: str
    kind: str
    y: float
    x: float
    anchor: str


@dataclass(frozen=True)
class Plot:
    """Scores over evaluations.

    Args:
        marks: The evaluations.
        levels: Private scores.
        grid: (label, place) of the axis.
    """

    marks: tuple[Mark, ...]
    levels: tuple[Level, ...]
    grid: tuple[tuple[str, float], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT

    @property
    def points(self) -> str:
        """The line through the marks."""
        return " ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in self.marks)


@dataclass(frozen=True)
class Track:
    """A score before and after, on a line of `TRACK` units."""

    before: float
    after: float
    kind: str
    width: int = TRACK


def plot_of(
    evaluations: Sequence[dict[str, Any]], result: dict[str, Any], submitted: int | None
) -> Plot:
    """The plot of a run.

    Args:
        evaluations: Reports, oldest first.
        result: The content of ``result.json``.
        submitted: The number of the evaluation that was submitted.
    """
    step = (WIDTH - _LEFT - _RIGHT - 40) / max(1, len(evaluations) - 1)
    marks = [
        Mark(
            "base" if each["evaluation"] == 0 else str(each["evaluation"]),
            each["score"],
            _LEFT + 20 + place * step,
            _y(each["score"]),
            _y(each["interval"][0]),
            _y(each["interval"][1]),
            each["evaluation"] == submitted,
        )
        for place, each in enumerate(evaluations)
    ]
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    grid = [(f"{tick:.2f}", _y(tick)) for tick in ticks]
    return Plot(tuple(marks), tuple(_levels(result)), tuple(grid))


def _levels(result: dict[str, Any]) -> list[Level]:
    places = {"base": (WIDTH - _RIGHT - 4, "end"), "final": (_LEFT + 4, "start")}
    return [
        Level(f"private, {name} {result[name]['private']:.3f}", name, y, x, anchor)
        for name, (x, anchor) in places.items()
        if result[name]["private"] is not None
        for y in [_y(result[name]["private"])]
    ]


def track_of(before: float, after: float) -> Track:
    """A change of a score, drawn."""
    kind = "rose" if after > before else "fell" if after < before else "same"
    return Track(6 + before * (TRACK - 12), 6 + after * (TRACK - 12), kind)


def _y(score: float) -> float:
    return _TOP + (1 - score) * (HEIGHT - _TOP - _BOTTOM)
