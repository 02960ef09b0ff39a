"""The records of an episode: what was evaluated, how it ended, what changes on the way."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass, field
from typing import Any

from dataenv.evaluation import Evaluation, as_tuples
from dataenv.operations import Effect
from dataenv.rows import WorkingSet


@dataclass(frozen=True)
class Scores:
    """One evaluated set.

    Args:
        tokens: Trained on, over all epochs.
        contaminated: Rows left out since they repeat public items.
        dropped: (row id, reason) of all rows that training left out.
        suspects: (row id, item id); see `dataenv.screening.Screened`.
    """

    rows: WorkingSet
    public: Evaluation
    reward: Evaluation
    retention: float
    log_likelihood: float
    diverged: str = ""
    tokens: int = 0
    contaminated: int = 0
    dropped: tuple[tuple[str, str], ...] = ()
    suspects: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **vars(self),
            "rows": self.rows.to_dict(),
            "public": self.public.to_dict(),
            "reward": self.reward.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Scores:
        """The inverse of `to_dict`."""
        return cls(
            **{
                **data,
                "rows": WorkingSet.from_dict(data["rows"]),
                "public": Evaluation.from_dict(data["public"]),
                "reward": Evaluation.from_dict(data["reward"]),
                "dropped": as_tuples(data.get("dropped", ())),
                "suspects": as_tuples(data.get("suspects", ())),
            }
        )


@dataclass(frozen=True)
class Outcome:
    """How an episode ended: plain values, frozen.

    Args:
        ended: ``submitted``, ``steps`` or ``wall_clock``.
        flags: E.g. ``no_submission``, ``diverged``.
        evaluation: Number of the submitted evaluation, 0 for the base, None for an unevaluated set.
        rows: Rows of the submission. submission: its hash.
        base, final: (public, private) scores; private is None if it was not scored.
        private_interval: 95% intervals of base and final private score.
        gain_points, gain_interval_points: Private gain, paired over items, in points.
        gain_percent: Relative gain; None for a base of 0 or without private scores.
        retention: (base, final) on general items.
        attempts, successful, mats: See the glossary; mats is None without a success.
        budget: (axis, used, limit).
        flipped: Up to three private items that went from wrong to right: prompt, gold, before, after.
        private_overlap: Rows of the submission that are private items in disguise.
        contaminated, suspects: Rows of the submission that training left out since they repeat public
            items, and those that share a long run of words with one.
        public_gap_points, public_gap_interval_points: How far the public score exceeds the private one.
        public_gap_p: How likely chance is to put it so far ahead, the choice of the best included; below
            `dataenv.env.PUBLIC_GAP_LEVEL` the flag ``public_gap`` is set.
    """

    ended: str
    flags: tuple[str, ...]
    evaluation: int | None
    rows: int
    submission: str
    base: tuple[float, float | None]
    final: tuple[float, float | None]
    private_interval: tuple[tuple[float, float], ...]
    gain_points: float | None
    gain_interval_points: tuple[float, float] | None
    gain_percent: float | None
    retention: tuple[float, float]
    attempts: int
    successful: int
    mats: float | None
    budget: tuple[tuple[str, float, float], ...]
    flipped: tuple[tuple[str, str, str, str], ...] = ()
    private_overlap: int = 0
    contaminated: int = 0
    suspects: int = 0
    public_gap_points: float | None = None
    public_gap_interval_points: tuple[float, float] | None = None
    public_gap_p: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Fresh plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Outcome:
        """The inverse of `to_dict`."""
        return cls(**_tuples(data))


@dataclass
class EpisodeState:
    """What changes in an episode. Everything else follows from config, target and key."""

    target: int
    key: str
    rows: WorkingSet = field(default_factory=WorkingSet)
    log: list[dict[str, Any]] = field(default_factory=list)
    evaluated: list[Scores] = field(default_factory=list)
    step: int = 0
    trainings: int = 0
    attempts: int = 0
    successful: int = 0
    seconds: float = 0.0
    ended: str = ""
    effect: Effect | None = None
    error: str = ""
    flags: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)},
            "rows": self.rows.to_dict(),
            "log": list(self.log),
            "evaluated": [each.to_dict() for each in self.evaluated],
            "effect": asdict(self.effect) if self.effect else None,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EpisodeState:
        """The inverse of `to_dict`."""
        return cls(
            **{
                **data,
                "rows": WorkingSet.from_dict(data["rows"]),
                "log": list(data["log"]),
                "evaluated": [Scores.from_dict(each) for each in data["evaluated"]],
                "effect": Effect(**_tuples(data["effect"])) if data["effect"] else None,
                "flags": tuple(data["flags"]),
            }
        )


def loggable(action: Any) -> Any:
    """An action as plain values; what cannot be JSON is cut to its repr."""
    if isinstance(action, dict) and len(repr(action)) < 100_000:
        return {str(k): _plain(v) for k, v in action.items()}
    return {"invalid": repr(action)[:200]}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return value.item()
    return value if isinstance(value, str | int | float | bool | None) else repr(value)[:200]


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    """The lists of JSON as the tuples that they were."""
    return {name: as_tuples(value) for name, value in data.items()}
