"""The policy protocol, and the loop that runs one episode."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dataenv import prompts
from dataenv.env import DataEnv
from dataenv.episode import Outcome, loggable
from dataenv.evaluation import EvalReport
from dataenv.hashing import rng_state, set_rng_state
from dataenv.operations import OPERATIONS
from dataenv.tasks.base import Task


@dataclass(frozen=True)
class Briefing:
    """What a controller knows at the start: the visible part of the task, and the budgets.

    Args:
        task: The task with its hidden items taken out.
        limits: Budget limits and set sizes, by the names of `EnvConfig`.
        prices: Calls that a reply costs, by who is asked: the teacher, and the experts of the task;
            empty where there are no calls.
        seed: For the controller's own choices.
    """

    task: Task
    limits: Mapping[str, float]
    prices: Mapping[str, int]
    seed: int

    def to_text(self, operations: bool = True) -> str:
        """All that a person or a language model needs to begin.

        Args:
            operations: Whether they are listed; whoever has them as tools needs no list.
        """
        listed = "\n".join(f"- {op.name}: {op.description}" for op in OPERATIONS.values())
        task, limits = self.task, self.limits
        prices = ", ".join(f"{who} {price}" for who, price in self.prices.items())
        example = task.few_shot[0] if task.few_shot else None
        return prompts.load(
            "briefing",
            task=task.name,
            description=task.description,
            answer_format=task.answer_format,
            topics=", ".join(task.topics),
            example=f"Example: {example.prompt!r} -> {example.output!r}\n" if example else "",
            held=", ".join(
                f"{len(getattr(task, kind))} {kind}" for kind in ("public", "seeds", "pool")
            ),
            budget=", ".join(
                f"{axis} {limits[axis]:g}" for axis in ("calls", "trainings", "steps")
            ),
            prices=f"; calls that a reply costs: {prices}" if prices else "",
            min_rows=f"{limits['min_rows']:g}",
            max_rows=f"{limits['max_rows']:g}",
            operations=f"\nOperations:\n{listed}" if operations else "",
        )


class Policy(Protocol):
    """Whatever chooses operations.

    A policy that is to go on after a kill, in the middle of an episode, also has either
    ``state_dict()``, plain values, and ``load_state_dict(state)``; or
    ``observe(observation, report, action)``, which is told what it did before. Its `begin` comes
    first in both cases. It is never asked again for what it chose already. See `Remembers`.
    """

    name: str

    def begin(self, briefing: Briefing) -> None:
        """Forgets the last episode and looks at a new one."""
        ...

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next operation."""
        ...


class Remembers:
    """A policy whose memory is some of its attributes: plain values, and random sources."""

    remembered: tuple[str, ...] = ("queue",)
    """Their names."""

    def state_dict(self) -> dict[str, Any]:
        """What it remembers, as plain values."""
        held = {name: getattr(self, name) for name in self.remembered}
        return {k: rng_state(v) if isinstance(v, random.Random) else v for k, v in held.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        for name in self.remembered:
            if isinstance(getattr(self, name, None), random.Random):
                set_rng_state(getattr(self, name), state[name])
            else:
                setattr(self, name, state[name])


LARGEST_REQUEST = 256
"""Rows that one `generate` or `draw` brings in at most."""
LARGEST_CHANGE = 4096
"""Rows that one `rewrite` or `verify` takes at most."""
LARGEST_LIKE = 64
"""Examples that one of them takes."""


def request_sizes(n: int) -> list[int]:
    """The rows of each of the operations that bring in `n` together."""
    return [min(LARGEST_REQUEST, n - start) for start in range(0, n, LARGEST_REQUEST)]


def more_like(
    ids: Sequence[str], n: int, briefing: Briefing, from_pool: bool = False
) -> list[dict[str, Any]]:
    """The operations that bring in `n` rows like given items: written by the teacher or, where there
    is none or `from_pool` says so, drawn from the pool."""
    like, sizes = list(ids[:LARGEST_LIKE]), request_sizes(n)
    if briefing.limits["calls"] and not from_pool:
        return [{"op": "generate", "brief": "", "n": size, "examples": like} for size in sizes]
    return [{"op": "draw", "n": size, "like": like} for size in sizes]


def more_like_topics(
    counts: Mapping[str, int], briefing: Briefing, from_pool: bool = False
) -> list[dict[str, Any]]:
    """The operations that bring in so many rows like the public items of each topic, in order."""
    return [
        operation
        for topic, n in counts.items()
        for operation in more_like(
            [item.id for item in briefing.task.public if item.topic == topic],
            n,
            briefing,
            from_pool,
        )
    ]


def shared_out(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Shares of a whole number in proportion to weights, by largest remainders: they sum to it."""
    scale = total / (sum(weights.values()) or 1.0)
    shares = {name: int(scale * weight) for name, weight in weights.items()}
    nearest = sorted(weights, key=lambda name: shares[name] - scale * weights[name])
    for name in nearest[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


def affordable_rows(briefing: Briefing, check_price: int = 1, spare: float = 1.5) -> int:
    """Rows that the calls pay for, written and checked, up to `spare` times the places of a set.

    Some fail the check or are dropped, hence more than there are places. Without a teacher all of
    them come from the pool.
    """
    calls, room = briefing.limits["calls"], int(spare * briefing.limits["max_rows"])
    return min(int(calls // (1 + check_price)), room) if calls else room


def budget_left(report: EvalReport) -> dict[str, float]:
    """What is left of every budget."""
    return {axis: limit - used for axis, (used, limit) in report.budget}


@dataclass(frozen=True)
class Episode:
    """A finished episode."""

    outcome: Outcome
    total_reward: float
    steps: list[dict[str, Any]] = field(repr=False)


LIMITS = ("calls", "calls_per_program", "trainings", "steps", "min_rows", "max_rows")


def briefing_of(env: DataEnv, seed: int) -> Briefing:
    """The visible part of an environment that has been reset."""
    import dataclasses

    visible = dataclasses.replace(
        env.task,
        public=tuple(dataclasses.replace(item, output="") for item in env.task.public),
        reward=(),
        private=(),
        identify=lambda prompt: None,
        reference=None,
        target="",
    )
    limits = {name: getattr(env.config, name) for name in LIMITS}
    prices = env.broker.prices if env.config.calls else {}
    return Briefing(visible, limits, prices, seed)


@dataclass
class Progress:
    """An episode on its way.

    Args:
        observation, report: The newest.
        steps: Records of the steps so far.
        total: Their reward.
        chosen: An action that was chosen before a kill, and is to be carried out now.
        outcome: There when the episode is over.
    """

    observation: Mapping[str, Any]
    report: EvalReport
    steps: list[dict[str, Any]] = field(default_factory=list)
    total: float = 0.0
    chosen: dict[str, Any] | None = None
    outcome: Outcome | None = None


def run_episode(
    env: DataEnv,
    policy: Policy,
    seed: int,
    options: dict[str, Any] | None = None,
    on_step: Callable[[dict[str, Any]], None] | None = None,
) -> Episode:
    """Runs a policy until the episode ends.

    Args:
        env: The environment.
        policy: The controller.
        seed: Of the episode, and of the policy's own choices.
        options: Passed to `reset`.
        on_step: Called with the record of every step.
    """
    progress = begin_episode(env, policy, seed, options)
    return play_on(env, policy, progress, on_step=on_step)


def begin_episode(
    env: DataEnv,
    policy: Policy,
    seed: int,
    options: dict[str, Any] | None = None,
    on_reset: Callable[[], None] | None = None,
) -> Progress:
    """Resets the environment, calls `on_reset`, and introduces the policy; see `run_episode`."""
    observation, info = env.reset(seed=seed, options=options)
    if on_reset:
        on_reset()
    policy.begin(briefing_of(env, seed))
    if hasattr(policy, "use_reference"):  # references are no competitors and may see more
        env.mark_privileged()
        policy.use_reference(env)
    return Progress(observation, info["report"])


def play_on(
    env: DataEnv,
    policy: Policy,
    progress: Progress,
    on_choice: Callable[[dict[str, Any]], None] | None = None,
    on_step: Callable[[dict[str, Any]], None] | None = None,
) -> Episode:
    """Plays an episode that has begun to its end.

    Args:
        env: The environment.
        policy: The controller.
        progress: Where the episode stands; kept up to date.
        on_choice: Called with every action that the policy has chosen, before it is carried out.
        on_step: Called with the record of every step.
    """
    while not progress.outcome:
        play_step(env, policy, progress, on_choice, on_step)
    return Episode(progress.outcome, progress.total, progress.steps)


def play_step(
    env: DataEnv,
    policy: Policy,
    progress: Progress,
    on_choice: Callable[[dict[str, Any]], None] | None = None,
    on_step: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Carries out the action that was chosen before a kill, or else the policy's next; see `play_on`."""
    action, progress.chosen = progress.chosen, None
    if action is None:
        action = policy.act(progress.observation, progress.report)
        if on_choice:
            on_choice(action)
    progress.observation, reward, _, _, info = env.step(action)
    progress.report, progress.outcome = info["report"], info.get("outcome")
    record = step_record(len(progress.steps) + 1, action, reward, progress.report)
    progress.steps.append(record)
    progress.total += reward
    if on_step:
        on_step(record)


def step_record(number: int, action: Any, reward: float, report: EvalReport) -> dict[str, Any]:
    """What is kept of a step; `number` counts from 1."""
    shown = loggable(action)
    return {"step": number, "action": shown, "reward": reward, "report": report.to_dict()}
