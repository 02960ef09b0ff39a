"""What an episode writes into its store, and how it goes on from there.

A step is there when its ``step`` event is: it holds the record, the environment's snapshot and the
policy's memory. Sets and evaluations are artifacts, written once. What the events before it have is
not repeated: the log of actions, the evaluations, and how often each request was made.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from dataenv.env import DataEnv
from dataenv.episode import Scores, loggable
from dataenv.errors import ConfigError
from dataenv.evaluation import EvalReport, Evaluation
from dataenv.hashing import digest
from dataenv.laboratory import Cache
from dataenv.lock import differences
from dataenv.policy import Policy, Progress, briefing_of
from dataenv.runs.files import reach
from dataenv.runs.ledger import StoreLedger
from dataenv.runs.store import Event, RunStore
from dataenv.teachers import in_process
from dataenv.world import SIZES

T = TypeVar("T")
RECORD = ("step", "action", "reward", "report")
"""What a step's record shows, of all that its event holds."""
ARTIFACTS = ("rows", "public", "reward")
"""Parts of `Scores` that are artifacts."""


class StoredCache(Cache):
    """A cache whose evaluations survive the process.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: RunStore) -> None:
        super().__init__()
        self.store = store
        self._there = {each.data["key"]: each.data for each in store.events("evaluation")}

    def remember(self, key: str, make: Any) -> Any:
        """What was made for a key, in this process or, if it is an evaluation, in an earlier one."""
        if key in self._there:
            return super().remember(key, lambda: self._load(self._there[key]))
        return super().remember(key, lambda: self._keep(key, make()))

    def _load(self, data: dict[str, Any]) -> Scores | Evaluation:
        if "scores" in data:
            return Scores.from_dict(unpacked_scores(self.store, data["scores"]))
        return Evaluation.from_dict(self.store.get(data["answers"]))

    def _keep(self, key: str, made: T) -> T:
        if isinstance(made, Scores):
            data = {"key": key, "scores": packed_scores(self.store, made.to_dict())}
        elif isinstance(made, Evaluation):
            data = {"key": key, "answers": self.store.put(made.to_dict())}
        else:
            return made
        self.store.append("evaluation", data)
        self._there[key] = data  # what falls out of memory is read, not made anew
        return made


def packed_scores(store: RunStore, scores: dict[str, Any]) -> dict[str, Any]:
    """`Scores` as plain values, with its large parts as artifacts."""
    return {**scores, **{name: store.put(scores[name]) for name in ARTIFACTS}}


def unpacked_scores(store: RunStore, packed: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `packed_scores`."""
    return {**packed, **{name: store.get(packed[name]) for name in ARTIFACTS}}


class Recorder:
    """Writes an episode into a store, or rebuilds it from there.

    Args:
        store: Of the run.
        env: To be recorded. Its cache should be a `StoredCache`.
        policy: The controller.
        seed: Of the episode.
    """

    def __init__(self, store: RunStore, env: DataEnv, policy: Policy, seed: int) -> None:
        self.store, self.env, self.policy, self.seed = store, env, policy, seed
        self._moments = [*store.events("begin"), *store.events("step")]
        self._evaluated: list[dict[str, Any]] = []
        self._asked: dict[str, int] = {}
        self._memory: Any = None
        self._clock = time.monotonic()
        if self._moments:
            self._clock -= self._moments[-1].data["seconds"]["all"]
        self.ledger = StoreLedger(store, env.config.calls, len(self._moments))
        if in_process(env.config.teacher) or env.config.tape_mode == "replay":
            self.ledger.void_open()

    @property
    def seconds(self) -> float:
        """Seconds that the run has taken, without what a kill has undone."""
        return time.monotonic() - self._clock

    def attach(self) -> None:
        """Has the calls of the episode charged to the store's ledger."""
        self.env.broker.ledger = self.ledger

    def began(self, progress: Progress) -> None:
        """Writes where the episode starts."""
        self._memory = _memory_of(self.policy)
        base = packed_scores(self.store, self.env.snapshot()["base"])
        self._commit("begin", {"base": base, "ground": self._ground(), **self._moment(progress)})

    def chose(self, action: dict[str, Any]) -> None:
        """Has an action written with the first call or evaluation that it leads to: what is paid for
        is not decided anew."""
        self._memory = _memory_of(self.policy)
        self.store.announce("act", {"action": loggable(action), "policy": self._memory})
        reach("after_choice")

    def stepped(self, progress: Progress) -> None:
        """Writes the newest step: its commit point."""
        self._commit("step", {**progress.steps[-1], **self._moment(progress)})

    def resume(self) -> Progress | None:
        """The episode as the store has it, in the environment and the policy; None if it has none.

        Raises:
            ConfigError: The policy cannot go on, or the task or the student is another.
        """
        if not self._moments:
            return None
        observation, info = self.env.restore(self._snapshot())
        changed = differences(self._moments[0].data["ground"], self._ground())
        if changed:
            raise ConfigError(
                f"the run stands on files that are others now: {'; '.join(changed)}; put them back, or "
                "start anew with another --out"
            )
        self.attach()
        newest = self._moments[-1]
        self.env.seconds.update({k: v for k, v in newest.data["seconds"].items() if k != "all"})
        steps = [{name: each.data[name] for name in RECORD} for each in self._moments[1:]]
        progress = Progress(observation, info["report"], steps, outcome=self.env.outcome)
        for step in steps:
            progress.total += step["reward"]
        act = next(iter(self.store.events("act", after=newest.seq)), None)
        if act:
            progress.chosen = act.data["action"]
        self.policy.begin(briefing_of(self.env, self.seed))
        self._remind(act)
        return progress

    # -- inside ---------------------------------------------------------------------------------

    def _commit(self, kind: str, data: dict[str, Any]) -> None:
        self.store.forget_announced()
        self.store.append(kind, data)
        self.ledger.end_step()

    def _ground(self) -> dict[str, str]:
        """Hashes of what the configuration only names."""
        items = [getattr(self.env.task, name) for name in SIZES]
        return {"student": self.env.student.fingerprint, "task": digest(repr(items))}

    def _moment(self, progress: Progress) -> dict[str, Any]:
        return {
            "observation": {name: each.tolist() for name, each in progress.observation.items()},
            "report": progress.report.to_dict(),
            "policy": self._memory,
            "snapshot": self._packed(),
            "seconds": {"all": self.seconds, **self.env.seconds},
            "charged": self.ledger.charged,
        }

    def _packed(self) -> dict[str, Any]:
        """The environment's snapshot without what other events have."""
        snapshot = self.env.snapshot()
        del snapshot["config"], snapshot["base"]
        state, broker = snapshot["state"], snapshot["broker"]
        new = state["evaluated"][len(self._evaluated) :]
        self._evaluated += [packed_scores(self.store, each) for each in new]
        asked, self._asked = self._asked, broker["asked"]
        broker["asked"] = {k: n for k, n in self._asked.items() if asked.get(k) != n}
        rows = self.store.put(state["rows"])
        state.update(rows=rows, evaluated=self._evaluated, log=state["log"][-1:])
        return snapshot

    def _snapshot(self) -> dict[str, Any]:
        """The inverse of `_packed` for the newest moment; the ledger knows what a kill has cost."""
        packed = [each.data["snapshot"] for each in self._moments]
        newest, state = packed[-1], packed[-1]["state"]
        self._evaluated = state["evaluated"]
        self._asked = {k: n for each in packed for k, n in each["broker"]["asked"].items()}
        return {
            **newest,
            "config": asdict(self.env.config),
            "base": unpacked_scores(self.store, self._moments[0].data["base"]),
            "broker": {**newest["broker"], "used": self.ledger.used, "asked": self._asked},
            "state": {
                **state,
                "rows": self.store.get(state["rows"]),
                "evaluated": [unpacked_scores(self.store, each) for each in self._evaluated],
                "log": [entry for each in packed for entry in each["state"]["log"]],
            },
        }

    def _remind(self, act: Event | None) -> None:
        """Tells the policy what it knew after its newest choice."""
        chosen = [*self._moments[1:], *([act] if act else [])]
        self._memory = (act or self._moments[-1]).data["policy"]
        policy: Any = self.policy
        if hasattr(policy, "load_state_dict"):
            policy.load_state_dict(self._memory)
        elif hasattr(policy, "observe"):
            for moment, choice in zip(self._moments, chosen):
                policy.observe(*_seen(moment.data), choice.data["action"])
        elif chosen and not self.env.outcome:
            raise ConfigError(
                f"the policy {policy.name!r} cannot go on in the middle of an episode: give it "
                "state_dict() and load_state_dict(state), or observe(observation, report, action), "
                "which is told what it did"
            )


def _memory_of(policy: Any) -> Any:
    """What a policy remembers.

    Raises:
        ConfigError: It is not made of plain values.
    """
    if not hasattr(policy, "state_dict"):
        return None
    memory = policy.state_dict()
    try:
        json.dumps(memory)
    except TypeError as error:
        raise ConfigError(
            f"state_dict() of {policy.name} must give plain values, as JSON has them: {error}"
        ) from error
    return memory


def _seen(data: dict[str, Any]) -> tuple[dict[str, np.ndarray], EvalReport]:
    """Observation and report as a policy has seen them."""
    observation = {name: np.asarray(v, np.float32) for name, v in data["observation"].items()}
    return observation, EvalReport.from_dict(data["report"])
