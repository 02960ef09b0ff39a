"""Which decision paid: every operation of a finished run left out in turn, and what that changes.

The episode is replayed from its log. A replay carries the operation out and throws its result away, so
that what comes after it meets the same samples, replies and budgets; then the student of the set that
comes of it is compared with that of the real one, under the same training seeds, on the hidden reward
items. The private items are not asked again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataenv.config import from_mapping, require
from dataenv.contamination import OverlapIndex
from dataenv.env import DataEnv
from dataenv.errors import ConfigError, InvalidAction
from dataenv.evaluation import evaluate
from dataenv.hashing import digest
from dataenv.laboratory import Cache, Laboratory
from dataenv.presets import EnvConfig
from dataenv.rows import WorkingSet
from dataenv.runs.files import replace_text
from dataenv.runs.folder import DECISIONS
from dataenv.runs.results import check_measured
from dataenv.runs.store import RunStore
from dataenv.statistics import Interval, crossed_bootstrap, holm
from dataenv.teachers import in_process
from dataenv.teachers.base import CallError, Completion
from dataenv.teachers.ledger import MemoryLedger, Reply

SEEDS = 3
"""Training seeds under which each set is compared."""


@dataclass(frozen=True)
class Decision:
    """An operation of a run and what it was good for.

    Args:
        step: Its number.
        action: What was done.
        rows: Rows of the submission without it.
        effect_points: Score of the real submission minus that of the one without it, in points.
        interval_points: 95% interval of it, over items and training seeds.
        stands: Whether it differs from 0 after Holm's correction for the number of operations.
        refused: Later operations that could not be carried out without it.
    """

    step: int
    action: dict[str, Any]
    rows: int
    effect_points: float
    interval_points: Interval
    stands: bool
    refused: int


@dataclass(frozen=True)
class Decisions:
    """What the operations of a run were good for.

    Args:
        items: Items that each set was asked.
        hidden: Whether these are the hidden reward items; public ones have steered the run.
        seeds: Training seeds.
        rows: Rows of the real submission.
        found: In the order of the episode.
    """

    items: int
    hidden: bool
    seeds: int
    rows: int
    found: tuple[Decision, ...]


def write_decisions(
    folder: Path, seeds: int = SEEDS, tell: Callable[[str], None] = lambda line: None
) -> Decisions:
    """Finds out what the operations of a finished run were good for, and writes it beside the run.

    Raises:
        ConfigError: The run is not finished, submitted nothing, or does not replay.
    """
    found = decisions_of(Replay(folder), seeds, tell)
    replace_text(folder / DECISIONS, json.dumps(asdict(found), indent=1) + "\n")
    return found


def read_decisions(folder: Path) -> Decisions | None:
    """What `write_decisions` has written beside a run, if anything."""
    try:
        data = json.loads((folder / DECISIONS).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {folder / DECISIONS}: {error}") from error
    each = [
        Decision(**{**one, "interval_points": Interval(**one["interval_points"])})
        for one in data["found"]
    ]
    return Decisions(**{**data, "found": tuple(each)})


def decisions_of(replay: Replay, seeds: int, tell: Callable[[str], None]) -> Decisions:
    """Leaves every operation out that changed the submission; see `write_decisions`."""
    bench = Bench(replay.env, seeds)
    whole = bench.scores(replay.submitted)
    steps, without = replay.changed(), []
    for place, step in enumerate(steps, 1):
        tell(f"operation {place} of {len(steps)}: without step {step + 1}")
        rows, refused = replay.without(step)
        without.append((rows, refused, crossed_bootstrap(whole - bench.scores(rows))))
    standing = holm([spread.p for _, _, spread in without])
    found = [
        Decision(
            step + 1,
            replay.actions[step],
            len(rows),
            100 * spread.value,
            Interval(100 * spread.interval.low, 100 * spread.interval.high),
            stands,
            refused,
        )
        for step, (rows, refused, spread), stands in zip(steps, without, standing, strict=True)
    ]
    return Decisions(len(bench.items), bench.hidden, seeds, len(replay.submitted), tuple(found))


class Replay:
    """A finished run, replayed from its log up to what was submitted.

    Args:
        folder: Of the run.

    Raises:
        ConfigError: The run is not finished, submitted nothing, or does not replay.
    """

    def __init__(self, folder: Path) -> None:
        with RunStore(folder) as store:
            end = store.last("end")
            if not end:
                raise ConfigError(f"{folder} holds no finished run")
            check_measured(end.data["result"], f"the run in {folder}")
            plan = store.events("run")[-1].data
            steps = [each.data for each in store.events("step")]
            self._replies = _replies_of(store)
        config = from_mapping(EnvConfig, {**plan["config"], "score_private": False})
        self.actions = [step["action"] for step in steps]
        self._errors = [bool(step["report"]["error"]) for step in steps]
        self._may_ask = in_process(config.teacher)
        self.env = DataEnv(config=config)
        self.env.reset(seed=plan["seed"], options=plan["options"])
        self._moments: list[dict[str, Any]] = []
        self._sets: list[WorkingSet] = [self.env.working_set]
        self._charge(self.env)
        for number, step in enumerate(steps, 1):
            self._moments.append(self.env.snapshot())
            self.env.step(step["action"])
            self._sets.append(self.env.working_set)
            wanted = step["report"]["set"]["hash"]
            if self.env.working_set.digest != wanted:
                raise ConfigError(
                    f"{folder} does not replay: step {number} gave set {wanted} and now gives "
                    f"{self.env.working_set.digest}; its world, student or teacher is another now, or "
                    "rows came in by another way than operations"
                )
        self.submitted = self.env.submission()
        if not len(self.submitted):
            raise ConfigError(f"{folder} submitted nothing: there is nothing to leave out")
        self._end = self._end_of_submission()

    def changed(self) -> list[int]:
        """Places of the operations that changed the set, up to the submission."""
        return [
            place
            for place in range(self._end)
            if self._sets[place].digest != self._sets[place + 1].digest
        ]

    def without(self, left_out: int) -> tuple[WorkingSet, int]:
        """The submission without an operation, and how many later ones could not be carried out."""
        twin = DataEnv(config=self.env.config, student=self.env.student, cache=Cache())
        twin.restore(self._moments[left_out])
        self._charge(twin)
        twin.step_in_vain(self.actions[left_out])
        refused = 0
        for place in range(left_out + 1, self._end):
            twin.step(self.actions[place])
            refused += bool(twin.report.error) and not self._errors[place]
        return twin.working_set, refused

    def _end_of_submission(self) -> int:
        """The number of steps that made the submission."""
        outcome = self.env.outcome
        if outcome is None or outcome.evaluation is None:
            return len(self.actions)
        trainings = [
            place
            for place, action in enumerate(self.actions)
            if action.get("op") == "train" and not self._errors[place]
        ]
        return trainings[outcome.evaluation - 1]

    def _charge(self, env: DataEnv) -> None:
        env.broker.ledger = _Recorded(self._replies, env.broker.used, self._may_ask)


class _Recorded(MemoryLedger):
    """An account of a replay: what was answered in the run is not asked again.

    Args:
        replies: (reply, cost) of all calls of the run, by key.
        used: Calls charged so far.
        may_ask: Whether other calls may be made, which cost nobody anything.
    """

    def __init__(self, replies: dict[str, tuple[Reply, int]], used: int, may_ask: bool) -> None:
        super().__init__()
        self.used, self._replies, self._may_ask = used, replies, may_ask

    def kept(self, key: str) -> Reply | None:
        reply, cost = self._replies.get(key, (None, 0))
        self.used += cost
        return reply

    def reserve(self, keys: Sequence[str], price: int) -> None:
        if not self._may_ask:
            raise InvalidAction("a replay asks a served teacher nothing that the run did not ask.")
        super().reserve(keys, price)


def _replies_of(store: RunStore) -> dict[str, tuple[Reply, int]]:
    with store.reading() as db:
        calls = db.execute("SELECT key, reply, cost FROM call WHERE reply IS NOT NULL").fetchall()
    kinds = {"reply": Completion, "error": CallError}
    found = {}
    for key, text, cost in calls:
        reply = json.loads(text)
        found[key] = (kinds[reply["kind"]](**reply["value"]), cost)
    return found


class Bench:
    """Scores sets under several training seeds, the episode's own among them.

    Args:
        env: Of the episode.
        seeds: How many.

    Raises:
        ConfigError: `seeds` is below 1.
    """

    def __init__(self, env: DataEnv, seeds: int) -> None:
        require(seeds >= 1, "seeds", seeds, "at least 1")
        task = env.task
        self.env, self.hidden = env, bool(task.reward)
        self.items = task.reward or task.public
        overlap = OverlapIndex(task, task.public)
        keys = [env.key, *(digest(env.key, "another training", n) for n in range(1, seeds))]
        self._laboratories = [
            Laboratory(
                env.student, env.config, task, key, overlap, Cache(4), {"train": 0.0, "decode": 0.0}
            )
            for key in keys
        ]
        self._known: dict[str, NDArray[np.float64]] = {}

    def scores(self, rows: WorkingSet) -> NDArray[np.float64]:
        """Whether each item is answered rightly, of shape (seeds, items)."""
        if rows.digest not in self._known:
            self._known[rows.digest] = np.array(
                [self._asked(lab, rows) for lab in self._laboratories]
            )
        return self._known[rows.digest]

    def _asked(self, laboratory: Laboratory, rows: WorkingSet) -> list[float]:
        trained, grader = laboratory.train(rows), self.env.task.grader
        found = evaluate(self.env.student, trained, self.items, grader, self.env.config.decoding)
        return [float(each) for each in found.correct]
