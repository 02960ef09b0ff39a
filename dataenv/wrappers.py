"""Wrappers: text in and out, a masked menu of discrete actions for learned policies, tracking."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dataenv.env import DataEnv
from dataenv.evaluation import EvalReport
from dataenv.menu import MENU, OVERALL_FEATURES, RANKS, SLOT_FEATURES, Menu
from dataenv.policy import briefing_of, step_record
from dataenv.runs.episode_log import EpisodeLog
from dataenv.runs.trackers import Tracker

MAX_TEXT = 100_000


class TextIO(gym.Wrapper):
    """Actions as JSON text, observations as the report's text. Bad JSON is an invalid action."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        letters = "".join(map(chr, [10, *range(32, 127)]))
        self.observation_space = spaces.Text(MAX_TEXT, min_length=0, charset=letters)
        self.action_space = spaces.Text(MAX_TEXT, min_length=0, charset=letters)

    def reset(self, **arguments: Any):
        _, info = self.env.reset(**arguments)
        return self._text(info), info

    def step(self, action: str):
        try:
            parsed = json.loads(action) if len(action) <= MAX_TEXT else None
        except (TypeError, ValueError, RecursionError):
            parsed = action
        _, reward, terminated, truncated, info = self.env.step(parsed)
        return self._text(info), reward, terminated, truncated, info

    def _text(self, info: dict[str, Any]) -> str:
        text = info["report"].to_text()
        return text.encode("ascii", "replace").decode()[:MAX_TEXT]


class DiscreteOperations(gym.Wrapper):
    """One flattened Discrete, see `dataenv.menu`: topics by rank of weakness x what to do about them, and
    the rest. Observations are ``slots`` and ``overall``, the last few reports in view."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.action_space = spaces.Discrete(len(MENU))
        shapes: dict[str, tuple[int, ...]] = {
            "slots": (RANKS, SLOT_FEATURES),
            "overall": (OVERALL_FEATURES,),
        }
        self.observation_space = spaces.Dict(
            {name: spaces.Box(-1.0, 1.0, shape, np.float32) for name, shape in shapes.items()}
        )
        self._menu: Menu

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        _, info = self.env.reset(seed=seed, options=options)
        self._menu = Menu(briefing_of(cast(DataEnv, self.env.unwrapped), 0))
        return self._seen(info), info

    def step(self, action: Any):
        operation = self._menu.operation(int(action), self._report)
        _, reward, terminated, truncated, info = self.env.step(operation)
        return self._seen(info), reward, terminated, truncated, info

    def action_masks(self) -> np.ndarray:
        """Which entries of the menu are of use now, of shape (entries,), bool."""
        return self._menu.mask(self._report)

    def _seen(self, info: dict[str, Any]) -> dict[str, np.ndarray]:
        self._report: EvalReport = info["report"]
        self._menu.see(self._report)
        return self._menu.view(self._report)


class TrackEpisodes(gym.Wrapper):
    """Tells a tracker of every episode; goes around any of the other wrappers, or under them.

    Whoever has made the tracker starts and finishes it; see `dataenv.runs.trackers.tracking`.

    Args:
        env: The environment.
        tracker: Who is told.
        numbers: Of the episodes; from 0 on by default. Environments that share a tracker share them.
        artifacts: Whether submission and steps of every episode are kept.
    """

    def __init__(
        self,
        env: gym.Env,
        tracker: Tracker,
        numbers: Iterator[int] | None = None,
        artifacts: bool = False,
    ) -> None:
        super().__init__(env)
        self.tracker, self.artifacts = tracker, artifacts
        self.numbers = itertools.count() if numbers is None else numbers
        self._log: EpisodeLog

    def reset(self, **arguments: Any):
        observation, info = self.env.reset(**arguments)
        self._log = EpisodeLog(self.tracker, next(self.numbers))
        return observation, info

    def step(self, action: Any):
        observation, reward, terminated, truncated, info = self.env.step(action)
        env: Any = self.env.unwrapped
        log = env.log  # has the operation that a wrapper has made of the action
        record = step_record(len(log), log[-1]["action"], float(reward), info["report"])
        self._log.step(record)
        if terminated or truncated:
            rows = env.submission() if self.artifacts else None
            self._log.end(info["outcome"], env.task.target, rows)
        return observation, reward, terminated, truncated, info
