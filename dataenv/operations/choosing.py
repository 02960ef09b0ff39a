"""Operations on which rows are trained and in what order: select, rebalance, order, drop, revert."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dataenv.contamination import normalised_words
from dataenv.errors import InvalidAction
from dataenv.hashing import rng_of
from dataenv.operations.base import Effect, Result, Tools, arg, reads_like
from dataenv.rows import WorkingSet
from dataenv.topics import words


@dataclass(frozen=True)
class Select:
    """Keep the n best rows by a criterion and drop the rest."""

    n: int = arg("How many rows to keep.", low=1, high=10_000)
    by: str = arg(
        "random; diversity: rows unlike those kept already; low_loss or high_loss: what the newest "
        "student finds easy or hard; verified: checked rows first; importance: words that are "
        "commoner in public items than in the set; gradient: rows that change the newest student "
        "as the public items would; representation: rows that the newest student reads as it reads a "
        "public item; ifd: answers with which the question helps the newest student least, but helps.",
        choices=(
            "random",
            "diversity",
            "low_loss",
            "high_loss",
            "verified",
            "importance",
            "gradient",
            "representation",
            "ifd",
        ),
        default="random",
    )


def select(op: Select, rows: WorkingSet, tools: Tools) -> Result:
    """Kept rows stay in their order."""
    if not len(rows):
        raise InvalidAction("the set is empty.", "Generate or label rows first.")
    if op.by == "diversity":
        ranked = _diverse(rows, op.n)
    else:
        scores = _scores(op.by, rows, tools)
        ranked = sorted(range(len(rows)), key=lambda i: (scores[i], i))
    keep = set(ranked[: op.n])
    dropped = tuple((r.id, f"not selected by {op.by}") for i, r in enumerate(rows) if i not in keep)
    return rows.kept(i in keep for i in range(len(rows))), Effect("select", 0, dropped)


def _scores(by: str, rows: WorkingSet, tools: Tools) -> list[float]:
    if by == "verified":
        return [0.0 if row.verified else 1.0 for row in rows]
    if by == "random":
        rng = rng_of("select", tools.key, rows.digest)
        return [rng.random() for _ in rows]
    if by == "importance":
        prompts = [row.prompt for row in rows]
        return [-each for each in importance(prompts, [i.prompt for i in tools.task.public])]
    if by == "gradient":
        return [-each for each in tools.row_influences(rows)]
    if by == "representation":
        return [-each for each in tools.row_likeness(rows)]
    if by == "ifd":
        return [_instructive(each) for each in tools.row_ifd(rows)]
    losses = tools.row_losses(rows)
    return losses if by == "low_loss" else [-loss for loss in losses]


def _instructive(ifd: float) -> float:
    """Ranks by the ratio of losses, the highest first; from 1 on, where a question and its answer do
    not belong together, after all others, the lowest first (Li et al., 2024)."""
    if math.isnan(ifd):  # nothing of the answer fits beside the question
        return math.inf
    return -ifd if ifd < 1 else ifd


def importance(texts: Sequence[str], wanted: Sequence[str]) -> list[float]:
    """Mean log-ratio per word of a text: wanted against present (Xie et al., 2023, DSIR).

    Both are bags of words and of neighbouring pairs, with add-one smoothing; the mean, not the sum,
    so that long texts are not preferred.
    """
    bags = [_grams(text) for text in texts]
    here = Counter(gram for bag in bags for gram in bag)
    there = Counter(gram for text in wanted for gram in _grams(text))
    kinds = len(here | there)
    shift = math.log((here.total() + kinds) / (there.total() + kinds))
    ratios = {gram: math.log((there[gram] + 1) / (here[gram] + 1)) + shift for gram in here}
    return [sum(ratios[gram] for gram in bag) / max(1, len(bag)) for bag in bags]


def _grams(text: str) -> list[str]:
    found = words(text)
    return [*found, *(f"{left} {right}" for left, right in itertools.pairwise(found))]


def _diverse(rows: WorkingSet, n: int) -> list[int]:
    """Greedy farthest-first by the share of words in common."""
    bags = [frozenset(normalised_words(row.prompt)) for row in rows]
    nearest = [0.0] * len(bags)
    chosen: list[int] = []
    free = set(range(len(bags)))
    while free and len(chosen) < n:
        pick = min(free, key=lambda i: (nearest[i], i))
        free.discard(pick)
        chosen.append(pick)
        for i in free:
            union = len(bags[i] | bags[pick]) or 1
            nearest[i] = max(nearest[i], len(bags[i] & bags[pick]) / union)
    return chosen


@dataclass(frozen=True)
class Rebalance:
    """Drop surplus rows so that the topics have the public items' shares, or equal ones."""

    to: str = arg("public or uniform.", choices=("public", "uniform"), default="public")
    tolerance: float = arg(
        "How far over its share a topic may stay, as a factor.", low=1.0, high=4.0, default=1.25
    )


def rebalance(op: Rebalance, rows: WorkingSet, tools: Tools) -> Result:
    """Checked rows are dropped last, younger ones first."""
    names = [tools.topics.topic_of(row.prompt) for row in rows]
    wanted = Counter(item.topic for item in tools.task.public)
    total = sum(wanted.values())
    shares = {t: (n / total if op.to == "public" else 1 / len(wanted)) for t, n in wanted.items()}
    reasons = [""] * len(rows)
    for topic, share in sorted(shares.items()):
        limit = max(1, round(op.tolerance * share * len(rows)))
        own = [i for i, name in enumerate(names) if name == topic]
        own.sort(key=lambda i: (not rows.rows[i].verified, i))
        for i in own[limit:]:
            reasons[i] = f"topic {topic} has more than its share"
    dropped = tuple((r.id, why) for r, why in zip(rows, reasons, strict=True) if why)
    return rows.kept(not why for why in reasons), Effect("rebalance", 0, dropped)


@dataclass(frozen=True)
class Order:
    """Fix the order in which rows are trained, or hand it back to chance. Of a set that is larger than
    training takes, the first rows in that order are trained."""

    by: str = arg(
        "short_first or long_first: by length; easy_first or hard_first: by the newest student's "
        "loss; given: by ids; shuffle: a new random order every epoch.",
        choices=("short_first", "long_first", "easy_first", "hard_first", "given", "shuffle"),
    )
    ids: tuple[str, ...] = arg(
        "given: row ids in order; rows not named follow.", max_items=10_000, default=()
    )


def order(op: Order, rows: WorkingSet, tools: Tools) -> Result:
    """All but shuffle make the set sequential: training follows its order."""
    if op.by == "shuffle":
        return WorkingSet(rows.rows, sequential=False), Effect("order")
    keys = _order_keys(op, rows, tools)
    ranked = sorted(range(len(rows)), key=lambda i: (keys[i], i))
    return WorkingSet(tuple(rows.rows[i] for i in ranked), sequential=True), Effect("order")


def _order_keys(op: Order, rows: WorkingSet, tools: Tools) -> list[float]:
    if op.by == "given":
        places = {row_id: place for place, row_id in enumerate(op.ids)}
        unknown = set(places) - {row.id for row in rows}
        if unknown:
            raise InvalidAction(f"no row has the id {min(unknown)[:40]!r}.", "See inspect for ids.")
        return [places.get(row.id, len(places)) for row in rows]
    if op.by in ("easy_first", "hard_first"):
        keys = tools.row_losses(rows)
    else:
        keys = [float(len(row.prompt) + len(row.output)) for row in rows]
    return keys if op.by in ("easy_first", "short_first") else [-key for key in keys]


@dataclass(frozen=True)
class Drop:
    """Drop rows by id, or all rows that read like a topic."""

    rows: tuple[str, ...] = arg("Ids of rows.", max_items=10_000, default=())
    topic: str = arg("A topic of the report; empty: none.", default="")


def drop(op: Drop, rows: WorkingSet, tools: Tools) -> Result:
    """Unknown ids and topics are refused."""
    in_topic = reads_like(op.topic, tools)
    unknown = set(op.rows) - {row.id for row in rows}
    if unknown:
        raise InvalidAction(f"no row has the id {min(unknown)[:40]!r}.", "See inspect for ids.")
    if not op.rows and not op.topic:
        raise InvalidAction("drop needs rows or a topic.")
    named = set(op.rows)
    gone = [row.id in named or (op.topic != "" and in_topic(row)) for row in rows]
    dropped = tuple((r.id, "dropped by name") for r, g in zip(rows, gone, strict=True) if g)
    return rows.kept(not g for g in gone), Effect("drop", 0, dropped)


@dataclass(frozen=True)
class Revert:
    """Go back to a set that was evaluated before."""

    evaluation: int | None = arg(
        "Its number, 1 for the first; none: the best so far.", low=1, high=10_000, default=None
    )


def revert(op: Revert, rows: WorkingSet, tools: Tools) -> Result:
    """Rows added since are dropped, rows dropped since come back."""
    index = tools.best if op.evaluation is None else op.evaluation - 1
    if index is None or index >= len(tools.evaluated):
        raise InvalidAction(
            f"there is no evaluation {op.evaluation or 'yet'}.",
            f"{len(tools.evaluated)} have been made; train first.",
        )
    old = tools.evaluated[index]
    now = {row.id for row in rows}
    then = {row.id for row in old}
    dropped = tuple((row.id, "not in the earlier set") for row in rows if row.id not in then)
    return old, Effect("revert", len(then - now), dropped)
