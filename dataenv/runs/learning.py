"""Learning to curate: a learner asks for episodes on training targets and is told how they went.

A round is asked for, played by as many processes as there are cores to spare, told and kept, in this
order; each episode is kept as it ends. Everything is drawn from the seed and the number of the round, so
that a learner that was killed goes on as if it had not been.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from dataenv.config import from_mapping, require
from dataenv.env import DataEnv
from dataenv.errors import ConfigError, LearningFault, StoreFault
from dataenv.hashing import digest, rng_of, seed_of
from dataenv.lock import name_of_worlds
from dataenv.policy import Policy, run_episode
from dataenv.presets import SPLITS, SURROGATE, EnvConfig
from dataenv.registry import config_of, learner_table, make_learner, read_yaml
from dataenv.runs.files import claim, replace_text
from dataenv.runs.processes import in_processes, in_turn
from dataenv.runs.resumable import end_cut_line, read_records
from dataenv.runs.trackers import INDEX, About, Tracker, tracking

OTHERWISE = "other worlds, another surrogate or another policy to begin with"
EPISODES, ROUNDS, STATE, LEARNED = "episodes.jsonl", "rounds.jsonl", "state.json", "learned.json"


@dataclass(frozen=True)
class LearnConfig:
    """What is learned on what. Keys of its YAML file are these fields."""

    learner: str
    """A name of `dataenv.registry.learner_table`."""
    tasks: tuple[str, ...]
    """Registered ids or YAML files, as for `dataenv run`; scenes take them in turn."""
    set: dict[str, Any] = field(default_factory=dict)
    """Fields of the tasks' configurations that are other than there."""
    targets: int = 1000
    """How many targets of the training split scenes are drawn from."""
    teachers: tuple[dict[str, float], ...] = ()
    """Error rates of the teacher that scenes take in turn; none: the usual ones. Which topics it is weak
    at is drawn anew in every scene."""
    trainings: int = 1000
    """Trainings of students after which no round is begun."""
    seed: int = 0
    """Of all chance."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The learner's own."""
    start: str = ""
    """A learned policy to begin with; empty: from scratch."""

    def __post_init__(self) -> None:
        require(bool(self.tasks), "tasks", self.tasks, "a list that is not empty")
        require(self.trainings >= 1, "trainings", self.trainings, "at least 1")
        limit = len(SPLITS["train"])
        require(1 <= self.targets <= limit, "targets", self.targets, f"1 to {limit}")


@dataclass(frozen=True)
class Scene:
    """What is the same for all that are compared: a task, a target, and the seed of the episode.

    Args:
        task: As in `LearnConfig.tasks`.
        target: Its number.
        seed: Of the episode, which draws the teacher's profile.
        teacher: Error rates that are other than usual.
    """

    task: str
    target: int
    seed: int
    teacher: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """A scene, and who is to play in it.

    Args:
        learner: Its name.
        changes: Fields of the task's configuration.
        scene: The scene.
        candidates: Numbers and plain values of the policies.
    """

    learner: str
    changes: Mapping[str, Any]
    scene: Scene
    candidates: tuple[tuple[int, Any], ...]


Asked = list[tuple[Scene, list[Any]]]
"""Candidates by scene: plain values, of which `Learner.policy` makes policies."""


class Learner(Protocol):
    """Whatever learns from whole episodes."""

    def ask(self, scenes: Callable[[int], list[Scene]]) -> Asked:
        """The next round; ``scenes(n)`` draws n scenes."""
        ...

    @staticmethod
    def policy(candidate: Any) -> Policy:
        """The controller that a candidate stands for. What its ``trace()``, if it has one, returns
        after the episode comes back with the result."""
        ...

    def tell(self, results: Sequence[Sequence[Mapping[str, Any]]]) -> Mapping[str, float]:
        """Learns from the round, by scene and candidate, and returns what there is to say of it."""
        ...

    def learned(self) -> dict[str, Any]:
        """The policy so far, as `dataenv.registry.make_policy` reads it from a file."""
        ...

    def begin_with(self, learned: Mapping[str, Any]) -> None:
        """Starts from a policy that was learned before.

        Raises:
            ConfigError: It is of another kind.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that it knows, as plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        ...


def read_learning(path: Path, assignments: Sequence[str] = ()) -> LearnConfig:
    """The learning of a YAML file, with ``key=value`` overrides.

    Raises:
        ConfigError: It cannot be read, has an unknown key or a wrong value.
    """
    from dataenv.config import override

    config = override(from_mapping(LearnConfig, read_yaml(path)), assignments)
    for task in config.tasks:
        environment(task, config.set)
    make_learner(config.learner, config.settings, config.seed)
    return config


def environment(task: str, changes: Mapping[str, Any]) -> EnvConfig:
    """The configuration that is learned in; private items are nobody's business there.

    Raises:
        ConfigError: It is not on training targets, shows private scores, or has a student that is kept
            for tests.
    """
    from dataenv.students import HELD_OUT

    config = config_of(task, defaults={"split": "train", "score_private": False}, **changes)
    require(config.split == "train", "set.split", config.split, "'train': others are for testing")
    for_tests = f"another student: {', '.join(sorted(HELD_OUT))} is kept for tests"
    require(config.student not in HELD_OUT, "set.student", config.student, for_tests)
    require(not config.score_private, "set.score_private", True, "false while learning")
    return config


def play(job: Job) -> list[dict[str, Any]]:
    """The episodes of a scene; runs in a process of its own."""
    env = _environment(job.scene.task, json.dumps(job.changes))
    options = {"target": job.scene.target, "teacher": dict(job.scene.teacher)}
    made = learner_table()[job.learner].policy
    return [
        {**_played(env, made(candidate), job.scene.seed, options), "number": number}
        for number, candidate in job.candidates
    ]


@lru_cache(maxsize=8)
def _environment(task: str, changes: str) -> DataEnv:
    """One environment for all scenes that a process plays: its cache holds tasks and bases."""
    return DataEnv(config=environment(task, json.loads(changes)))


def _played(env: DataEnv, policy: Policy, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    episode = run_episode(env, policy, seed, options)
    budget = {axis: used for axis, used, _ in episode.outcome.budget}
    trace = getattr(policy, "trace", None)
    return {
        "return": episode.total_reward,
        "rewards": [step["reward"] for step in episode.steps],
        "invalid": sum(bool(step["report"]["error"]) for step in episode.steps),
        "public": [episode.outcome.base[0], episode.outcome.final[0]],
        **budget,
        **({"trace": trace()} if trace else {}),
    }


class Learning:
    """A learner at work in a folder.

    Args:
        config: What is learned.
        folder: Where it is kept; made if it is not there.
        processes: How many play at a time; a single one is this one.

    Raises:
        ConfigError: The policy to begin with cannot be read, or is of another kind.
        StoreFault: Something else was learned in the folder.
        StoreFault: Another process is at work there.
    """

    def __init__(self, config: LearnConfig, folder: Path, processes: int = 2) -> None:
        require(processes >= 1, "processes", processes, "at least 1")
        self.config, self.folder, self.processes = config, folder, processes
        folder.mkdir(parents=True, exist_ok=True)
        self._claim = claim(folder / ".lock")
        self.learner: Learner = make_learner(config.learner, config.settings, config.seed)
        self.round, self.trainings, self.episodes = 0, 0, 0
        begun = _text_of(config.start)
        self._name = digest(self._plain(), name_of_worlds(), _surrogates(config), begun)
        if (folder / STATE).exists():
            self._load()
        elif config.start:
            self.learner.begin_with(json.loads(begun))

    @property
    def over(self) -> bool:
        """Whether the trainings are used up."""
        return self.trainings >= self.config.trainings

    def run(self, tracker: Tracker, tell: Callable[[str], None] = lambda line: None) -> None:
        """Plays rounds until it is over, and tells of each in a line."""
        plain = {**asdict(self.config), "worlds": name_of_worlds()}
        about = About(
            f"{self.config.learner} {self.folder.name}", self.config.learner, "train", plain
        )
        with tracking(tracker, about):
            while not self.over:
                said = self.step(tracker)
                tell(", ".join(f"{name} {value:.4g}" for name, value in said.items()))

    def step(self, tracker: Tracker) -> Mapping[str, float]:
        """Plays a round, or what is left of one that was cut off; returns what there is to say of it."""
        asked = self.learner.ask(self._scenes)
        played = self._play(asked)
        told = self.learner.tell(played)
        flat = [each for scene in played for each in scene]
        for place, each in enumerate(flat):
            tracker.log(_scalars(self.episodes + place, each))
        self.episodes += len(flat)
        self.trainings += int(sum(each["trainings"] for each in flat))
        line = {"round": self.round, "episodes": self.episodes, "trainings": self.trainings, **told}
        tracker.log({INDEX: self.episodes - 1, **{f"learner/{k}": v for k, v in told.items()}})
        self.round += 1
        self._keep(line)
        return line

    def _scenes(self, count: int) -> list[Scene]:
        """Scenes of this round: tasks and teachers in turn, targets without repeats."""
        config, rng = self.config, rng_of("scenes", self.config.seed, self.round)
        first, teachers = SPLITS["train"].start, config.teachers or ({},)
        targets = rng.sample(range(first, first + config.targets), min(count, config.targets))
        return [
            Scene(
                config.tasks[turn % len(config.tasks)],
                targets[n % len(targets)],
                seed_of("scene", config.seed, self.round, n) % 2**31,
                teachers[(turn // len(config.tasks)) % len(teachers)],
            )
            for n, turn in enumerate(range(self.round * count, (self.round + 1) * count))
        ]

    def _play(self, asked: Asked) -> list[list[dict[str, Any]]]:
        path = self.folder / EPISODES
        end_cut_line(path)
        found: dict[tuple[int, int], dict[str, Any]] = {
            (each["scene"], each["number"]): each
            for each in read_records(path)
            if each["round"] == self.round
        }
        jobs = {}
        for place, (scene, candidates) in enumerate(asked):
            missing = [(n, each) for n, each in enumerate(candidates) if (place, n) not in found]
            if missing:
                job = Job(self.config.learner, self.config.set, scene, tuple(missing))
                jobs[place] = job
        with path.open("a", encoding="utf-8") as out:
            for place, records in self._ended(jobs):
                for each in records:
                    record = {"round": self.round, "scene": place, **each}
                    found[place, each["number"]] = record
                    out.write(json.dumps(record) + "\n")
                out.flush()
        return [
            [found[place, n] for n in range(len(candidates))]
            for place, (_, candidates) in enumerate(asked)
        ]

    def _ended(self, jobs: Mapping[int, Job]) -> Iterable[tuple[int, list[dict[str, Any]]]]:
        """Places of jobs, and their records, as they end; all are played before one's failure is told."""
        places = {id(job): place for place, job in jobs.items()}
        failed, several = [], self.processes > 1
        scenes = list(jobs.values())
        ended = in_processes(play, scenes, self.processes) if several else in_turn(play, scenes)
        for job, records, error in ended:
            if error:
                failed.append(f"{job.scene}: {error.strip().splitlines()[-1]}")
            else:
                yield places[id(job)], records
        if failed:
            raise LearningFault(
                f"{len(failed)} of {len(jobs)} scenes of round {self.round} failed; go on with the same "
                f"command. First: {failed[0]}"
            )

    def _keep(self, line: Mapping[str, Any]) -> None:
        """The state is what counts: lines of rounds that it does not know are taken out at the start."""
        with (self.folder / ROUNDS).open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        learned = self.learner.learned() | {"trained": self._trained()}
        replace_text(self.folder / LEARNED, json.dumps(learned, indent=1) + "\n")
        state = {
            "of": self._name,
            "config": self._plain(),
            "learner": self.learner.state_dict(),
        }
        counts = {"round": self.round, "episodes": self.episodes, "trainings": self.trainings}
        replace_text(self.folder / STATE, json.dumps({**state, **counts}))

    def _trained(self) -> dict[str, Any]:
        """What the policy was learned from, for whoever reads its file."""
        counts = {"episodes": self.episodes, "trainings": self.trainings}
        return {**self._plain(), **counts, "worlds": name_of_worlds()}

    def _plain(self) -> dict[str, Any]:
        """The configuration, wherever on this machine it begins."""
        return asdict(dataclasses.replace(self.config, start=Path(self.config.start).name))

    def _load(self) -> None:
        state = json.loads((self.folder / STATE).read_text("utf-8"))
        if state["of"] != self._name:
            now = self._plain()
            changed = [
                f"{k}: {state['config'].get(k)!r} there, {v!r} now"
                for k, v in now.items()
                if json.dumps(state["config"].get(k)) != json.dumps(v)
            ]
            raise StoreFault(
                f"{self.folder} holds what was learned otherwise ({'; '.join(changed) or OTHERWISE}); "
                "take another --out"
            )
        self.round, self.episodes = state["round"], state["episodes"]
        self.trainings = state["trainings"]
        self.learner.load_state_dict(state["learner"])
        rounds = [r for r in read_records(self.folder / ROUNDS) if r["round"] < self.round]
        replace_text(self.folder / ROUNDS, "".join(json.dumps(r) + "\n" for r in rounds))


def _text_of(start: str) -> str:
    """The policy to begin with; empty if there is none."""
    try:
        return Path(start).read_text("utf-8") if start else ""
    except OSError as error:
        raise ConfigError(f"start names {start!r}, which cannot be read: {error}") from error


def _surrogates(config: LearnConfig) -> list[str]:
    """Names of the fits that the tasks' trainings are predicted by; none where they are real."""
    from dataenv.surrogate.model import fit_for

    tasks = [environment(task, config.set) for task in config.tasks]
    return [fit_for(each).name for each in tasks if each.laboratory == SURROGATE]


def _scalars(index: int, played: Mapping[str, Any]) -> dict[str, float]:
    used = {f"budget/{axis}": played[axis] for axis in ("calls", "trainings", "steps")}
    base, final = played["public"]
    return {
        INDEX: index,
        "episode/return": played["return"],
        "episode/invalid": played["invalid"],
        "student/base_public": base,
        "student/public": final,
        **used,
    }
