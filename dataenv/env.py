"""The environment: curate, train, evaluate, reward."""

from __future__ import annotations

import dataclasses
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dataenv.config import from_mapping
from dataenv.contamination import OverlapIndex
from dataenv.errors import ConfigError, InvalidAction
from dataenv.evaluation import (
    MAX_SLICES,
    EvalReport,
    Evaluation,
    answer_log_likelihood,
    bad_cases,
    evaluate_groups,
    slices,
)
from dataenv.hashing import digest
from dataenv.operations import OPERATIONS, Effect, Tools, parse_action
from dataenv.presets import EnvConfig
from dataenv.rows import WorkingSet
from dataenv.spaces import BRIEFS, OperationSpace
from dataenv.statistics import paired_bootstrap, smallest_detectable_gain
from dataenv.students import load_student
from dataenv.students.base import BASE, Student, Trained
from dataenv.tasks.base import Item, Task
from dataenv.teachers import teacher_rates
from dataenv.teachers.broker import Broker, Expert
from dataenv.topics import TopicModel

SNAPSHOT_VERSION = 1
CACHE_SIZE = 64
SLICE_FEATURES = 8


@dataclass(frozen=True)
class Scores:
    """One evaluated set."""

    rows: WorkingSet
    public: Evaluation
    reward: Evaluation
    retention: float
    log_likelihood: float
    diverged: str = ""
    contaminated: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **asdict(self),
            "rows": self.rows.to_dict(),
            "public": self.public.to_dict(),
            "reward": self.reward.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Scores:
        """The inverse of `to_dict`."""
        return cls(
            **{
                **data,
                "rows": WorkingSet.from_dict(data["rows"]),
                "public": Evaluation.from_dict(data["public"]),
                "reward": Evaluation.from_dict(data["reward"]),
            }
        )


@dataclass(frozen=True)
class Outcome:
    """How an episode ended: plain values, frozen.

    Args:
        ended: ``submitted``, ``steps`` or ``wall_clock``.
        flags: E.g. ``no_submission``, ``diverged``.
        evaluation: Number of the submitted evaluation, 0 for the base, None for an unevaluated set.
        rows: Rows of the submission. submission: its hash.
        base, final: (public, private) scores; private is None if it was not scored.
        private_interval: 95% intervals of base and final private score.
        gain_points, gain_interval_points: Private gain, paired over items, in points.
        gain_percent: Relative gain; None for a base of 0 or without private scores.
        retention: (base, final) on general items.
        attempts, successful, mats: See the glossary; mats is None without a success.
        budget: (axis, used, limit).
        flipped: Up to three private items that went from wrong to right: prompt, gold, before, after.
    """

    ended: str
    flags: tuple[str, ...]
    evaluation: int | None
    rows: int
    submission: str
    base: tuple[float, float | None]
    final: tuple[float, float | None]
    private_interval: tuple[tuple[float, float], ...]
    gain_points: float | None
    gain_interval_points: tuple[float, float] | None
    gain_percent: float | None
    retention: tuple[float, float]
    attempts: int
    successful: int
    mats: float | None
    budget: tuple[tuple[str, float, float], ...]
    flipped: tuple[tuple[str, str, str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Fresh plain values, ready for JSON."""
        return asdict(self)


@dataclass
class EpisodeState:
    """What changes in an episode. Everything else follows from config, target and key."""

    target: int
    key: str
    rows: WorkingSet = field(default_factory=WorkingSet)
    log: list[dict[str, Any]] = field(default_factory=list)
    evaluated: list[Scores] = field(default_factory=list)
    step: int = 0
    trainings: int = 0
    attempts: int = 0
    successful: int = 0
    seconds: float = 0.0
    ended: str = ""
    effect: Effect | None = None
    error: str = ""
    flags: tuple[str, ...] = ()


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
    already. ``reset(options=...)`` takes ``split`` and ``target``
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
        **fields: Any,
    ) -> None:
        if isinstance(student, str):
            fields["student"], student = student, None
        self.config = config or from_mapping(EnvConfig, fields)
        if config and fields:
            raise ConfigError(f"give config or fields, not both: {', '.join(fields)}")
        if render_mode not in (None, "ansi"):
            raise ConfigError(f"render_mode must be 'ansi' or None, got {render_mode!r}")
        self.render_mode = render_mode
        self.action_space: OperationSpace = OperationSpace()
        self.observation_space = spaces.Dict(
            {
                name: spaces.Box(-1.0, 1.0, shape, np.float32)
                for name, shape in (
                    ("score", (3,)),
                    ("slices", (MAX_SLICES, SLICE_FEATURES)),
                    ("set", (4,)),
                    ("budget", (3,)),
                    ("effect", (5,)),
                )
            }
        )
        self._student = student
        self._state: EpisodeState | None = None
        self._cache: OrderedDict[str, Any] = OrderedDict()
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
        target, rates = self._read_options(options or {})
        key = digest("episode", int(self.np_random.integers(2**62)))
        self._begin(EpisodeState(target=target, key=key), rates)
        return self._observation(), self._info()

    def step(self, action: Any):
        """Carries out one operation. Never raises for a bad action."""
        state = self._running()
        began = time.monotonic()
        state.step += 1
        calls = self.broker.used
        reward, effect = 0.0, None
        state.error, state.effect = "", None
        try:
            operation, arguments = parse_action(action, OPERATIONS)
            state.attempts += operation.name == "train" and self._trainings_left > 0
            working_set, effect = operation.run(arguments, state.rows, self._tools())
        except InvalidAction as error:
            state.error = str(error)
            reward -= self.config.invalid_penalty
        else:
            state.rows, state.effect = working_set, effect
            if effect.trains:
                reward += self._evaluate_set()
        reward -= self._cost(self.broker.used - calls, bool(effect and effect.trains))
        state.seconds += time.monotonic() - began
        terminated = bool(effect and effect.submits)
        truncated = not terminated and self._out_of_steps()
        if terminated or truncated:
            state.ended = "submitted" if terminated else self._ended_by()
            reward += self._finish(effect.choice if effect else None)
        state.log.append(
            {
                "action": _loggable(action),
                "reward": reward,
                "error": state.error,
                "set": state.rows.digest,
            }
        )
        self._refresh()
        return self._observation(), float(reward), terminated, truncated, self._info()

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
            "state": {
                **{f.name: getattr(state, f.name) for f in dataclasses.fields(state)},
                "rows": state.rows.to_dict(),
                "log": list(state.log),
                "evaluated": [each.to_dict() for each in state.evaluated],
                "effect": asdict(state.effect) if state.effect else None,
            },
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
        different = [name for name in own if _listed(own[name]) != _listed(wanted.get(name))]
        if different:
            raise ConfigError(
                "the snapshot has another configuration: "
                + ", ".join(
                    f"{name} {wanted.get(name)!r} instead of {own[name]!r}" for name in different
                )
            )
        self.np_random.bit_generator.state = snapshot["np_random"]
        saved = dict(snapshot["state"])
        saved["rows"] = WorkingSet.from_dict(saved["rows"])
        saved["log"] = list(saved["log"])
        saved["evaluated"] = [Scores.from_dict(each) for each in saved["evaluated"]]
        saved["effect"] = _effect_from(saved["effect"])
        saved["flags"] = tuple(saved["flags"])
        self._begin(EpisodeState(**saved), snapshot["rates"], Scores.from_dict(snapshot["base"]))
        self.broker.restore(snapshot["broker"])
        self.outcome = _outcome_from(snapshot["outcome"])
        self._refresh()
        return self._observation(), self._info()

    def fork(self) -> DataEnv:
        """An independent copy of the running episode; shares the student and nothing else."""
        twin = DataEnv(self.render_mode, self.config, self.student)
        twin._cache = OrderedDict(self._cache)
        twin.np_random = np.random.default_rng(0)
        twin.restore(self.snapshot())
        return twin

    # -- what controllers and scripts may read --------------------------------------------------

    @property
    def student(self) -> Student:
        """The base student, loaded on first use."""
        if self._student is None:
            self._student = load_student(self.config.student, self.config.threads)
        return self._student

    @property
    def working_set(self) -> WorkingSet:
        """The rows so far."""
        return self._need_state().rows

    @property
    def log(self) -> list[dict[str, Any]]:
        """The actions so far with their rewards."""
        return list(self._need_state().log)

    @property
    def evaluations(self) -> list[Scores]:
        """All evaluated sets, with hidden scores: for records, not for controllers."""
        return list(self._need_state().evaluated)

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
        state.flags = (*state.flags, "privileged")
        self._refresh()

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
        mask["revert"] = bool(state.evaluated)
        return mask

    # -- inside ---------------------------------------------------------------------------------

    def _read_options(self, options: dict[str, Any]) -> tuple[int, dict[str, float]]:
        from dataenv.tasks.procedural.targets import SPLITS

        unknown = set(options) - {"split", "target", "teacher"}
        if unknown:
            raise ConfigError(
                f"unknown reset options {sorted(unknown)}; known: split, target, teacher"
            )
        split = options.get("split", self.config.split)
        if split not in SPLITS:
            raise ConfigError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        drawn = int(self.np_random.integers(len(SPLITS[split])))
        target = SPLITS[split].start + drawn
        if options.get("target") is not None:
            target = options["target"]
            if not isinstance(target, int) or target not in SPLITS[split]:
                raise ConfigError(
                    f"target must be in {SPLITS[split]} for split {split!r}, got {target!r}"
                )
        return target, teacher_rates(self.config.teacher) | (options.get("teacher") or {})

    def _begin(self, state: EpisodeState, rates: dict, base: Scores | None = None) -> None:
        """Sets up all that follows from config, target and key."""
        from dataenv.tasks.procedural.targets import build_task, get_domain
        from dataenv.teachers.procedural import ProceduralTeacher, experts_of, profile_of

        config = self.config
        domain = get_domain(config.domain)
        self._state, self._rates = state, rates
        self._choice: int | None = None
        self.outcome = None
        self.task: Task = self._remember(
            digest("task", state.target),
            lambda: build_task(
                domain,
                state.target,
                public=config.public,
                reward=config.reward,
                private=config.private,
                seeds=config.seeds,
                retention=config.retention,
            ),
        )
        self.topics: TopicModel = self._remember(
            digest("topics", state.target), lambda: TopicModel(self.task.public)
        )
        self._overlap: OverlapIndex = self._remember(
            digest("overlap", state.target), lambda: OverlapIndex(self.task, self.task.public)
        )
        teacher = ProceduralTeacher(domain, profile_of(state.key, **rates))
        experts = {
            name: Expert(_Timed(each.teacher, self.seconds), each.price)
            for name, each in experts_of(domain, state.key, domain.executable).items()
        }
        self.broker = Broker(_Timed(teacher, self.seconds), config.calls, state.key, experts)
        self.action_space.briefs = BRIEFS + tuple(f"problems about {t}" for t in self.task.topics)
        self._base = base or self._remember(
            digest("base", state.target), lambda: self._scores(WorkingSet(), BASE)
        )
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

    def _out_of_steps(self) -> bool:
        state, limit = self._need_state(), self.config.wall_clock_s
        return state.step >= self.config.steps or (limit is not None and state.seconds >= limit)

    def _ended_by(self) -> str:
        return "steps" if self._need_state().step >= self.config.steps else "wall_clock"

    def _is_valid(self, rows: WorkingSet) -> bool:
        return len(rows) >= self.config.min_rows

    def _cost(self, calls: int, trained: bool) -> float:
        share = calls / self.config.calls + trained / self.config.trainings
        return self.config.cost_weight * share

    def _tools(self) -> Tools:
        state = self._need_state()
        return Tools(
            task=self.task,
            broker=self.broker,
            topics=self.topics,
            report=self.report,
            evaluated=tuple(each.rows for each in state.evaluated),
            best=self._best(),
            row_losses=self._row_losses,
            trainings_left=self._trainings_left,
            min_rows=self.config.min_rows,
            max_rows=self.config.max_rows,
            max_tokens=self.config.training.max_tokens,
            count_tokens=self.student.count_tokens,
            key=state.key,
            step=state.step,
        )

    def _row_losses(self, rows: WorkingSet) -> list[float]:
        state = self._need_state()
        trained = self._train(state.evaluated[-1].rows) if state.evaluated else BASE
        scores = self.student.log_likelihood(
            trained, [row.prompt for row in rows], [row.output for row in rows]
        )
        return [-score for score in scores]

    def _remember(self, key: str, make: Any) -> Any:
        """A small least-recently-used cache of tasks, weights and evaluations."""
        if key not in self._cache:
            self._cache[key] = make()
            while len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return self._cache[key]

    def _training_rows(self, rows: WorkingSet) -> tuple[WorkingSet, int]:
        """What is trained of a set: its first rows, without repeats of public items."""
        used = WorkingSet(rows.rows[: self.config.max_rows], rows.sequential)
        clean = [self._overlap.find(row) is None for row in used]
        return used.kept(clean), clean.count(False)

    def _train(self, rows: WorkingSet) -> Trained:
        used, _ = self._training_rows(rows)
        if not len(used):
            return BASE
        state = self._need_state()
        key = digest(
            "train", self.student.fingerprint, used.digest, asdict(self.config.training), state.key
        )

        def fit() -> Trained:
            began = time.perf_counter()
            trained = self.student.train(used, self.config.training, state.key)
            self.seconds["train"] += time.perf_counter() - began
            return trained

        return self._remember(key, fit)

    def _ask(self, trained: Trained, *groups: tuple[tuple[Item, ...], str]) -> list[Evaluation]:
        began = time.perf_counter()
        found = evaluate_groups(self.student, trained, groups, self.config.decoding)
        self.seconds["decode"] += time.perf_counter() - began
        return found

    def _scores(self, rows: WorkingSet, trained: Trained) -> Scores:
        task = self.task
        items = (*task.public, *task.reward)
        both, general = self._ask(
            trained, (items, task.grader), (task.retention, task.retention_grader)
        )
        began = time.perf_counter()
        likelihood = answer_log_likelihood(self.student, trained, task.public)
        self.seconds["decode"] += time.perf_counter() - began
        public = both.part(0, len(task.public))
        hidden = both.part(len(task.public), len(items)) if task.reward else public
        return Scores(rows, public, hidden, general.score, likelihood, trained.diverged)

    def _trained_scores(self, rows: WorkingSet) -> Scores:
        used, contaminated = self._training_rows(rows)
        key = digest("scores", self._need_state().key, used.digest)
        found = self._remember(key, lambda: self._scores(rows, self._train(rows)))
        return dataclasses.replace(found, rows=rows, contaminated=contaminated)

    def _evaluate_set(self) -> float:
        """Trains and evaluates the working set, and returns the dense reward."""
        state = self._need_state()
        state.trainings += 1
        before = (state.evaluated[-1] if state.evaluated else self._base).reward.score
        scores = self._trained_scores(state.rows)
        used, _ = self._training_rows(state.rows)
        state.successful += self._is_valid(used)
        state.evaluated.append(scores)
        return scores.reward.score - before if self.config.reward_mode == "dense" else 0.0

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
            final = self._trained_scores(state.rows)
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
            before = self._private(BASE, "base")
            after = self._private(self._train(final.rows), final.rows.digest)
        gain = gain_interval = percent = None
        intervals: tuple[tuple[float, float], ...] = ()
        flipped: tuple[tuple[str, str, str, str], ...] = ()
        if before and after:
            spread = paired_bootstrap(before.correct, after.correct)
            gain = 100 * (after.score - before.score)
            gain_interval = (100 * spread.low, 100 * spread.high)
            percent = gain / before.score if before.score else None
            intervals = tuple((e.interval.low, e.interval.high) for e in (before, after))
            flipped = _flipped(self.task.private, before, after)
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
        )

    def _private(self, trained: Trained, name: str) -> Evaluation:
        state = self._need_state()
        key = digest(
            "private",
            self.student.fingerprint,
            state.target,
            state.key * (name != "base"),
            name,
            asdict(self.config),
        )
        return self._remember(
            key, lambda: self._ask(trained, (self.task.private, self.task.grader))[0]
        )

    def _budget(self) -> tuple[tuple[str, tuple[float, float]], ...]:
        state = self._need_state()
        return (
            ("calls", (self.broker.used, self.config.calls)),
            ("trainings", (state.trainings, self.config.trainings)),
            ("steps", (state.step, self.config.steps)),
        )

    def _refresh(self) -> None:
        """Writes the report anew."""
        state, task = self._need_state(), self.task
        history = [self._base, *state.evaluated]
        now, before = history[-1], history[-2] if len(history) > 1 else None
        best = self._best()
        self.report = EvalReport(
            evaluation=len(state.evaluated),
            score=now.public.score,
            interval=(now.public.interval.low, now.public.interval.high),
            n=len(task.public),
            base_score=self._base.public.score,
            best_score=max(each.public.score for each in history)
            if best is None
            else state.evaluated[best].public.score,
            log_likelihood=now.log_likelihood,
            retention=now.retention,
            extraction_failures=now.public.extraction_failures,
            truncated=sum(now.public.truncated),
            detectable_gain=smallest_detectable_gain(len(task.public)),
            slices=slices(
                task.public,
                now.public,
                before.public if before else None,
                self._topics_of(state.rows),
                self._topics_of(before.rows if before else WorkingSet()),
                self._topics_of(now.rows),
            ),
            bad_cases=bad_cases(task.public, now.public),
            set=self._set_statistics(now),
            budget=self._budget(),
            effect=state.effect.to_pairs() if state.effect else (),
            error=state.error,
            reward_split="reward" if task.reward else "public",
        )

    def _topics_of(self, rows: WorkingSet) -> list[tuple[str, bool]]:
        return [(self.topics.topic_of(row.prompt), row.verified) for row in rows]

    def _set_statistics(self, now: Scores) -> tuple[tuple[str, Any], ...]:
        rows = self._need_state().rows
        lengths = [len(row.prompt) + len(row.output) for row in rows] or [0]
        return (
            ("rows", len(rows)),
            ("distinct", len({row.prompt for row in rows})),
            ("checked", sum(row.verified for row in rows)),
            ("longest_characters", max(lengths)),
            ("hash", rows.digest),
            ("contaminated_in_training", now.contaminated),
            ("diverged", now.diverged),
        )

    def _observation(self) -> dict[str, np.ndarray]:
        report, config, state = self.report, self.config, self._need_state()
        rows = dict(report.set)
        size = max(1, rows["rows"])
        table = np.zeros((MAX_SLICES, SLICE_FEATURES))
        for place, each in enumerate(report.slices):
            table[place] = (
                each.score,
                each.n / report.n,
                each.rows / config.max_rows,
                each.share,
                each.change,
                each.progress * config.min_rows,
                each.verified,
                1.0,
            )
        effect = state.effect or Effect("")
        values = {
            "score": (
                report.score,
                np.sqrt(report.score * (1 - report.score) / report.n),
                report.base_score,
            ),
            "slices": table,
            "set": (
                rows["rows"] / config.max_rows,
                rows["distinct"] / size,
                rows["checked"] / size,
                rows["longest_characters"] / 1000,
            ),
            "budget": [1 - used / limit for _, (used, limit) in report.budget],
            "effect": (
                effect.added / config.max_rows,
                len(effect.dropped) / config.max_rows,
                effect.calls / config.calls,
                effect.trains,
                bool(state.error),
            ),
        }
        return {
            name: np.clip(np.asarray(value, np.float32), -1, 1) for name, value in values.items()
        }

    def _info(self) -> dict[str, Any]:
        return {"report": self.report} | ({"outcome": self.outcome} if self.outcome else {})


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


def _loggable(action: Any) -> Any:
    """An action as plain values; what cannot be JSON is cut to its repr."""
    if isinstance(action, dict) and len(repr(action)) < 100_000:
        return {str(k): _plain(v) for k, v in action.items()}
    return {"invalid": repr(action)[:200]}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return value.item()
    return value if isinstance(value, str | int | float | bool | None) else repr(value)[:200]


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list | tuple) else value


def _effect_from(data: dict[str, Any] | None) -> Effect | None:
    return Effect(**{name: _tuples(value) for name, value in data.items()}) if data else None


def _outcome_from(data: dict[str, Any] | None) -> Outcome | None:
    return Outcome(**{name: _tuples(value) for name, value in data.items()}) if data else None
