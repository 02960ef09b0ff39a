"""A report of runs as one HTML file: it opens from a mail, without a network and without scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from dataenv.errors import ConfigError
from dataenv.runs.leaderboard import conditions_of
from dataenv.runs.view import RunView, read_view
from dataenv.statistics import Interval, difference_interval

TEMPLATE, STYLE = "report.html", "report.css"
TEXT_LIMIT = 600


@dataclass(frozen=True)
class Rival:
    """A run beside the first one of the same target and seed.

    Args:
        view: The run.
        to: Place of the first one, from 1; None if there is none before, or it cannot be compared.
        difference: Its private gain minus the first one's, in points.
        interval: 95% interval of it.
    """

    view: RunView
    to: int | None = None
    difference: float | None = None
    interval: Interval | None = None


def rivals(views: Sequence[RunView]) -> list[Rival]:
    """The runs side by side."""
    first: dict[tuple[str, int], int] = {}
    found = []
    for place, view in enumerate(views):
        to = first.setdefault((view.result["target"], view.result["seed"]), place)
        found.append(Rival(view) if to == place else _rival(view, views[to], to + 1))
    return found


def _rival(view: RunView, other: RunView, place: int) -> Rival:
    mine, theirs = view.result["final"], other.result["final"]
    same = conditions_of(view.result) == conditions_of(other.result)
    if mine["private"] is None or theirs["private"] is None or not same:
        return Rival(view)
    before, after = (Interval(*each["private_interval"]) for each in (theirs, mine))
    found = difference_interval(theirs["private"], before, mine["private"], after)
    points = Interval(100 * found.low, 100 * found.high)
    return Rival(view, place, 100 * (mine["private"] - theirs["private"]), points)


def render(views: Sequence[RunView]) -> str:
    """The report's HTML. All that comes from runs is text in it, whatever it looks like."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"brief": brief, "cut": cut}
    return environment.get_template(TEMPLATE).render(
        views=views, rivals=rivals(views), style=_read(STYLE)
    )


def write_report(folders: Sequence[Path], out: Path) -> None:
    """Writes the report of runs.

    Raises:
        ConfigError: A run cannot be read, or the file not be written.
    """
    text = render([read_view(folder) for folder in folders])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, "utf-8", errors="replace")  # a model may write half a character
    except OSError as error:
        raise ConfigError(f"cannot write the report {out}: {error}") from error


def brief(action: dict[str, Any]) -> str:
    """An action's arguments in a few words."""
    said = {name: value for name, value in action.items() if name != "op" and value != ""}
    return ", ".join(f"{name}: {_brief_value(value)}" for name, value in said.items())


def _brief_value(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} ids" if len(value) > 2 else ", ".join(map(str, value))
    return cut(value if isinstance(value, str) else json.dumps(value), 120)


def cut(text: str, limit: int = TEXT_LIMIT) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _read(name: str) -> str:
    return (files("dataenv.runs") / name).read_text("utf-8")
