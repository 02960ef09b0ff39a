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
from dataenv.errors import ConfigError
from dataenv.evaluation import EvalReport
from dataenv.lock import name_of_worlds
from dataenv.menu import MENU, OVERALL_FEATURES, RANKS, SLOT_FEATURES, Menu
from dataenv.policy import briefing_of, step_record
from dataenv.presets import OFFLINE
from dataenv.runs.episode_log import EpisodeLog
from dataenv.runs.steps import StepLog, Story
from dataenv.runs.trackers import Tracker

MAX_TEXT = 100_000


def text_space() -> spaces.Text:
    """Texts of ASCII, as reports are shown and actions are written."""
    letters = "".join(map(chr, [10, *range(32, 127)]))
    return spaces.Text(MAX_TEXT, min_length=0, charset=letters)


class TextIO(gym.Wrapper):
    """Actions as JSON text, observations as the report's text. Bad JSON is an invalid action."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.observation_space = text_space()
        self.action_space = text_space()

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


class LogSteps(gym.Wrapper):
    """Writes the steps of every finished episode into a `dataenv.runs.steps.StepLog`.

    Goes around any of the other wrappers but `TextIO`, or under them all. It has what the environment has,
    so that `dataenv.run_episode` takes it, too. An episode that is reset before its end is left out.

    Args:
        env: The environment.
        log: Who writes; whoever has made it flushes it.
        policy: Who plays, for the table.

    Raises:
        ConfigError: The observations are text.
    """

    def __init__(self, env: gym.Env, log: StepLog, policy: str) -> None:
        super().__init__(env)
        if not isinstance(env.observation_space, spaces.Dict):
            raise ConfigError("LogSteps needs observations of arrays; put it under TextIO")
        self.log_of_steps, self.policy = log, policy
        self._story: Story

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "env":  # a copy asks before it has any
            raise AttributeError(name)
        return getattr(self.unwrapped, name)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        observation, info = self.env.reset(seed=seed, options=options)
        env: Any = self.env.unwrapped
        about = {
            "task": env.config.domain,
            "target": env.task.target,
            "target_number": env.target_number,
            "seed": seed,
            "policy": self.policy,
            "student": env.student.name,
            "laboratory": env.config.laboratory,
            "worlds": name_of_worlds() if env.config.domain in OFFLINE else None,
        }
        self._story = Story(observation, env.key, about)
        return observation, info

    def step(self, action: Any):
        observation, reward, terminated, truncated, info = self.env.step(action)
        env: Any = self.env.unwrapped
        newest = [env.base_scores, *env.evaluations][-1]
        ended = info["outcome"].ended if terminated or truncated else ""
        shown = env.log[-1]["action"]  # the operation that a wrapper has made of the action
        report = info["report"].to_dict()
        self._story.add(observation, shown, float(reward), report, newest.reward.score, ended)
        if ended:
            outcome = info["outcome"]
            self.log_of_steps.add(self._story.finished(outcome.flags, outcome.gain_points))
        return observation, reward, terminated, truncated, info
