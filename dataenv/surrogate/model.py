"""The chance that the student of a set gets an item right: a small network, fitted once a domain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from dataenv.errors import ConfigError
from dataenv.hashing import digest
from dataenv.presets import EnvConfig
from dataenv.surrogate.features import FEATURES, Array, Counts, Items, features

RIGHT = FEATURES.index("right")
DIGITS = 6
"""Of a chance: rounded, so that libraries that add up otherwise agree."""


@dataclass(frozen=True)
class Fit:
    """A fitted surrogate.

    Args:
        about: What it was fitted to: domain, student, worlds, settings of training, how much; and how
            well it did on targets that it had not seen.
        centre, scale: Of the features.
        layers: (weights, biases), the last of which gives log-odds; tanh in between.
        skills: For each skill that was met, what is added to the log-odds: a constant, and a factor
            of the scaled number of right rows.
        base: The log-odds with which the base knows each skill, where the phrasing is open.
        start: What log-odds of the base itself are made of: weights of `start_inputs`.
        fresh: Share of the items whose luck is drawn anew for every set; see `SurrogateLaboratory`.
        heads: Weights of figures of a set that are not of items; see `head_inputs`.
        name: A hash of all of this.
    """

    about: Mapping[str, Any]
    centre: Array
    scale: Array
    layers: tuple[tuple[Array, Array], ...]
    skills: Mapping[str, tuple[float, float]]
    base: dict[str, float]
    start: Array
    fresh: float
    heads: Mapping[str, Array]
    name: str

    def chances(self, items: Items, counts: Counts) -> Array:
        """The chance of every item to be right after training on a set, of shape (items,)."""
        odds = (
            self._odds(items, counts)
            if counts.size
            else start_inputs(items, self.base) @ self.start
        )
        return np.round(1 / (1 + np.exp(-odds)), DIGITS)

    def _odds(self, items: Items, counts: Counts) -> Array:
        scaled = (features(items, counts, self.base) - self.centre) / self.scale
        hidden = scaled
        for weights, biases in self.layers[:-1]:
            hidden = np.tanh(hidden @ weights + biases)
        weights, biases = self.layers[-1]
        own = np.array([self.skills.get(name, (0.0, 0.0)) for name in items.skills]).reshape(-1, 2)
        shift = own[items.skill_of]
        return (hidden @ weights + biases)[:, 0] + shift[:, 0] + shift[:, 1] * scaled[:, RIGHT]

    def figure(self, name: str, chances: Array, counts: Counts) -> float:
        """A figure of `heads`, predicted for a set."""
        return float(head_inputs(chances, counts) @ self.heads[name])


def start_inputs(items: Items, base: Mapping[str, float]) -> Array:
    """What the base's chances are made of: a constant, its log-odds of the skill, whether the phrasing is
    reserved, and the length of the solution; of shape (items, 4)."""
    known = np.array([base.get(name, 0.0) for name in items.skills])[items.skill_of]
    return np.column_stack([np.ones(len(known)), known, items.fixed[:, :2]])


def head_inputs(chances: Array, counts: Counts) -> Array:
    """What figures of a whole set are predicted from: the mean chance of the public items, the share
    that is all but sure, and the features of the set."""
    return np.array([1.0, chances.mean(), (chances > 0.5).mean(), *counts.of_set])


def fit_of(plain: Mapping[str, Any]) -> Fit:
    """A fit of the plain values of its file.

    Raises:
        ConfigError: It is of other features.
    """
    if tuple(plain["features"]) != FEATURES:
        raise ConfigError(
            "the surrogate was fitted to other features; run scripts/fit_surrogate.py"
        )
    return Fit(
        about=plain["about"],
        centre=np.array(plain["centre"]),
        scale=np.array(plain["scale"]),
        layers=tuple((np.array(weights), np.array(biases)) for weights, biases in plain["layers"]),
        skills={name: (own[0], own[1]) for name, own in plain["skills"].items()},
        base=dict(plain["base"]),
        start=np.array(plain["start"]),
        fresh=plain["fresh"],
        heads={name: np.array(weights) for name, weights in plain["heads"].items()},
        name=digest(plain, size=6),
    )


@lru_cache(maxsize=8)
def load_fit(domain: str) -> Fit:
    """The fit that comes with the package.

    Raises:
        ConfigError: There is none for the domain.
    """
    path = files(__package__) / "fits" / f"{domain}.json"
    if not path.is_file():
        raise ConfigError(
            f"there is no surrogate of training for {domain!r}; set laboratory=real, or fit one: "
            "scripts/fit_surrogate.py"
        )
    return fit_of(json.loads(path.read_text("utf-8")))


def fit_for(config: EnvConfig) -> Fit:
    """The fit for a configuration.

    Raises:
        ConfigError: There is none for its domain, or it holds for another student or other training.
    """
    fit = load_fit(config.domain)
    for name, value in settings_of(config).items():
        if fit.about["settings"][name] != value:
            raise ConfigError(
                f"the surrogate of {config.domain} was fitted with {name} "
                f"{fit.about['settings'][name]!r}, not {value!r}; leave it as it was, or set "
                "laboratory=real"
            )
    return fit


def settings_of(config: EnvConfig) -> dict[str, Any]:
    """Fields of a configuration for which alone a fit holds, as plain values."""
    decoding = config.decoding.max_new_tokens
    return {
        "student": config.student,
        "training": asdict(config.training),
        "max_new_tokens": decoding,
    }
