"""Wrappers: text in and out, a masked menu of discrete actions for learned policies, tracking."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dataenv.errors import ConfigError
from dataenv.evaluation import EvalReport
from dataenv.lock import name_of_worlds
from dataenv.policy import step_record
from dataenv.presets import OFFLINE
from dataenv.runs.episode_log import EpisodeLog
from dataenv.runs.steps import StepLog, Story
from dataenv.runs.trackers import Tracker

MAX_TEXT = 100_000
RANKS = 8
AMOUNTS = (16, 48)


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


def _menu() -> list[tuple[str, dict[str, Any]]]:
    """(kind, arguments) of every discrete action; at most 64."""
    entries: list[tuple[str, dict[str, Any]]] = []
    for ranking in ("weakest", "progress"):
        for rank in range(RANKS):
            for amount in AMOUNTS:
                entries.append(("topic", {"ranking": ranking, "rank": rank, "n": amount}))
    entries += [("examples", {"rank": rank, "n": n}) for rank in range(RANKS) for n in AMOUNTS]
    entries += [("label", {"n": n}) for n in AMOUNTS]
    entries += [("mirror", {"n": n}) for n in AMOUNTS]
    entries += [("op", {"op": "verify", "votes": votes}) for votes in (1, 3)]
    entries += [("op", {"op": name}) for name in ("dedup", "filter", "rebalance", "revert")]
    entries += [("op", {"op": "train"}), ("op", {"op": "submit"})]
    return entries


MENU = _menu()
SUBMIT = len(MENU) - 1


class DiscreteOperations(gym.Wrapper):
    """One flattened Discrete: topics by rank of weakness or progress x amount, and the rest.

    Submitting is masked until half of the trainings are used, unless nothing else is left.
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.action_space = spaces.Discrete(len(MENU))

    def step(self, action: Any):
        return self.env.step(self.operation(int(action)))

    def operation(self, action: int) -> dict[str, Any]:
        """The operation that a menu entry stands for now."""
        kind, given = MENU[action]
        env: Any = self.env.unwrapped
        report: EvalReport = env.report
        task = env.task
        if kind == "op":
            return dict(given)
        if kind == "label":
            return {"op": "label", "n": given["n"]}
        if kind == "mirror":
            ids = [item.id for item in task.public][:64]
            return {"op": "generate", "brief": "", "n": given["n"], "examples": ids}
        ranked = list(report.slices)
        if given.get("ranking") == "progress":
            ranked.sort(key=lambda each: -each.progress)
        if given["rank"] >= len(ranked):
            return {"op": "nothing at this rank"}
        topic = ranked[given["rank"]].name
        if kind == "topic":
            return {"op": "generate", "brief": f"problems about {topic}", "n": given["n"]}
        wrong = [dict(c)["id"] for c in report.bad_cases if dict(c)["topic"] == topic]
        ids = wrong or [item.id for item in task.public if item.topic == topic][:8]
        return {"op": "generate", "brief": "", "n": given["n"], "examples": ids}

    def action_masks(self) -> np.ndarray:
        """Which menu entries are of use now, of shape (entries,), bool."""
        env: Any = self.env.unwrapped
        allowed = env.operation_mask()
        left = env.broker.left
        topics = len(env.report.slices)
        mask = np.zeros(len(MENU), bool)
        for number, (kind, given) in enumerate(MENU):
            if kind == "op":
                mask[number] = allowed[given["op"]]
            else:
                mask[number] = given["n"] <= left and given.get("rank", 0) < topics
        rows = len(env.working_set)
        for number, (kind, given) in enumerate(MENU):
            if kind == "op" and given["op"] == "verify":
                mask[number] &= 0 < rows * given["votes"] <= left and any(
                    not row.verified for row in env.working_set
                )
            if kind == "label":
                mask[number] &= bool(env.task.seeds)
        used = dict(env.report.budget)["trainings"][0]
        mask[SUBMIT] = 2 * used >= env.config.trainings or not mask[:SUBMIT].any()
        return mask


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
