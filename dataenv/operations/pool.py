"""The operation on the raw pool: draw."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dataenv.errors import InvalidAction
from dataenv.hashing import rng_of
from dataenv.operations.base import Effect, Result, Tools, arg, reads_like
from dataenv.operations.writing import texts_of
from dataenv.rows import WorkingSet
from dataenv.topics import words


@dataclass(frozen=True)
class Draw:
    """Take rows from the raw pool, unchecked and free of calls: those that match words, are most like
    given items, or any at random."""

    n: int = arg("How many rows.", low=1, high=256, default=32)
    query: str = arg("Words to search for; empty: none.", default="")
    like: tuple[str, ...] = arg(
        "Ids of public items, seeds or rows: take what is most like these.",
        max_items=64,
        default=(),
    )
    topic: str = arg("Only what reads like this topic of the report; empty: any.", default="")


def draw(op: Draw, rows: WorkingSet, tools: Tools) -> Result:
    """Rows that are in the set already are not drawn again."""
    wanted_topic = reads_like(op.topic, tools)
    held = {row.id for row in rows}
    free = [
        row for row in dict.fromkeys(tools.task.pool) if row.id not in held and wanted_topic(row)
    ]
    if not free:
        raise InvalidAction("no such row is left in the pool.", "Ask for something else.")
    rng_of("draw", tools.key, rows.digest, op.n).shuffle(free)
    wanted = [text for _, text in texts_of(op.like, rows, tools)]
    if op.query.strip():
        wanted.append(op.query)
    if wanted:
        scores = similarities(wanted, [row.prompt for row in free])
        order = sorted(range(len(free)), key=lambda i: -scores[i])
        free = [free[i] for i in order if scores[i] > 0]
        if not free:
            raise InvalidAction("no row of the pool has any of these words.", "Use other words.")
    made = [
        dataclasses.replace(row, provenance=dataclasses.replace(row.provenance, step=tools.step))
        for row in free[: op.n]
    ]
    return rows.extended(made), Effect("draw", len(made))


def similarities(wanted: Sequence[str], texts: Sequence[str]) -> list[float]:
    """The best cosine of each text's words with those of a wanted text, rare words counting more."""
    documents = [Counter(words(text)) for text in texts]
    frequency = Counter(word for found in documents for word in found)
    rarity = {word: math.log((1 + len(texts)) / (1 + n)) for word, n in frequency.items()}
    unseen = math.log(1 + len(texts))

    def vector(found: Counter[str]) -> dict[str, float]:
        weights = {word: n * rarity.get(word, unseen) for word, n in found.items()}
        length = math.sqrt(sum(w * w for w in weights.values())) or 1.0
        return {word: w / length for word, w in weights.items()}

    queries = [vector(Counter(words(text))) for text in wanted]
    asked = set().union(*queries)
    found = []
    for document in documents:
        shared = [(word, w) for word, w in vector(document).items() if word in asked]
        found.append(max(sum(w * q.get(word, 0.0) for word, w in shared) for q in queries))
    return found
