"""The leaderboard as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dataenv.statistics import Interval

if TYPE_CHECKING:
    from dataenv.runs.leaderboard import Board, Difference, Standing

HOW = (
    "gain: mean private gain in points [95% interval, bootstrap over targets]; differences are "
    "paired, on the same target and seed; ± is the smallest true difference that so many pairs would "
    "show in 80% of cases. rank: one more than the number of controllers that are better beyond "
    "doubt (paired bootstrap of every two controllers, Holm's correction, 5%): who shares a rank "
    "cannot be told apart. Without a rank: references, unsafe and unisolated runs, those that a "
    "surrogate has scored, and whatever has no run on another's target and seed."
)


def board_text(board: Board) -> str:
    """A board in Markdown, with how it was ranked."""
    others = list(dict.fromkeys(d.to for s in board.standings for d in s.against))
    axes = list(dict.fromkeys(axis for each in board.standings for axis in each.cost))
    head = ["rank", "controller", "runs", "targets", "gain", *(f"minus {o}" for o in others)]
    head += ["MATS", *axes, "flags"]
    lines = [_line(each, others, axes) for each in board.standings]
    limits = ", ".join(f"{axis} {limit:g}" for axis, limit in board.budgets.items())
    apart = "; ".join(f"{better} > {worse}" for better, worse in board.told_apart) or "none"
    title = f"## {board.title} (worlds {board.worlds or 'none'}, conditions {board.conditions})"
    told = f"Told apart, of {board.comparisons} comparisons: {apart}."
    return "\n\n".join([title, f"Budgets: {limits}.", markdown(head, lines), told])


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _line(standing: Standing, others: Sequence[str], axes: Sequence[str]) -> list[str]:
    against = {each.to: each for each in standing.against}
    return [
        "-" if standing.rank is None else str(standing.rank),
        standing.policy,
        str(standing.runs),
        str(standing.targets),
        points(standing.gain, standing.interval),
        *(_difference(against.get(other)) for other in others),
        "-" if standing.mats is None else f"{standing.mats:.2f}",
        *(_amount(standing.cost.get(axis)) for axis in axes),
        ", ".join(f"{flag} {n}/{standing.runs}" for flag, n in standing.flags),
    ]


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _difference(found: Difference | None) -> str:
    if found is None or found.mean is None:
        return "-"
    seen = "" if found.detectable is None else f", ± {found.detectable:.1f}"
    return f"{points(found.mean, found.interval)}, n = {found.n}{seen}"


def points(mean: float, interval: Interval | None = None) -> str:
    """A gain or a difference, in points, with its interval if it has one."""
    spread = "" if interval is None else f" [{interval.low:+.1f}, {interval.high:+.1f}]"
    return f"{mean:+.1f}{spread}"
