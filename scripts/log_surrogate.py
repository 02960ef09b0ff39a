"""Real evaluations of many sets, item by item, to fit a surrogate of training to; resumable.

    python scripts/log_surrogate.py --out records/surrogate.jsonl --targets 20

On each target of the train split every behaviour plays an episode of ``-fast`` with the student nano-a;
then mixtures and prefixes of the sets that were trained are trained, too. A line of the file is a
target: its rows once, and for every set the rows that were trained on and which items it got right.
"""

from __future__ import annotations

import argparse
import base64
import json
import lzma
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataenv.contamination import OverlapIndex
from dataenv.env import DataEnv
from dataenv.episode import Scores
from dataenv.hashing import rng_of
from dataenv.laboratory import Cache, Laboratory
from dataenv.lock import name_of_worlds
from dataenv.policy import run_episode
from dataenv.registry import env_config, make_policy
from dataenv.rows import Provenance, Row, WorkingSet
from dataenv.runs.resumable import read_current, run_jobs
from dataenv.shared_cache import SharedCache

BEHAVIOURS = (
    "random",
    "random_mix",
    "mirror",
    "headroom",
    "feedback",
    "mirror_second",
    "feedback_shuffled",
)
DOMAINS = ("Science", "Code", "Finance")
BASE, MIXTURE = "base", "mixture"
SMALLEST = 8
"""Rows of a mixture at least; it may be too small to be valid, as sets are on their way."""
FROM_POOL = 0.3
"""Share of the mixtures that take rows of the raw pool, too."""
ORDERED = 0.15
"""Share of the mixtures that are trained in order of length."""

Job = tuple[str, int, int, Path | None]


def log_target(job: Job) -> list[dict[str, Any]]:
    """All sets of one target, as one record; runs in a worker process."""
    domain, number, mixtures, folder = job
    config = env_config(f"{domain}-fast-v0", split="train", score_private=False)
    cache = SharedCache(folder) if folder else Cache()
    env, found = DataEnv(config=config, cache=cache), []
    for name in BEHAVIOURS:
        run_episode(env, make_policy(name), number, {"target": number})
        found += [(name, each) for each in _different(env.evaluations)]
    overlap = OverlapIndex(env.task, env.task.public)
    seconds = {"train": 0.0, "decode": 0.0}
    laboratory = Laboratory(env.student, config, env.task, env.key, overlap, cache, seconds)
    rng = rng_of("surrogate", domain, number)
    for rows in [
        draw_mixture([s.rows for _, s in found], env.task.pool, rng) for _ in range(mixtures)
    ]:
        found.append((MIXTURE, laboratory.scores(rows)))
    found.insert(0, (BASE, laboratory.base_scores()))
    trained = [laboratory.training_rows(scores.rows)[0] for _, scores in found]
    rows, places = _distinct(trained)
    about = {"worlds": name_of_worlds(), "domain": config.domain, "target": number}
    sets = [
        {"by": by, "rows": place, "sequential": used.sequential, **outcome(scores)}
        for (by, scores), used, place in zip(found, trained, places, strict=True)
    ]
    return [{**about, "student": config.student, "rows": pack_rows(rows), "sets": sets}]


def draw_mixture(sets: Sequence[WorkingSet], pool: Sequence[Row], rng: random.Random) -> WorkingSet:
    """Some rows of a few sets, and perhaps of the pool; of one phrasing more are taken than of another."""
    chosen = rng.sample(range(len(sets)), min(len(sets), rng.randint(1, 3)))
    rows = [row for place in chosen for row in sets[place]]
    if rng.random() < FROM_POOL:
        rows += rng.sample(list(pool), min(len(pool), rng.randint(8, 64)))
    # phrasings stand for skills, so that mixtures differ in what they teach
    liking = {row.instruction[:24]: rng.expovariate(1.0) for row in rows}
    rows.sort(
        key=lambda row: rng.random() ** (1 / (0.05 + liking[row.instruction[:24]])), reverse=True
    )
    largest = max(len(each) for each in sets)
    rows = rows[: round(SMALLEST * (largest / SMALLEST) ** rng.random())]
    if rng.random() < ORDERED:
        sign = rng.choice((1, -1))
        rows.sort(key=lambda row: sign * (len(row.prompt) + len(row.output)))
        return WorkingSet(tuple(rows), sequential=True)
    return WorkingSet(tuple(rows))


def _different(evaluations: Sequence[Scores]) -> list[Scores]:
    """Those of different sets: training one again gives nothing new."""
    return list({scores.rows.digest: scores for scores in evaluations}.values())


def outcome(scores: Scores) -> dict[str, Any]:
    """What is kept of an evaluation; public items come before hidden ones."""
    correct = (*scores.public.correct, *scores.reward.correct)
    bits = np.packbits(np.array(correct, bool)).tobytes().hex()
    figures = {"log_likelihood": scores.log_likelihood, "retention": scores.retention}
    return {"correct": bits, **{name: round(value, 5) for name, value in figures.items()}}


def _distinct(sets: Sequence[WorkingSet]) -> tuple[list[Row], list[list[int]]]:
    """Every row once, and the places of each set's rows among them."""
    rows: dict[str, Row] = {row.id: row for each in sets for row in each}
    place = {name: number for number, name in enumerate(rows)}
    return list(rows.values()), [[place[row.id] for row in each] for each in sets]


def pack_rows(rows: Sequence[Row]) -> str:
    """Rows as short text."""
    plain = json.dumps([list(row.to_entry().values()) for row in rows]).encode()
    return base64.b85encode(lzma.compress(plain)).decode()


def unpack_rows(packed: str) -> list[Row]:
    """The inverse of `pack_rows`, but for provenance."""
    entries = json.loads(lzma.decompress(base64.b85decode(packed)))
    return [Row(*entry, Provenance("log")) for entry in entries]


def sets_of(record: dict[str, Any], items: int) -> Iterator[tuple[WorkingSet, np.ndarray]]:
    """The sets of a record, each with which of its first `items` items were right."""
    rows = unpack_rows(record["rows"])
    for each in record["sets"]:
        bits = np.frombuffer(bytes.fromhex(each["correct"]), np.uint8)
        chosen = tuple(rows[place] for place in each["rows"])
        yield WorkingSet(chosen, each["sequential"]), np.unpackbits(bits)[:items].astype(bool)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--targets", type=int, default=20, help="of each domain")
    parser.add_argument("--mixtures", type=int, default=20, help="of each target")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="a folder of evaluations; see SharedCache")
    args = parser.parse_args()
    done = {(record["domain"], record["target"]) for record in read_current(args.out)}
    jobs: list[Job] = [
        (domain, number, args.mixtures, args.cache)
        for number in range(args.targets)
        for domain in DOMAINS
        if (domain.lower(), number) not in done
    ]
    run_jobs(log_target, jobs, args.out, args.processes)


if __name__ == "__main__":
    main()
