"""The cross-entropy method over the settings of a controller (Rubinstein, 1999; de Boer et al., 2005).

Every candidate of a round plays in the same scenes, so that candidates are compared by differences on
equal targets with equal teachers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from dataenv.policies.belief import Settings
from dataenv.policies.feedback import FeedbackPolicy
from dataenv.policies.settings import Space

from dataenv.config import from_mapping, require
from dataenv.errors import ConfigError
from dataenv.hashing import seed_of
from dataenv.policy import Policy
from dataenv.runs.learning import Asked, Scene


@dataclass(frozen=True)
class SearchSettings:
    """How the method searches."""

    population: int = 12
    """Candidates a round, besides the mean and the one that it began with."""
    elite: int = 4
    """How many of them the next round follows."""
    scenes: int = 4
    """In which each of them plays."""
    spread: float = 0.7
    """Standard deviation of every coordinate at first; 0 is the middle of a range, 2 near its end."""
    least: float = 0.1
    """Below which it never falls."""
    pace: float = 0.4
    """How far mean and deviation move towards those of the elite."""

    def __post_init__(self) -> None:
        require(self.population >= 2, "population", self.population, "at least 2")
        require(1 <= self.elite <= self.population, "elite", self.elite, "1 to population")
        require(self.scenes >= 1, "scenes", self.scenes, "at least 1")
        require(0 < self.pace <= 1, "pace", self.pace, "in (0, 1]")
        for name in ("spread", "least"):
            require(getattr(self, name) > 0, name, getattr(self, name), "above 0")


class CrossEntropy:
    """The method; a subclass says over which settings, and of what.

    Args:
        settings: Fields of `SearchSettings`.
        seed: Of all chance.
    """

    kind: str
    """The name under which what is learned is read again."""
    space: Space
    """Of the settings that are searched."""

    def __init__(self, settings: Mapping[str, Any], seed: int) -> None:
        self.settings = from_mapping(SearchSettings, settings)
        self.rng = np.random.default_rng(seed_of("cross entropy", self.kind, seed))
        self._set_start(self.space.vector(self.space.cls()))

    @staticmethod
    def policy(candidate: Any) -> Policy:
        """The controller with the settings of a candidate."""
        raise NotImplementedError

    def _set_start(self, mean: np.ndarray) -> None:
        self.start, self.mean = mean, mean.copy()
        self.spread = np.full(len(mean), self.settings.spread)
        self.drawn = np.zeros((0, len(mean)))

    def ask(self, scenes: Callable[[int], list[Scene]]) -> Asked:
        """The start, against which all are measured, the mean, and the population."""
        size = self.settings.population, len(self.mean)
        self.drawn = self.mean + self.spread * self.rng.normal(size=size)
        candidates = [list(map(float, x)) for x in (self.start, self.mean, *self.drawn)]
        return [(scene, candidates) for scene in scenes(self.settings.scenes)]

    def tell(self, results: Sequence[Sequence[Mapping[str, Any]]]) -> Mapping[str, float]:
        """Moves towards the best; returns mean gains on the start, in fractions."""
        returns = np.array([[each["return"] for each in scene] for scene in results])
        ahead = (returns - returns[:, :1]).mean(0)
        best = np.argsort(-ahead[2:], kind="stable")[: self.settings.elite]
        elite, pace = self.drawn[best], self.settings.pace
        self.mean = (1 - pace) * self.mean + pace * elite.mean(0)
        spread = (1 - pace) * self.spread + pace * elite.std(0)
        self.spread = np.maximum(spread, self.settings.least)
        return {
            "return": float(returns[:, 1].mean()),
            "ahead": float(ahead[1]),
            "population_ahead": float(ahead[2:].mean()),
            "best_ahead": float(ahead[2:].max()),
            "spread": float(self.spread.mean()),
        }

    def learned(self) -> dict[str, Any]:
        """The settings at the mean."""
        where = {name: getattr(self, name).tolist() for name in ("mean", "spread")}
        settings = asdict(self.space.settings(self.mean))
        return {"policy": self.kind, "settings": settings, "search": where}

    def begin_with(self, learned: Mapping[str, Any]) -> None:
        """Starts at settings that were learned before, as sure of them as that search was.

        Raises:
            ConfigError: They are of another kind.
        """
        if learned.get("policy") != self.kind:
            raise ConfigError(f"start holds a {learned.get('policy')!r}, not a {self.kind!r}")
        self._set_start(self.space.vector(self.space.read(learned["settings"])))
        if "search" in learned:  # settings are rounded, and do not tell how sure the search was
            self.start = np.array(learned["search"]["mean"])
            self.mean, self.spread = self.start.copy(), np.array(learned["search"]["spread"])

    def state_dict(self) -> dict[str, Any]:
        """Where it stands."""
        arrays = {name: getattr(self, name).tolist() for name in ("start", "mean", "spread")}
        return {**arrays, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        for name in ("start", "mean", "spread"):
            setattr(self, name, np.array(state[name]))
        self.rng.bit_generator.state = state["rng"]


class ClosedLoop(FeedbackPolicy):
    """`feedback` with settings that were learned.

    Args:
        learned: What `FeedbackSearch` has written.
    """

    name = "cem"

    def __init__(self, learned: Mapping[str, Any]) -> None:
        super().__init__(Space(Settings).read(learned["settings"]))


class FeedbackSearch(CrossEntropy):
    """Over what `feedback` believes at first and how it acts upon its beliefs: how allocation answers to
    scores, to their changes, to uncertainty and to the budget."""

    kind = "cem"
    space = Space(Settings)

    @staticmethod
    def policy(candidate: Any) -> Policy:
        """`feedback` with a candidate's settings."""
        return FeedbackPolicy(FeedbackSearch.space.settings(candidate))
