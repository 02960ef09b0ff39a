"""Playing a recorded episode again, without its models: they say what they said then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dataenv.agent import Recorded, agent_of
from dataenv.config import from_mapping
from dataenv.env import DataEnv
from dataenv.episode import Scores
from dataenv.errors import CacheMiss, ConfigError, ReplayFault
from dataenv.evaluation import EvalReport, Evaluation
from dataenv.hashing import digest
from dataenv.laboratory import Cache
from dataenv.lock import differences, name_of_worlds
from dataenv.policy import begin_episode, play_on
from dataenv.presets import EnvConfig
from dataenv.registry import make_policy
from dataenv.runs.folder import CHANNEL
from dataenv.runs.runner import result_of, told_by
from dataenv.runs.stepping import Visitor
from dataenv.runs.transcript import Transcript, reply_of, step_line
from dataenv.teachers.base import CallError, ChatRequest, Completion
from dataenv.teachers.broker import TEACHER, Expert, Patience
from dataenv.teachers.ledger import Reply

NOT_COMPARED = ("seconds", "versions", "placement", "quality", "config", "channel")
"""What of a result a replay need not meet: what it runs on, and what follows from the rest."""


def replay(transcript: Transcript) -> dict[str, Any]:
    """Plays an episode as it was recorded, and returns its result.

    Nothing is asked of the controller's model, of the teacher, or, for scores, of a trained student.

    Raises:
        CacheMiss: Something is asked that was not recorded.
        ReplayFault: A step or the result is another than was recorded.
        ConfigError: The episode was played in other worlds, or what it needs is not here.
    """
    _check(transcript)
    plan = transcript.plan
    env = DataEnv(config=from_mapping(EnvConfig, plan["config"]))
    env.without_keys()
    env.keep_in(_RecordedCache(transcript))
    policy = _policy_of(transcript)
    if hasattr(policy, "model"):
        policy.model.journal = Recorded(transcript.exchanges, str(transcript.source))
    ledger = _RecordedLedger(transcript)

    def attach() -> None:
        broker = env.broker
        broker.ledger, broker.patience = ledger, Patience(attempts=1, first_s=0.0)
        broker.teacher = _Silent(transcript, broker.teacher.name, broker.key, TEACHER)
        broker.experts = {
            name: Expert(_Silent(transcript, name, broker.key, name), each.price)
            for name, each in broker.experts.items()
        }

    def on_step(record: dict[str, Any]) -> None:
        ledger.end_step()
        _compare(transcript, record)

    progress = begin_episode(env, policy, plan["seed"], plan["options"], attach)
    ledger.end_step()
    episode = play_on(env, policy, progress, on_step=on_step)
    if len(transcript.steps) != len(episode.steps):
        raise ReplayFault(f"{transcript.source} goes on after step {len(episode.steps)}")
    result = result_of(env, episode, policy.name, plan["seed"], 0.0) | told_by(policy, episode)
    result = json.loads(json.dumps(result))
    changed = differences(_kept(transcript.result), _kept(result))
    if changed:
        raise ReplayFault(f"{transcript.source}: the result differs: {'; '.join(changed)}")
    return result


def _policy_of(transcript: Transcript) -> Any:
    """Who chose: a controller, or somebody outside, of whom there are the choices alone."""
    plan = transcript.plan
    if CHANNEL in plan:
        return _Outside(plan["policy"], [step["action"] for step in transcript.steps])
    return make_policy(plan["policy"], agent=agent_of(plan.get("settings")))


class _Outside(Visitor):
    """Chooses what was chosen from outside."""

    def __init__(self, name: str, actions: Sequence[dict[str, Any]]) -> None:
        super().__init__(name)
        self._left = list(actions)

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next operation."""
        return self._left.pop(0)


def _check(transcript: Transcript) -> None:
    worlds = transcript.plan["worlds"]
    if worlds not in (None, name_of_worlds()):
        raise ConfigError(
            f"{transcript.source} was played in the worlds {worlds}, these are "
            f"{name_of_worlds()}; replay it with the release that recorded it"
        )


def _kept(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in NOT_COMPARED}


def _compare(transcript: Transcript, record: dict[str, Any]) -> None:
    number = record["step"]
    if number > len(transcript.steps):
        raise ReplayFault(f"{transcript.source} ends before step {number}")
    changed = differences(transcript.steps[number - 1], json.loads(json.dumps(step_line(record))))
    if changed:
        raise ReplayFault(f"{transcript.source}: step {number} differs: {'; '.join(changed)}")


class _RecordedCache(Cache):
    """A cache that has the student's answers from a transcript, in the order in which they were needed."""

    def __init__(self, transcript: Transcript) -> None:
        super().__init__()
        self._lines = iter(transcript.evaluations)
        self._recalled: dict[str, Any] = {}

    def recall(self, key: str, make: Any) -> Any:
        """The answers of the next line; made anew if there is none."""
        if key not in self._recalled:
            line = next(self._lines, None)
            self._recalled[key] = _answers(line) if line else make()
        return self._recalled[key]


def _answers(line: dict[str, Any]) -> Scores | Evaluation:
    if "scores" in line:
        return Scores.from_dict(line["scores"])
    return Evaluation.from_dict(line["answers"])


class _RecordedLedger:
    """An account in which every call has cost what it cost then."""

    def __init__(self, transcript: Transcript) -> None:
        self.used = self._step = 0
        self._calls = transcript.calls
        self._left = {key: line for key, line in transcript.calls.items() if line["cost"]}

    def kept(self, key: str) -> Completion | None:
        """The recorded reply."""
        line = self._calls.get(key)
        if line is None or not line["reply"]:
            return None
        reply = reply_of(line)
        if not isinstance(reply, Completion):
            return None  # the teacher gives errors, as it did
        self._charge(key)
        return reply

    def reserve(self, keys: Sequence[str], price: int) -> None:
        """Nothing: what calls cost is known."""

    def settle(self, replies: Mapping[str, Reply], price: int) -> None:
        """Charges what recorded errors cost."""
        for key in replies:
            self._charge(key)

    def end_step(self) -> None:
        """Charges what was paid in a step for calls that it did not ask for after a kill."""
        for key in [key for key, line in self._left.items() if line["step"] == self._step]:
            self._charge(key)
        self._step += 1

    def _charge(self, key: str) -> None:
        line = self._left.pop(key, None)
        self.used += line["cost"] if line else 0


class _Silent:
    """A teacher who repeats its recorded errors and says nothing else."""

    def __init__(self, transcript: Transcript, name: str, key: str, asked: str) -> None:
        self.name, self._transcript, self._key, self._asked = name, transcript, key, asked

    def complete(self, requests: Sequence[ChatRequest]) -> list[Completion | CallError]:
        """The recorded errors.

        Raises:
            CacheMiss: A request was never recorded.
        """
        return [self._error(request) for request in requests]

    def _error(self, request: ChatRequest) -> Completion | CallError:
        line = self._transcript.calls.get(digest(self._key, self._asked, request.key, size=8))
        if line is None or not line["reply"]:
            text = request.messages[-1][1]
            raise CacheMiss(
                f"{self._transcript.source} has no reply of {self.name} to sample "
                f"{request.sample_index} of the request {text[:120]!r} ({len(text)} characters); "
                "record the episode anew"
            )
        return reply_of(line)
