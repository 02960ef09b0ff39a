"""The environment for TRL's GRPOTrainer: a language model learns to curate by calling operations as tools.

    rows = episode_rows(config, 512)
    GRPOTrainer(model, train_dataset=rows, environment_factory=environment_factory(config), ...)

The tools are made from the table of operations. TRL shows the model whatever a tool raises and goes on;
so a fault of the environment is kept, and raised where TRL asks for the reward.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import itertools
import json
import sys
import traceback
import typing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import gymnasium as gym

from dataenv import prompts
from dataenv.config import did_you_mean, require
from dataenv.env import DataEnv
from dataenv.errors import DataEnvError, UnknownNameError
from dataenv.hashing import rng_of
from dataenv.laboratory import ThreadedCache
from dataenv.operations import OPERATIONS, Operation
from dataenv.policy import briefing_of
from dataenv.presets import SPLITS, EnvConfig
from dataenv.runs.trackers import Tracker
from dataenv.students import student_of
from dataenv.students.base import Student
from dataenv.students.late import LateStudent
from dataenv.world import open_world
from dataenv.wrappers import TrackEpisodes

if TYPE_CHECKING:
    from datasets import Dataset

OFFERED = ("generate", "draw", "verify", "dedup", "inspect", "train", "submit")
"""Operations that are tools unless others are chosen: every schema is part of every prompt."""
NEEDED = ("train", "submit")
OVER = "the episode is over; call no more tools"


class EpisodeOver(DataEnvError):
    """A tool was called when there is no episode to call it in; the message is for the model."""


class Shared:
    """What the episodes of a process have in common.

    Args:
        config: Of the environments.
        report_chars: Characters of a report at most.
        tracker: Is told of every episode; None: nobody is.
        student: The base; None: the one that `config` names, loaded when it is first needed.
    """

    def __init__(
        self,
        config: EnvConfig,
        report_chars: int,
        tracker: Tracker | None,
        student: Student | None,
    ) -> None:
        self.config, self.report_chars, self.tracker = config, report_chars, tracker
        # takes turns: training has the process's random state and one model
        self.student = LateStudent(lambda: student or student_of(config))
        self._numbers: Iterator[int] = itertools.count()
        self._caches: dict[str, ThreadedCache] = {}

    def environment(self, domain: str) -> gym.Env:
        """An environment of a domain; those of one domain share what was trained and examined."""
        config = dataclasses.replace(self.config, domain=domain)
        cache = self._caches.setdefault(domain, ThreadedCache())
        env: gym.Env = DataEnv(config=config, student=self.student, cache=cache)
        return TrackEpisodes(env, self.tracker, self._numbers) if self.tracker else env


class Episode:
    """One rollout at a time. TRL takes the public methods beside `reset` and `get_reward` as tools; a
    subclass has them.

    All work is done in a thread of its own: calls of one turn are carried out in the order in which
    they were written, and neither the trainer's gradient mode nor its event loop is touched.
    """

    _shared: Shared

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "episode")
        self._environments: dict[str, gym.Env] = {}
        self._env: gym.Env | None = None
        self._return = 0.0
        self._over = True
        self._fault: Exception | None = None

    def reset(
        self,
        domain: str | None = None,
        split: str | None = None,
        target: int | None = None,
        seed: int | None = None,
        **others: Any,
    ) -> str:
        """Begins an episode.

        Args:
            domain: What to work on; None: what the configuration names.
            split: Where the target is from; None: what the configuration names.
            target: Number of the target; None: one is drawn.
            seed: Of the episode; None: it is drawn.
            others: Further columns of a dataset; ignored.

        Returns:
            What is added to the prompt: the briefing and the report of the base.

        Raises:
            ConfigError: A value is wrong.
            EnvironmentFault: The environment failed.
        """
        chosen = {"split": split, "target": target}
        options = {name: value for name, value in chosen.items() if value is not None}
        domain = domain or self._shared.config.domain
        return self._thread.submit(self._begin, domain, seed, options).result()

    def get_reward(self) -> float:
        """The return of the episode. One that was left without a submission is submitted: what was
        bought counts.

        Raises:
            ResetNeeded: No episode was begun.
            Exception: What the environment failed with in the episode; it is no reward.
        """
        return self._thread.submit(self._end).result()

    # -- in the thread --------------------------------------------------------------------------

    def _begin(self, domain: str, seed: int | None, options: dict[str, Any]) -> str:
        self._env, self._over, self._fault, self._return = None, True, None, 0.0
        if domain not in self._environments:
            self._environments[domain] = self._shared.environment(domain)
        env = self._environments[domain]
        _, info = env.reset(seed=seed, options=options)
        self._env, self._over = env, False
        data_env: Any = env.unwrapped
        briefing = briefing_of(data_env, 0).to_text(operations=False)
        return f"\n\n{briefing}\n\n{info['report'].to_brief(self._shared.report_chars)}"

    def _answer(self, action: dict[str, Any]) -> str:
        """Carries out an operation that the model wants, and tells it what came of that."""
        if self._over:
            raise EpisodeOver(OVER)
        try:
            text = self._step(action)
        except Exception as error:
            # its text would go to the model, and may name places or hold what is hidden
            sys.stderr.write("".join(traceback.format_exception(error)))
            raise EpisodeOver(f"the environment failed; {OVER}") from error
        return f"{text}\n{OVER}" if self._over else text

    def _step(self, action: dict[str, Any]) -> str:
        assert self._env is not None
        try:
            _, reward, terminated, truncated, info = self._env.step(action)
        except Exception as error:
            self._over, self._fault = True, error
            raise
        self._return += float(reward)
        self._over = terminated or truncated
        return info["report"].to_brief(self._shared.report_chars)

    def _end(self) -> float:
        if self._fault is not None:
            raise self._fault
        if self._env is None:
            raise gym.error.ResetNeeded("there is no episode; call reset() first")
        if not self._over:
            self._step({"op": "submit"})
        return self._return


def environment_factory(
    config: EnvConfig,
    operations: Sequence[str] = OFFERED,
    *,
    report_chars: int = 600,
    score_private: bool = False,
    tracker: Tracker | None = None,
    student: Student | None = None,
) -> type[Episode]:
    """Makes what GRPOTrainer takes as `environment_factory`.

    Args:
        config: Of the environment; rows of a dataset may name another domain.
        operations: What is offered as tools, beside train and submit.
        report_chars: Characters of a report at most: all of them stay in the conversation.
        score_private: Whether submissions are scored on private items; of no use to training.
        tracker: Is told of every episode; whoever has made it starts and finishes it.
        student: One that is loaded already; None: the one that `config` names.

    Raises:
        UnknownNameError: There is no such operation.
        ConfigError: `report_chars` is too few.
    """
    require(report_chars >= 200, "report_chars", report_chars, "200 or more")
    for name in operations:
        if name not in OPERATIONS:
            raise UnknownNameError(f"unknown operation {name!r}{did_you_mean(name, [*OPERATIONS])}")
    config = dataclasses.replace(config, score_private=score_private)
    chosen = [name for name in OPERATIONS if name in (*operations, *NEEDED)]
    tools = {name: _tool(OPERATIONS[name]) for name in chosen}
    shared = Shared(config, report_chars, tracker, student)
    # the name of the class is the name of TRL's reward
    return type("Curation", (Episode,), {**tools, "_shared": shared, "__doc__": Episode.__doc__})


def episode_rows(
    config: EnvConfig,
    count: int,
    *,
    split: str = "train",
    domains: Sequence[str] = (),
    seed: int = 0,
) -> Dataset:
    """Episodes to train on, as a dataset for GRPOTrainer: prompt, domain, split, target and seed.

    All rollouts of a row meet the same target, teacher and samples, so that they differ by what the
    model did alone.

    Args:
        config: Of the environment.
        count: How many.
        split: Where targets are from; those of train are none of validation or test.
        domains: In turn; none: the one of `config`.
        seed: Of the draw.

    Raises:
        ConfigError: There is no such split or domain.
    """
    from datasets import Dataset

    require(split in SPLITS, "split", split, "train, validation or test")
    rng = rng_of("episode rows", split, seed)
    names = list(domains) or [config.domain]
    targets = {
        name: open_world(dataclasses.replace(config, domain=name)).targets[split] for name in names
    }
    message = {"role": "user", "content": prompts.load("tool_caller")}
    rows = [
        {
            "prompt": [message],
            "domain": name,
            "split": split,
            "target": rng.choice(targets[name]),
            "seed": rng.randrange(2**31),
        }
        for name in itertools.islice(itertools.cycle(names), count)
    ]
    return Dataset.from_list(rows)


# -- tools ------------------------------------------------------------------------------------------


def _tool(operation: Operation) -> Callable[..., Any]:
    """A method that carries out an operation, with the signature and docstring that schemas are made of.

    All are coroutines: TRL calls functions before the coroutines of the same turn.
    """

    async def call(self: Episode, **arguments: Any) -> str:
        action = {**arguments, "op": operation.name}
        return await asyncio.wrap_future(self._thread.submit(self._answer, action))

    schema = operation.schema()
    hints = typing.get_type_hints(operation.arguments)
    kinds = {name: _kind(hints[name], each) for name, each in schema["properties"].items()}
    about = [f"    {name}: {_meaning(each)}" for name, each in schema["properties"].items()]
    described = "\n".join(["", "", "Args:", *about]) if about else ""
    # a function has these; mypy knows them of no callable
    made: Any = call
    made.__name__, made.__qualname__ = operation.name, f"Curation.{operation.name}"
    made.__doc__ = operation.description + described
    made.__annotations__ = kinds
    made.__signature__ = inspect.Signature(
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY),
            *(_parameter(name, kinds[name], each) for name, each in schema["properties"].items()),
        ]
    )
    return made


def _kind(hint: Any, schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    return list[str] if schema["type"] == "array" else hint


def _parameter(name: str, kind: Any, schema: dict[str, Any]) -> inspect.Parameter:
    default = schema.get("default", inspect.Parameter.empty)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _meaning(schema: dict[str, Any]) -> str:
    """The description with what TRL's schemas have no place for: bounds and default."""
    bounds = []
    if "minimum" in schema:
        bounds.append(f"{schema['minimum']:g} to {schema['maximum']:g}")
    if "maxItems" in schema:
        bounds.append(f"at most {schema['maxItems']}")
    if "maxLength" in schema:
        bounds.append(f"at most {schema['maxLength']} characters")
    if schema.get("default"):
        bounds.append(f"default {json.dumps(schema['default'])}")
    return f"{schema['description']} ({', '.join(bounds)})" if bounds else schema["description"]
