"""Operations that keep good rows: verify, filter, dedup, decontaminate."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dataenv.contamination import question_key
from dataenv.errors import InvalidAction
from dataenv.operations.base import DROPS_SHOWN, Effect, Result, Tools, arg, reads_like
from dataenv.operations.writing import read, same_answer, solve_request
from dataenv.rows import Row, WorkingSet
from dataenv.screening import screen
from dataenv.tasks.graders import Grader, get_grader
from dataenv.teachers.base import CallError, Completion
from dataenv.teachers.parsing import BadReply, text_field

SHINGLE = 3


@dataclass(frozen=True)
class Verify:
    """Have rows solved again and drop those whose answer finds no majority. Asking the teacher again
    costs a call a vote; a second teacher and a check by execution cost several."""

    votes: int = arg("New solutions per row.", low=1, high=5, default=1)
    n: int = arg("At most so many rows.", low=1, high=4096, default=4096)
    scope: str = arg(
        "unverified: rows not checked before; all: every row.",
        choices=("unverified", "all"),
        default="unverified",
    )
    topic: str = arg("Only what reads like this topic of the report; empty: any.", default="")
    by: str = arg(
        "Who solves: the teacher, a second one or, for code, execution; the latter are dear.",
        choices=("teacher", "second", "execution"),
        default="teacher",
    )


def verify(op: Verify, rows: WorkingSet, tools: Tools) -> Result:
    """A row stays if at least half of the votes give its answer. Rows without an answer go."""
    wanted = reads_like(op.topic, tools)
    free = [i for i, r in enumerate(rows) if op.scope == "all" or not r.verified]
    chosen = [i for i in free if wanted(rows.rows[i])][: op.n]
    if not chosen:
        raise InvalidAction("there is no row to verify.", "Use scope 'all' to check rows again.")
    before = tools.broker.used
    requests = [solve_request(rows.rows[i], tools) for i in chosen for _ in range(op.votes)]
    replies = tools.broker.complete(requests, op.by)
    checked: dict[int, Row | None] = {}
    dropped = []
    for place, index in enumerate(chosen):
        row = rows.rows[index]
        votes = replies[place * op.votes : (place + 1) * op.votes]
        agree = sum(_agrees(row, reply, tools) for reply in votes)
        if 2 * agree >= op.votes and agree:
            checked[index] = _marked(row, f"verify by {op.by} {agree}/{op.votes}")
        else:
            checked[index] = None
            dropped.append((row.id, f"{agree} of {op.votes} new solutions agree"))
    kept = [checked.get(i, row) for i, row in enumerate(rows)]
    calls = tools.broker.used - before
    left = tuple(row for row in kept if row is not None)
    return WorkingSet(left, rows.sequential), Effect("verify", 0, tuple(dropped), calls)


def _agrees(row: Row, reply: Completion | CallError, tools: Tools) -> bool:
    try:
        return same_answer(text_field(read(reply), "output"), row.output, tools)
    except BadReply:
        return False


def _marked(row: Row, check: str) -> Row:
    origin = dataclasses.replace(row.provenance, checks=(*row.provenance.checks, check))
    return dataclasses.replace(row, provenance=origin)


@dataclass(frozen=True)
class Filter:
    """Drop rows that break the format: no readable answer, too long, or too short."""

    max_tokens: int = arg("Longest row, in the student's tokens.", low=8, high=8192, default=256)
    min_words: int = arg("Fewest words of a question.", low=1, high=100, default=2)


def filter_rows(op: Filter, rows: WorkingSet, tools: Tools) -> Result:
    """The first reason that applies is given."""
    grader = get_grader(tools.task.grader)
    return _drop_by(
        "filter", rows, [format_problem(op, row, grader, tools.count_tokens) for row in rows]
    )


def format_problem(
    op: Filter, row: Row, grader: Grader | None, count_tokens: Callable[[str], int]
) -> str:
    """Why a row is dropped, empty if it is not; without a grader any answer is readable."""
    if grader and grader.extract(row.output) is None:
        return "no readable answer"
    if len(row.prompt.split()) < op.min_words:
        return "question too short"
    tokens = count_tokens(row.prompt) + count_tokens(row.output)
    return "too long" if tokens > op.max_tokens else ""


@dataclass(frozen=True)
class Dedup:
    """Drop repeated rows: the same question again (exact), or nearly so (near)."""

    level: str = arg(
        "exact: the same question; near: most of the same three-word pieces, numbers included.",
        choices=("exact", "near"),
        default="exact",
    )
    threshold: float = arg("near: share of pieces in common.", low=0.5, high=1.0, default=0.9)


def dedup(op: Dedup, rows: WorkingSet, tools: Tools) -> Result:
    """The first of equal rows stays."""
    found = twins(rows, op.threshold if op.level == "near" else None)
    return _drop_by("dedup", rows, [f"repeats row {twin}" if twin else "" for twin in found])


def twins(rows: Iterable[Row], near: float | None = None) -> list[str | None]:
    """The id of the earlier row whose question each row asks again, or None.

    Args:
        rows: In order.
        near: Share of three-word pieces in common, 0.5 to 1, from which two questions are the same;
            None: only equal ones are.
    """
    keys = [(row.id, question_key(row.prompt)) for row in rows]
    seen: dict[tuple[str, ...], str] = {}
    index = _NearIndex(near, [words for _, words in keys]) if near else None
    found = []
    for name, words in keys:
        twin = seen.get(words)
        if twin is None and index:
            twin = index.twin(name, words)
        found.append(twin)
        seen.setdefault(words, name)
    return found


class _NearIndex:
    """Finds the first question that shares enough pieces with another.

    Two sets with a Jaccard index of t or more share one of the rarest |x| - ceil(t |x|) + 1 pieces
    of each (prefix filter, Chaudhuri et al. 2006), so only those are looked up.

    Args:
        share: t.
        texts: Words of all questions that will be asked about; they tell which pieces are rare.
    """

    def __init__(self, share: float, texts: Iterable[tuple[str, ...]]) -> None:
        self._share = share
        self._counts = Counter(piece for words in texts for piece in _pieces(words))
        self._kept: list[tuple[str, frozenset]] = []
        self._places: dict[tuple[str, ...], list[int]] = {}

    def twin(self, name: str, words: tuple[str, ...]) -> str | None:
        """The first that is nearly the same; if there is none, this one is kept for later."""
        own = _pieces(words)
        rare = sorted(own, key=lambda piece: (self._counts[piece], piece))
        rare = rare[: len(own) - math.ceil(self._share * len(own) - 1e-9) + 1]
        for place in sorted({i for piece in rare for i in self._places.get(piece, ())}):
            earlier, other = self._kept[place]
            if _jaccard(own, other) >= self._share:
                return earlier
        for piece in rare:
            self._places.setdefault(piece, []).append(len(self._kept))
        self._kept.append((name, own))
        return None


def _pieces(words: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    """All runs of `SHINGLE` words; of a shorter text, the whole."""
    runs = zip(*(words[k:] for k in range(SHINGLE)), strict=False)
    return frozenset(runs) or frozenset([words])


def _jaccard(one: frozenset, other: frozenset) -> float:
    return len(one & other) / len(one | other)


@dataclass(frozen=True)
class Decontaminate:
    """Drop rows that repeat public items. Training does so in any case; this shows them early."""


def decontaminate(op: Decontaminate, rows: WorkingSet, tools: Tools) -> Result:
    """Names the public item that each dropped row repeats, and those that others may repeat."""
    found = screen(rows, tools.overlap)
    shown = (("suspects", found.suspects[:DROPS_SHOWN]),)
    return found.kept, Effect("decontaminate", 0, found.dropped, shown=shown)


def _drop_by(name: str, rows: WorkingSet, reasons: list[str]) -> Result:
    dropped = tuple((row.id, why) for row, why in zip(rows, reasons, strict=True) if why)
    return rows.kept(not why for why in reasons), Effect(name, 0, dropped)
