"""Controllers compared over runs: what they gain, what it costs, and which can be told apart.

Runs are compared only where the world and its sizes and budgets are the same, and in pairs: on the
same target with the same seed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dataenv.config import from_mapping
from dataenv.errors import ConfigError
from dataenv.hashing import digest
from dataenv.naming import public_config, public_name
from dataenv.presets import SURROGATE, EnvConfig
from dataenv.runs.results import Record, check_scored
from dataenv.runs.tables import board_text
from dataenv.statistics import (
    Interval,
    holm,
    mean_bootstrap,
    sign_bootstrap,
    smallest_detectable_mean,
)

Pair = tuple[str, int]
"""Target and seed."""
LEVEL = 0.05
AGAINST = ("random", "mirror")
UNRANKED = ("privileged", "unsafe", "unisolated", SURROGATE)
"""Flags of runs that are shown beside the competition."""


@dataclass(frozen=True)
class Difference:
    """A controller minus another, in points of private gain.

    Args:
        to: The other.
        n: Pairs, of the same target and seed.
        mean: Over the pairs; None without any.
        interval: Its 95% interval over targets; None for fewer than two.
        detectable: The smallest true difference that so many pairs would show in 80% of cases; None
            for fewer than two targets.
    """

    to: str
    n: int
    mean: float | None = None
    interval: Interval | None = None
    detectable: float | None = None


@dataclass(frozen=True)
class Standing:
    """A controller's line.

    Args:
        policy: The controller.
        rank: One more than the number of controllers that are better beyond doubt; None for those
            outside the competition, and where there is no pair with any other.
        runs, targets: How many.
        gain: Mean private gain, in points.
        interval: Its 95% interval over targets; None for a single one, which shows no spread.
        mats: Attempts over successful attempts, of all runs; None without a success.
        cost: Mean use of every budget, tokens trained on where they are known, and seconds.
        against: Differences to reference points.
        flags: (flag, runs that have it).
    """

    policy: str
    rank: int | None
    runs: int
    targets: int
    gain: float
    interval: Interval | None
    mats: float | None
    cost: dict[str, float]
    against: tuple[Difference, ...]
    flags: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Board:
    """The standings of one world.

    Args:
        title: Task, student and teacher.
        worlds: Name of the lock; None outside the offline worlds.
        conditions: Hash of all that must be the same.
        budgets: Limits.
        standings: Best first.
        comparisons: Pairs of controllers that were tested.
        told_apart: (better, worse), of those.
    """

    title: str
    worlds: str | None
    conditions: str
    budgets: dict[str, float]
    standings: tuple[Standing, ...]
    comparisons: int
    told_apart: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def to_text(self) -> str:
        """The table, in Markdown, and how it was ranked."""
        return board_text(self)


def boards(records: Sequence[Record]) -> list[Board]:
    """A board for each world among the records.

    Raises:
        ConfigError: A record is no scored result, or is there twice.
    """
    worlds: dict[str, list[Record]] = {}
    for record in records:
        check_scored(record)
        worlds.setdefault(conditions_of(record), []).append(record)
    return [_board(name, held) for name, held in worlds.items()]


def conditions_of(record: Record) -> str:
    """Hash of what must be the same for gains to be comparable."""
    limits = {axis: each["limit"] for axis, each in record["budget"].items()}
    config = record.get("config")
    same: list[Any] = [public_name(record[name]) for name in ("task", "student")]
    same += [record.get("teacher"), record["worlds"], record["final"]["n_private"], limits]
    if config is not None:
        same.append(public_config(from_mapping(EnvConfig, config)) | {"threads": None})
    if SURROGATE in record["flags"]:  # beside each other, never beside what was measured
        same.append(record.get("placement", SURROGATE))
    return digest(json.dumps(same, sort_keys=True), size=4)


def _board(conditions: str, records: Sequence[Record]) -> Board:
    gains = _gains(records)
    outside = {r["policy"] for r in records if set(UNRANKED) & set(r["flags"])}
    inside = [policy for policy in gains if policy not in outside]
    tests, better = _told_apart({policy: gains[policy] for policy in inside})
    ranks = {
        policy: 1 + sum(worse == policy for _, worse in better)
        for policy in inside
        if any(policy in pair for pair in tests)
    }
    standings = [_standing(policy, ranks.get(policy), records, gains) for policy in sorted(gains)]
    first = records[0]
    return Board(
        title=", ".join(
            public_name(first[name]) for name in ("task", "student", "teacher") if first.get(name)
        ),
        worlds=first["worlds"],
        conditions=conditions,
        budgets={axis: each["limit"] for axis, each in first["budget"].items()},
        standings=tuple(sorted(standings, key=_order)),
        comparisons=len(tests),
        told_apart=better,
    )


def _order(standing: Standing) -> tuple[float, float]:
    return (float("inf") if standing.rank is None else standing.rank, -standing.gain)


def _gains(records: Sequence[Record]) -> dict[str, dict[Pair, float]]:
    """Points of private gain of each controller on each target and seed."""
    gains: dict[str, dict[Pair, float]] = {}
    for record in records:
        mine, pair = gains.setdefault(record["policy"], {}), (record["target"], record["seed"])
        if pair in mine:
            raise ConfigError(
                f"there are two runs of {record['policy']!r} on {pair[0]} with seed {pair[1]}; "
                "leave one out"
            )
        mine[pair] = record["gain_points"]
    return gains


def _differences(
    mine: Mapping[Pair, float], other: Mapping[Pair, float]
) -> tuple[list[float], list[str]]:
    """(differences, their targets) on the pairs that both have."""
    both = [pair for pair in mine if pair in other]
    return [mine[pair] - other[pair] for pair in both], [target for target, _ in both]


def _told_apart(
    gains: Mapping[str, Mapping[Pair, float]],
) -> tuple[list[tuple[str, str]], tuple[tuple[str, str], ...]]:
    """Pairs of controllers that were tested, and (better, worse) of those that differ, by Holm."""
    tests, chances, signs = [], [], []
    for first, second in itertools.combinations(gains, 2):
        values, targets = _differences(gains[first], gains[second])
        if values:
            tests.append((first, second))
            chances.append(sign_bootstrap(values, clusters=targets))
            signs.append(sum(values))
    found = [
        (first, second) if sign > 0 else (second, first)
        for (first, second), sign, differ in zip(tests, signs, holm(chances, LEVEL))
        if differ
    ]
    return tests, tuple(found)


def _standing(
    policy: str,
    rank: int | None,
    records: Sequence[Record],
    gains: Mapping[str, Mapping[Pair, float]],
) -> Standing:
    mine = [record for record in records if record["policy"] == policy]
    values, targets = [r["gain_points"] for r in mine], [r["target"] for r in mine]
    attempts, successful = (sum(r[name] for r in mine) for name in ("attempts", "successful"))
    flags = {flag: sum(flag in r["flags"] for r in mine) for r in mine for flag in r["flags"]}
    return Standing(
        policy=policy,
        rank=rank,
        runs=len(mine),
        targets=len(set(targets)),
        gain=sum(values) / len(values),
        interval=_interval(values, targets),
        mats=attempts / successful if successful else None,
        cost=_cost(mine),
        against=tuple(
            _difference(other, gains[policy], gains[other])
            for other in AGAINST
            if other in gains and other != policy
        ),
        flags=tuple(sorted(flags.items())),
    )


def _cost(mine: Sequence[Record]) -> dict[str, float]:
    used = {axis: [r["budget"][axis]["used"] for r in mine] for axis in mine[0]["budget"]}
    if all("training_tokens" in record for record in mine):  # older records have none
        used["training tokens"] = [record["training_tokens"] for record in mine]
    used["seconds"] = [r["seconds"]["all"] for r in mine]
    return {name: sum(values) / len(values) for name, values in used.items()}


def _difference(to: str, mine: Mapping[Pair, float], other: Mapping[Pair, float]) -> Difference:
    values, targets = _differences(mine, other)
    if not values:
        return Difference(to, 0)
    detectable = smallest_detectable_mean(values, clusters=targets)
    interval = _interval(values, targets)
    return Difference(to, len(values), sum(values) / len(values), interval, detectable)


def _interval(values: Sequence[float], targets: Sequence[str]) -> Interval | None:
    several = len(set(targets)) > 1
    return mean_bootstrap(values, clusters=targets) if several else None
