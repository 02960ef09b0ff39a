"""Which rows of a set may be trained on: one function, applied by `decontaminate` early, in training
always."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dataenv.contamination import OverlapIndex
from dataenv.rows import Row, WorkingSet

ROWS_PER_CALL = 8
"""Different rows that one teacher call may account for. More of them are a program's, not a teacher's."""


@dataclass(frozen=True)
class Screened:
    """A set that has been looked through.

    Args:
        kept: What may be trained on.
        dropped: (row id, reason) of the rest.
        repeats: How many of those are public items in disguise.
        suspects: (row id, item id) of kept rows that share a long run of words with a public item.
    """

    kept: WorkingSet
    dropped: tuple[tuple[str, str], ...] = ()
    repeats: int = 0
    suspects: tuple[tuple[str, str], ...] = ()


def screen(rows: WorkingSet, overlap: OverlapIndex) -> Screened:
    """Looks a set through.

    Args:
        rows: In order: of a call that accounts for too many, the first stay.
        overlap: Finds public items.
    """
    found = [overlap.find(row) for row in rows]
    counted: Counter[str] = Counter()
    reasons = [
        f"repeats public item {item}" if item else _crowded(row, counted)
        for row, item in zip(rows, found, strict=True)
    ]
    kept = rows.kept(not why for why in reasons)
    named = ((row.id, overlap.suspect(row)) for row in kept)
    return Screened(
        kept,
        tuple((row.id, why) for row, why in zip(rows, reasons, strict=True) if why),
        sum(item is not None for item in found),
        tuple((row, item) for row, item in named if item),
    )


def _crowded(row: Row, counted: Counter[str]) -> str:
    """Why a row is one too many of its calls, empty if it is not; counts it if it stays."""
    calls = set(row.provenance.calls)
    full = sorted(call for call in calls if counted[call] >= ROWS_PER_CALL)
    if full:
        return f"teacher call {full[0]} accounts for {ROWS_PER_CALL} rows already"
    counted.update(calls)
    return ""
