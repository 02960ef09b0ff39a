"""Which of the rows that a program prints become the working set, and why the others do not."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from dataenv.attribution import ECHOED, OWN, PROGRAM, Source, origins
from dataenv.contamination import OverlapIndex
from dataenv.rows import Provenance, Row, WorkingSet
from dataenv.screening import screen
from dataenv.submission import BadRow, read_entry
from dataenv.tasks.base import Task

SPARE = 2
"""Rows that are taken, for each that training uses."""
LINES = 100_000
"""Lines that are looked at."""
NAMED = 2_000
"""Rejected rows that are named; all are counted."""
OWN_SHARE = 0.1
"""Share of the accepted rows that the program may have written itself."""
TALK_LINES = 200
_WHY = {
    ECHOED: "its answer was there before, but not as the answer to this question",
    **dict.fromkeys(OWN[1:], "no teacher call, seed, pool row or earlier row accounts for it"),
}
_BOM = b"\xef\xbb\xbf"
_MEANT = re.compile(rb"""\{\s*["}]|\[\s*[\[{"]|\[\s*\]\s*\S|\{'.*'output'""")


@dataclass(frozen=True)
class Accepted:
    """What was taken of a program's rows.

    Args:
        rows: The new set.
        dropped: (line or row id, reason) of the first rows that were not taken.
        rejected: How many were not.
    """

    rows: WorkingSet
    dropped: tuple[tuple[str, str], ...]
    rejected: int

    @property
    def own(self) -> int:
        """Accepted rows that nothing accounts for."""
        return sum(row.provenance.operation in OWN for row in self.rows)


def parted(output: bytes) -> tuple[list[bytes], str]:
    """Lines that are meant as rows, since they begin as JSON does, or are a row as Python prints it; and
    the end of the others."""
    rows, talk = [], []
    for line in output.splitlines():
        bare = line.strip().removeprefix(_BOM)
        if _MEANT.match(bare):
            rows.append(line)
        elif bare:
            talk.append(line)
    return rows, b"".join(line + b"\n" for line in talk[-TALK_LINES:]).decode("utf-8", "replace")


def accept(
    lines: Sequence[bytes],
    calls: Sequence[Source],
    earlier: Sequence[WorkingSet],
    task: Task,
    overlap: OverlapIndex,
    max_rows: int,
    step: int,
) -> Accepted:
    """Looks through what a program has printed.

    Args:
        lines: That are meant as rows.
        calls: What the program asked the teacher, and was told.
        earlier: The sets that were evaluated, and the working set before.
        task: Whose seeds, pool and public items it was shown.
        overlap: Finds public items.
        max_rows: Rows that training uses.
        step: Number of the step.
    """
    drafts, dropped = _read(lines, SPARE * max_rows)
    held = {row.id: row for rows in earlier for row in rows}
    known = {row.id: row for row in map(partial(_drawn, step), task.pool)} | held
    found = origins(drafts, calls, _material(held.values(), task), step)
    asked = {key: call.question for call in calls for key in call.calls}
    rows = [
        known.get(row.id) or _marked(dataclasses.replace(row, provenance=origin), asked, overlap)
        for row, origin in zip(drafts, found, strict=True)
    ]
    screened = screen(WorkingSet(tuple(rows)), overlap)
    kept, own = _few_of_its_own(screened.kept)
    dropped += [*screened.dropped, *own]
    return Accepted(kept, tuple(dropped[:NAMED]), len(lines) - len(kept))


def _drawn(step: int, row: Row) -> Row:
    return dataclasses.replace(row, provenance=dataclasses.replace(row.provenance, step=step))


def _read(lines: Sequence[bytes], most: int) -> tuple[list[Row], list[tuple[str, str]]]:
    """The rows of lines, each once, and what is wrong with the others."""
    rows: dict[str, Row] = {}
    dropped = []
    for number, line in enumerate(lines[:LINES], 1):
        try:
            if len(rows) >= most:
                raise BadRow(f"{most} rows are taken at most")
            row = read_entry(line, Provenance(PROGRAM))
            if row.id in rows:
                raise BadRow("repeats an earlier line")
            rows[row.id] = row
        except BadRow as error:
            dropped.append((f"line {number}", str(error)))
    return list(rows.values()), dropped


def _material(earlier: Iterable[Row], task: Task) -> list[Source]:
    rows = (*earlier, *task.pool, *task.few_shot)
    held = [Source(r.prompt, r.output, r.provenance.calls, (r.id,)) for r in rows]
    items = (*task.seeds, *task.public)
    return [*held, *(Source(item.prompt, "", (), (item.id,)) for item in items)]


def _marked(row: Row, asked: dict[str, str], overlap: OverlapIndex) -> Row:
    """A row, with the public item that one of its calls was told and gave back."""
    told = "\n".join(asked[key] for key in row.provenance.calls if key in asked)
    item = overlap.returned(told, row) if told else None
    origin = dataclasses.replace(row.provenance, repeats=item or "")
    return dataclasses.replace(row, provenance=origin)


def _few_of_its_own(rows: WorkingSet) -> tuple[WorkingSet, list[tuple[str, str]]]:
    """Rows that nothing accounts for stay up to a share of the set, the first of them."""
    own = [row.provenance.operation in OWN for row in rows]
    room = int((len(rows) - sum(own)) * OWN_SHARE / (1 - OWN_SHARE))
    keep, dropped = [], []
    for row, is_own in zip(rows, own, strict=True):
        room -= is_own
        keep.append(not is_own or room >= 0)
        if not keep[-1]:
            dropped.append((row.id, _WHY[row.provenance.operation]))
    return rows.kept(keep), dropped
