"""The environment: curate, train, evaluate, reward."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from dataclasses import asdict
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np

from dataenv.config import from_mapping
from dataenv.contamination import OverlapIndex
from dataenv.episode import EpisodeState, Outcome, Scores, loggable
from dataenv.errors import ConfigError, InvalidAction
from dataenv.evaluation import Evaluation
from dataenv.hashing import digest
from dataenv.laboratory import Cache, laboratory_of
from dataenv.observation import observation_space, to_observation, write_report
from dataenv.operations import OPERATIONS, Tools, parse_action
from dataenv.operations.base import Programs
from dataenv.presets import SPLITS, SURROGATE, EnvConfig
from dataenv.rows import WorkingSet
from dataenv.sandbox.check import sandbox_problem
from dataenv.spaces import BRIEFS, OperationSpace
from dataenv.statistics import Difference, Interval, excess, paired_bootstrap
from dataenv.students import student_of
from dataenv.students.base import Student
from dataenv.tasks.base import Item, Task
from dataenv.teachers import teacher_rates
from dataenv.teachers.broker import Broker, Expert, Patience
from dataenv.topics import TopicModel
from dataenv.world import World, open_world

SNAPSHOT_VERSION = 1


class DataEnv(gym.Env):
    """Curating training data so that a student model gets better.

    ## Action Space
    `OperationSpace`: ``{"op": name, **arguments}``; see `dataenv.operations`.

    ## Observation Space
    A Dict of Boxes of one shape for every task: ``score`` (3,) public score, its standard error, base
    score; ``slices`` (32, 8) topics from weakest to strongest: score, share of items, rows, share,
    change, progress, checked, present; ``set`` (4,) size, distinct, checked, longest row; ``budget``
    (3,) shares left of calls, trainings, steps; ``effect`` (5,) of the last operation: added, dropped,
    calls, trained, invalid. The full report is ``info["report"]``.

    ## Rewards
    At an evaluation, the change of the hidden reward-split score; at the end, the change to the
    submitted set. So the return is the submission's improvement over base, less costs.

    ## Episode End
    ``submit`` terminates; using up steps (or wall-clock) truncates. ``info["outcome"]`` then holds
    the result with the private score.

    ## Arguments
    Fields of `EnvConfig` as keyword arguments, or a `config`; `student` may also be one that is loaded
    already, and `cache` one that others share. ``reset(options=...)`` takes ``split`` and ``target``
    (a target's number) and ``teacher`` (rates of `TeacherProfile`).

    ## Version History
    v0: initial version.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        render_mode: str | None = None,
        config: EnvConfig | None = None,
        student: Student | str | None = None,
        cache: Cache | None = None,
        **fields: Any,
    ) -> None:
        if isinstance(student, str):
            fields["student"], student = student, None
        self.config = config or from_mapping(EnvConfig, fields)
        if config and fields:
            raise ConfigError(f"give config or fields, not both: {', '.join(fields)}")
        if render_mode not in (None, "ansi"):
            raise ConfigError(f"render_mode must be 'ansi' or None, got {render_mode!r}")
        if self.config.unsafe_no_sandbox:
            sys.stderr.write(UNSAFE)
        self.render_mode = render_mode
        self.action_space: OperationSpace = OperationSpace()
        self.observation_space = observation_space()
        self._student = student
        self._state: EpisodeState | None = None
        self._choice: int | None = None
        self._cache = cache or Cache()
        self._keyless = False
        self.broker: Broker
        self.outcome: Outcome | None = None
        self.seconds = {"train": 0.0, "decode": 0.0, "teacher": 0.0}

    # -- the Gymnasium interface ----------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Draws a target and a teacher profile, and evaluates the base student.

        Raises:
            ConfigError: `options` has an unknown key or a wrong value.
        """
        super().reset(seed=seed)
        self.seconds.update(dict.fromkeys(self.seconds, 0.0))
        target, rates = self._read_options(options or {})
        key = digest("episode", int(self.np_random.integers(2**62)))
        marks = (
            ("unisolated", self.config.unsafe_no_sandbox),
            (SURROGATE, self.config.laboratory == SURROGATE),
        )
        flags = tuple(flag for flag, holds in marks if holds)
        self._begin(EpisodeState(target=target, key=key, flags=flags), rates)
        return self._observation(), self._info()

    def keep_in(self, cache: Cache) -> None:
        """Has what is made from now on kept in another cache; before the first `reset`."""
        self._cache = cache

    def without_keys(self) -> None:
        """Has endpoints need no keys, for a replay in which nobody is asked; before the first `reset`."""
        self._keyless = True

    def check(self, options: dict[str, Any] | None = None) -> None:
        """Finds out whether an episode can begin, and begins none.

        Raises:
            ConfigError: What `reset` would raise, of the student, the task, the teacher or `options`.
        """
        _, rates = self._read_options(options or {})
        self._world.teachers("check", rates)
        _ = self.student

    def step(self, action: Any):
        """Carries out one operation. Never raises for a bad action."""
        state = self._running()
        began = time.monotonic()
        state.step += 1
        calls = self.broker.used
        reward, effect = 0.0, None
        # the training of what a program has just handed in belongs to the program's attempt
        handed_in = bool(state.effect and state.effect.attempt)
        state.error, state.effect = "", None
        try:
            operation, arguments = parse_action(action, OPERATIONS)
            trains = operation.name == "train" and self._trainings_left > 0
            state.attempts += trains and not handed_in
            working_set, effect = operation.run(arguments, state.rows, self._tools())
        except InvalidAction as error:
            state.error = str(error)
            reward -= self.config.invalid_penalty
        else:
            state.rows, state.effect = working_set, effect
            if effect.attempt is not None:
                state.attempts += 1
                state.successful += effect.attempt
            if effect.trains:
                reward += self._evaluate_set()
                state.successful += self._was_valid(state) and not handed_in
        reward -= self._cost(self.broker.used - calls, bool(effect and effect.trains))
        state.seconds += time.monotonic() - began
        terminated = bool(effect and effect.submits)
        truncated = not terminated and self._out_of_steps()
        if terminated or truncated:
            state.ended = "submitted" if terminated else self._ended_by()
            reward += self._finish(effect.choice if effect else None)
        state.log.append(
            {
                "action": loggable(action),
                "reward": reward,
                "error": state.error,
                "set": state.rows.digest,
            }
        )
        self._refresh()
        return self._observation(), float(reward), terminated, truncated, self._info()

    def step_in_vain(self, action: Any) -> None:
        """Carries out an operation and puts the set back as it was; what it cost stays spent.

        For replays that ask what an operation was good for: all that comes after it meets the same
        samples and budgets.
        """
        before = self._running().rows
        self.step(action)
        self._need_state().rows = before
        self._refresh()

    def render(self) -> str | None:
        """The report as text, in ``ansi`` mode."""
        return self.report.to_text() if self.render_mode == "ansi" and self._state else None

    # -- snapshots ------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The episode as plain values, ready for JSON; see `restore`. Holds hidden results."""
        state = self._need_state()
        return {
            "version": SNAPSHOT_VERSION,
            "config": asdict(self.config),
            "np_random": self.np_random.bit_generator.state,
            "rates": self._rates,
            "broker": self.broker.state(),
            "base": self._base.to_dict(),
            "outcome": self.outcome.to_dict() if self.outcome else None,
            "state": state.to_dict(),
        }

    def restore(self, snapshot: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Continues from a snapshot, in this process or another.

        Raises:
            ConfigError: The snapshot has another version or another config.
        """
        if snapshot.get("version") != SNAPSHOT_VERSION:
            raise ConfigError(
                f"snapshot version {snapshot.get('version')!r}, not "
                f"{SNAPSHOT_VERSION}; it was written by another release"
            )
        wanted, own = snapshot["config"], asdict(self.config)
        different = [name for name in own if own[name] != wanted.get(name)]
        if different:
            raise ConfigError(
                "the snapshot has another configuration: "
                + ", ".join(
                    f"{name} {wanted.get(name)!r} instead of {own[name]!r}" for name in different
                )
            )
        self.np_random.bit_generator.state = snapshot["np_random"]
        state = EpisodeState.from_dict(snapshot["state"])
        self._begin(state, snapshot["rates"], Scores.from_dict(snapshot["base"]))
        self.broker.restore(snapshot["broker"])
        self.outcome = Outcome.from_dict(snapshot["outcome"]) if snapshot["outcome"] else None
        if self.outcome and self.outcome.evaluation:
            self._choice = self.outcome.evaluation - 1
        self._refresh()
        return self._observation(), self._info()

    def fork(self) -> DataEnv:
        """An independent copy of the running episode; shares the student and nothing else."""
        twin = DataEnv(self.render_mode, self.config, self.student)
        twin._cache = self._cache.copy()
        twin.np_random = np.random.default_rng(0)
        twin.restore(self.snapshot())
        return twin

    # -- what controllers and scripts may read --------------------------------------------------

    @cached_property
    def _world(self) -> World:
        return open_world(self.config, self._keyless)

    @property
    def student(self) -> Student:
        """The base student, loaded on first use."""
        if self._student is None:
            self._student = student_of(self.config)
        return self._student

    @property
    def working_set(self) -> WorkingSet:
        """The rows so far."""
        return self._need_state().rows

    @property
    def key(self) -> str:
        """The episode's key, which seeds training; for records, not for controllers."""
        return self._need_state().key

    @property
    def target_number(self) -> int:
        """The number of the target; see `SPLITS`."""
        return self._need_state().target

    @property
    def log(self) -> list[dict[str, Any]]:
        """The actions so far with their rewards."""
        return list(self._need_state().log)

    @property
    def evaluations(self) -> list[Scores]:
        """All evaluated sets, with hidden scores: for records, not for controllers."""
        return list(self._need_state().evaluated)

    def private_scores(self) -> list[float]:
        """Private scores of all evaluated sets, for records; there are none before the end, when they
        could steer.

        Raises:
            ConfigError: The episode is not over.
        """
        state = self._need_state()
        if not state.ended:
            raise ConfigError("private scores are told when the episode is over; submit first")
        return [self._laboratory.private(each.rows).score for each in state.evaluated]

    @property
    def base_scores(self) -> Scores:
        """Of the base, with hidden scores: for records, not for controllers."""
        self._need_state()
        return self._base

    def submission(self) -> WorkingSet:
        """The set that was submitted, or would be now."""
        choice = self._submission_index(self._choice)
        state = self._need_state()
        if choice is not None:
            return state.evaluated[choice].rows
        return state.rows if self._is_valid(state.rows) else WorkingSet()

    def insert_reference(self, source: str, count: int, seed: int) -> None:
        """Puts rows from the private distribution into the set, and marks the episode.

        Args:
            source: ``clean`` for right solutions, ``teacher`` for the teacher's own.
            count: How many rows; the teacher's are charged, and what it garbles is left out.
            seed: Of the draw.

        Raises:
            ConfigError: The task has no reference, or `source` is unknown.
        """
        from dataenv.operations.writing import solved

        if self.task.reference is None or source not in ("clean", "teacher"):
            raise ConfigError(f"no reference {source!r} for the task {self.task.name!r}")
        state = self._running()
        rows = self.task.reference(count, seed)
        if source == "teacher":
            rows = solved(rows, self._tools())
        state.rows = state.rows.extended(rows)
        self.mark_privileged()
        self._refresh()

    def mark_privileged(self) -> None:
        """Marks the episode as one whose controller saw what none may see."""
        state = self._running()
        state.flags = tuple(dict.fromkeys((*state.flags, "privileged")))

    def operation_mask(self) -> dict[str, bool]:
        """Which operations can be of use now: exhausted budgets rule theirs out."""
        state = self._need_state()
        calls, rows = self.broker.left > 0, len(state.rows) > 0
        needs_call = {"generate", "label", "expand", "rewrite", "verify"}
        needs_rows = {
            "expand",
            "rewrite",
            "verify",
            "filter",
            "dedup",
            "decontaminate",
            "select",
            "rebalance",
            "order",
            "drop",
        }
        mask = {
            name: (name not in needs_call or calls) and (name not in needs_rows or rows)
            for name in OPERATIONS
        }
        mask["train"] = self._trainings_left > 0 and len(state.rows) >= self.config.min_rows
        mask["draw"] = bool(self.task.pool)
        mask["label"] &= bool(self.task.seeds)
        mask["revert"] = bool(state.evaluated)
        mask["program"] = self.config.unsafe_no_sandbox or not sandbox_problem()
        return mask

    # -- inside ---------------------------------------------------------------------------------

    def _read_options(self, options: dict[str, Any]) -> tuple[int, dict[str, float]]:
        unknown = set(options) - {"split", "target", "teacher"}
        if unknown:
            raise ConfigError(
                f"unknown reset options {sorted(unknown)}; known: split, target, teacher"
            )
        split = options.get("split", self.config.split)
        if split not in SPLITS:
            raise ConfigError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        targets = self._world.targets[split]
        target = targets.start + int(self.np_random.integers(len(targets)))
        if options.get("target") is not None:
            target = options["target"]
            if not isinstance(target, int) or target not in targets:
                raise ConfigError(
                    f"target must be in {targets} for split {split!r}, got {target!r}"
                )
        return target, teacher_rates(self.config.teacher) | (options.get("teacher") or {})

    def _begin(self, state: EpisodeState, rates: dict, base: Scores | None = None) -> None:
        """Sets up all that follows from config, target and key."""
        config = self.config
        self._state, self._rates = state, rates
        self._choice = None
        self.outcome = None
        self.task: Task = self._cache.task(
            config, state.target, lambda: self._world.task(state.target)
        )
        self.topics: TopicModel = self._cache.remember(
            digest("topics", state.target), lambda: TopicModel(self.task.public)
        )
        self._overlap = self._cache.remember(
            digest("overlap", state.target), lambda: OverlapIndex(self.task, self.task.public)
        )
        self._laboratory = laboratory_of(config)(
            self.student, config, self.task, state.key, self._overlap, self._cache, self.seconds
        )
        teacher, experts = self._world.teachers(state.key, rates)
        experts = {
            name: Expert(_Timed(each.teacher, self.seconds), each.price)
            for name, each in experts.items()
        }
        self.broker = Broker(
            _Timed(teacher, self.seconds), config.calls, state.key, experts, patience_of(config)
        )
        self.action_space.briefs = BRIEFS + tuple(f"problems about {t}" for t in self.task.topics)
        self._base = base or self._laboratory.base_scores()
        self._refresh()

    def _need_state(self) -> EpisodeState:
        if self._state is None:
            raise gym.error.ResetNeeded("call reset() before using the environment")
        return self._state

    def _running(self) -> EpisodeState:
        state = self._need_state()
        if state.ended:
            raise gym.error.ResetNeeded("the episode is over; call reset()")
        return state

    @property
    def _trainings_left(self) -> int:
        return self.config.trainings - self._need_state().trainings

    @property
    def _seconds_left(self) -> float:
        limit = self.config.wall_clock_s
        return math.inf if limit is None else limit - self._need_state().seconds

    def _out_of_steps(self) -> bool:
        return self._need_state().step >= self.config.steps or self._seconds_left <= 0

    def _ended_by(self) -> str:
        return "steps" if self._need_state().step >= self.config.steps else "wall_clock"

    def _is_valid(self, rows: WorkingSet) -> bool:
        return len(rows) >= self.config.min_rows

    def _cost(self, calls: int, trained: bool) -> float:
        share = calls / max(1, self.config.calls) + trained / self.config.trainings
        return self.config.cost_weight * share

    def _tools(self) -> Tools:
        state = self._need_state()
        newest = state.evaluated[-1].rows if state.evaluated else None
        return Tools(
            task=self.task,
            broker=self.broker,
            topics=self.topics,
            overlap=self._overlap,
            report=self.report,
            newest=(state.evaluated[-1] if state.evaluated else self._base).public,
            evaluated=tuple(each.rows for each in state.evaluated),
            best=self._best(),
            row_losses=lambda rows: self._laboratory.row_losses(rows, newest),
            row_influences=lambda rows: self._laboratory.row_influences(rows, newest),
            row_ifd=lambda rows: self._laboratory.row_ifd(rows, newest),
            row_likeness=lambda rows: self._laboratory.row_likeness(rows, newest),
            trainings_left=self._trainings_left,
            min_rows=self.config.min_rows,
            max_rows=self.config.max_rows,
            max_tokens=self.config.training.max_tokens,
            count_tokens=self.student.count_tokens,
            key=state.key,
            step=state.step,
            programs=Programs(
                self.config.program,
                self.config.calls_per_program,
                self._seconds_left,
                not self.config.unsafe_no_sandbox,
            ),
        )

    def _evaluate_set(self) -> float:
        """Trains and evaluates the working set, and returns the dense reward."""
        state = self._need_state()
        state.trainings += 1
        before = (state.evaluated[-1] if state.evaluated else self._base).reward.score
        scores = self._laboratory.scores(state.rows)
        state.evaluated.append(scores)
        return scores.reward.score - before if self.config.reward_mode == "dense" else 0.0

    def _was_valid(self, state: EpisodeState) -> bool:
        """Whether the set that was just trained on had enough rows that could be."""
        dropped = len(state.evaluated[-1].dropped)
        return min(len(state.rows), self.config.max_rows) - dropped >= self.config.min_rows

    def _best(self) -> int | None:
        """The best evaluated set by public score, the earliest on ties."""
        scored = [each.public.score for each in self._need_state().evaluated]
        return scored.index(max(scored)) if scored else None

    def _submission_index(self, choice: int | None) -> int | None:
        return self._best() if choice is None else choice

    def _finish(self, choice: int | None) -> float:
        """Fixes the submission, scores it on private items, and returns the last reward."""
        state, config = self._need_state(), self.config
        self._choice = choice
        index = self._submission_index(choice)
        flags = list(state.flags)
        last = (state.evaluated[-1] if state.evaluated else self._base).reward.score
        if index is not None:
            final = state.evaluated[index]
        elif self._is_valid(state.rows):
            final = self._laboratory.scores(state.rows)
        else:
            final = self._base
            flags.append("no_submission")
        if final.diverged:
            flags.append("diverged")
        if config.reward_mode == "final":
            last = self._base.reward.score
        self.outcome = self._outcome(final, index, flags)
        return final.reward.score - last

    def _outcome(self, final: Scores, index: int | None, flags: list[str]) -> Outcome:
        state, config = self._need_state(), self.config
        before = after = None
        if config.score_private:
            before = self._laboratory.private(None)
            after = self._laboratory.private(final.rows)
        gain = gain_interval = percent = None
        gap: Difference | None = None
        intervals: tuple[tuple[float, float], ...] = ()
        flipped: tuple[tuple[str, str, str, str], ...] = ()
        if before and after:
            spread = paired_bootstrap(before.correct, after.correct)
            gain = 100 * (after.score - before.score)
            gain_interval = _in_points(spread)
            percent = gain / before.score if before.score else None
            intervals = tuple((e.interval.low, e.interval.high) for e in (before, after))
            flipped = _flipped(self.task.private, before, after)
            gap = public_gap(final.public, after, len(state.evaluated))
            if gap.p < PUBLIC_GAP_LEVEL:
                flags.append("public_gap")
        number = index + 1 if index is not None else (0 if "no_submission" in flags else None)
        return Outcome(
            ended=state.ended,
            flags=tuple(flags),
            evaluation=number,
            rows=len(final.rows),
            submission=final.rows.digest,
            base=(self._base.public.score, before.score if before else None),
            final=(final.public.score, after.score if after else None),
            private_interval=intervals,
            gain_points=gain,
            gain_interval_points=gain_interval,
            gain_percent=percent,
            retention=(self._base.retention, final.retention),
            attempts=state.attempts,
            successful=state.successful,
            mats=state.attempts / state.successful if state.successful else None,
            budget=tuple((a, u, m) for a, (u, m) in self._budget()),
            flipped=flipped,
            private_overlap=self._overlap_with_private(final.rows) if before else 0,
            contaminated=final.contaminated,
            suspects=len(final.suspects),
            public_gap_points=100 * gap.value if gap else None,
            public_gap_interval_points=_in_points(gap.interval) if gap else None,
            public_gap_p=gap.p if gap else None,
        )

    def _overlap_with_private(self, rows: WorkingSet) -> int:
        """Rows that are private items in disguise; audited here, as any earlier it would be an
        oracle."""
        index = self._cache.remember(
            digest("private overlap", self._need_state().target),
            lambda: OverlapIndex(self.task, self.task.private),
        )
        return sum(index.find(row) is not None for row in rows)

    def _budget(self) -> tuple[tuple[str, tuple[float, float]], ...]:
        state = self._need_state()
        return (
            ("calls", (self.broker.used, self.config.calls)),
            ("trainings", (state.trainings, self.config.trainings)),
            ("steps", (state.step, self.config.steps)),
        )

    def _refresh(self) -> None:
        """Writes the report anew."""
        state = self._need_state()
        self.report = write_report(
            self.task, self.topics, state, self._base, self._best(), self._budget()
        )

    def _observation(self) -> dict[str, np.ndarray]:
        state = self._need_state()
        return to_observation(self.report, self.config, state.effect, bool(state.error))

    def _info(self) -> dict[str, Any]:
        return {"report": self.report} | ({"outcome": self.outcome} if self.outcome else {})


UNSAFE = (
    "WARNING: unsafe_no_sandbox: programs run WITHOUT ISOLATION, with all rights of this user: files, "
    "keys, network. The result is marked as unisolated and is not ranked.\n"
)
PUBLIC_GAP_LEVEL = 0.01
"""The p-value of a public score's lead below which an episode is flagged."""


def public_gap(public: Evaluation, private: Evaluation, evaluations: int) -> Difference:
    """How far a set's public score exceeds its private one, by more than luck.

    The submitted set is the best of several by public score, so the p-value is multiplied by their
    number (Bonferroni; Dunn 1961, JASA 56:52).

    Args:
        public, private: Of the student of the submitted set.
        evaluations: How many sets there were to choose from.
    """
    counts = [(sum(each.correct), len(each.correct)) for each in (public, private)]
    found = excess(*counts[0], *counts[1])
    return dataclasses.replace(found, p=min(1.0, found.p * max(1, evaluations)))


def _in_points(interval: Interval) -> tuple[float, float]:
    return 100 * interval.low, 100 * interval.high


def patience_of(config: EnvConfig) -> Patience:
    """How long a teacher is asked again; a tape answers at once."""
    endpoint = config.endpoint
    first = 0.0 if config.tape_mode == "replay" else Patience.first_s
    return Patience(endpoint.attempts, endpoint.deadline_s, first)


class _Timed:
    """A teacher whose seconds are counted."""

    def __init__(self, teacher: Any, seconds: dict[str, float]) -> None:
        self.teacher, self.seconds, self.name = teacher, seconds, teacher.name

    def complete(self, requests: Any) -> Any:
        began = time.perf_counter()
        replies = self.teacher.complete(requests)
        self.seconds["teacher"] += time.perf_counter() - began
        return replies


def _flipped(items: tuple[Item, ...], before: Evaluation, after: Evaluation):
    """Up to three items of different topics that went from wrong to right."""
    found: dict[str, tuple[str, str, str, str]] = {}
    for i, item in enumerate(items):
        if after.correct[i] and not before.correct[i] and item.topic not in found:
            found[item.topic] = (item.prompt, item.gold, before.answers[i], after.answers[i])
    return tuple(found.values())[:3]
