"""Carries out docs/EXPERIMENT.md; every part is resumable, and what is done is not done again.

    python scripts/reproduce_results.py learn       # policies, into records/learned
    python scripts/reproduce_results.py choose      # the members of the classes on validation targets
    python scripts/reproduce_results.py test        # the columns of the test, and the controls
    python scripts/reproduce_results.py curves      # public, reward, private score and quality by round
    python scripts/reproduce_results.py             # all of it, and docs/RESULTS.md
    python scripts/reproduce_results.py --from-records --json claim.json
    python scripts/reproduce_results.py play --policy path/to/file.py:MyPolicy    # joins the table

Episodes are lines of records/results/COLUMN.jsonl.
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import results_tables
from dataenv.baselines.controls import shuffled, unsliced
from dataenv.policies.learners import LEARNERS

from dataenv.env import DataEnv
from dataenv.policy import Episode, Policy, run_episode
from dataenv.presets import SPLITS
from dataenv.quality import instruments_for, measure
from dataenv.registry import env_config, make_policy
from dataenv.runs.files import replace_text
from dataenv.runs.learning import EPISODES, LEARNED, ROUNDS, LearnConfig, Learning, read_learning
from dataenv.runs.processes import in_processes
from dataenv.runs.resumable import read_current, read_records, run_jobs
from dataenv.runs.runner import result_of
from dataenv.runs.trackers import NullTracker

ROOT = Path(__file__).parent.parent
RECORDS = ROOT / "records" / "results"
POLICIES = ROOT / "records" / "learned"
WORK = ROOT / "runs" / "learn"
DOMAINS = ("Science", "Code", "Finance")
SCRATCH = {"seeds": 0}
"""No raw questions: the paper's setting from scratch."""
SEEDS = {"cem": 5, "ppo": 3, "open_loop": 3}
"""Training seeds by learner."""
OTHER_SCENES = 1000
"""What is added to a seed in the surrogate, whose scenes are others than the real ones."""
SIMULATED = {"cem": 30_000, "open_loop": 30_000, "ppo": 12_000}
"""Trainings in the surrogate, by training seed; one of PPO takes five times as long."""
REAL = 300
"""Trainings in the real environment, by training seed."""
WIDE = {"population": 46, "elite": 12, "scenes": 9, "spread": 1.0, "least": 0.15, "pace": 0.5}
"""A search where an episode costs next to nothing: many candidates, so that luck evens out among them."""
NARROW = {"elite": 3, "scenes": 3, "pace": 0.3}
"""A search with a hundredth of the episodes: small steps."""
SETTINGS = {
    "cem": (WIDE, {**NARROW, "population": 7}),
    "open_loop": (WIDE, {**NARROW, "population": 22, "elite": 7}),
}
"""Settings of learners that differ between the surrogate and the real environment; `open_loop` plays four
episodes where `cem` plays one."""
CLAIM = 20
"""Targets a domain that the claim is about."""
SPREAD, MORE = 8.0, 30
"""Points of spread on validation targets above which it takes more of them."""
TABLE = 12
"""Targets a domain on which all controllers are compared: the first of those."""
FEW = 6
"""Targets a domain in the columns that ask whether the claim holds elsewhere."""
RECIPES = (
    *("random", "random_mix", "stratified", "mirror", "mirror_second", "headroom", "program"),
    *("seed_only", "self_instruct", "evol_instruct", "pipeline", "skill_tree"),
    *("importance", "student_loss", "less", "rds"),
)
BY_HAND = ("bandit", "feedback", *RECIPES)
REFERENCES = ("matched_teacher", "matched_clean", "privileged")
NEED_SEEDS = frozenset({"seed_only"})
"""They have nothing to go by from scratch."""


@dataclass(frozen=True)
class Column:
    """Episodes that are compared.

    Args:
        split: Of the targets.
        first, count: Their numbers in each domain, after the split's first. An episode's seed is the number
            of its target in all splits together: no teacher is met twice.
        changes: Fields of the environment that are other than in -fast.
        teacher: Error rates of the teacher that are other than usual.
    """

    split: str = "test"
    first: int = 0
    count: int = TABLE
    changes: Mapping[str, Any] = field(default_factory=lambda: dict(SCRATCH))
    teacher: Mapping[str, float] = field(default_factory=dict)


NEW_TEACHER = {"weak_share": 0.6, "weak_accuracy": 0.35, "stable": 0.4}
COLUMNS = {
    "validation": Column("validation", 20, 7),
    "test": Column(),
    "new_teacher": Column(count=FEW, teacher=NEW_TEACHER),
    "new_student": Column(count=FEW, changes={**SCRATCH, "student": "nano-c"}),
    "new_domain": Column(count=FEW),
    "with_seeds": Column(changes={}),
    "noisy_teacher": Column(count=FEW, teacher={"accuracy": 0.75}),
    "half_calls": Column(count=FEW, changes={**SCRATCH, "calls": 240}),
    "shuffled": Column(count=FEW),
    "unsliced": Column(count=FEW),
}
CHANGED = {"shuffled": shuffled, "unsliced": unsliced}
"""Columns whose controllers are told something else than the report."""


@dataclass(frozen=True)
class Job:
    """Some controllers on one target; runs in a process of its own."""

    column: str
    domain: str
    number: int
    members: tuple[str, ...]

    @property
    def target(self) -> int:
        """The number of the target in all splits together, which is also the seed."""
        column = COLUMNS[self.column]
        return SPLITS[column.split].start + column.first + self.number


@lru_cache(maxsize=4)
def environment(column: str, domain: str) -> DataEnv:
    """One environment for all targets of a column and domain that a process plays."""
    found = COLUMNS[column]
    return DataEnv(config=env_config(f"{domain}-fast-v0", split=found.split, **found.changes))


def made_by(member: str) -> Policy:
    """A controller of the package, one that was learned here, or one of a user's file."""
    learned = POLICIES / f"{member}.json"
    return make_policy(str(learned) if learned.exists() else member)


def play(job: Job) -> list[dict[str, Any]]:
    """Plays each controller on the target of a job."""
    column, env, records = COLUMNS[job.column], environment(job.column, job.domain), []
    change = CHANGED.get(job.column, lambda policy: policy)
    options = {"target": job.target, "teacher": dict(column.teacher)}
    for member in job.members:
        began = time.monotonic()
        try:
            episode = run_episode(env, change(made_by(member)), job.target, options)
        except Exception:  # the others' episodes count; this one is tried again next time
            print(f"{job}, {member}: {traceback.format_exc()}", flush=True)
            continue
        result = result_of(env, episode, member, job.target, time.monotonic() - began)
        for bulky in ("flipped", "config", "versions"):
            del result[bulky]
        rounds = rounds_of(episode)
        records.append({**result, "column": job.column, "domain": job.domain, "rounds": rounds})
    return records


def rounds_of(episode: Episode) -> list[dict[str, Any]]:
    """What was done before each training: times, calls and rows by operation; and the public score."""
    rounds: list[dict[str, Any]] = [{}]
    for step in episode.steps:
        operation, effect = step["action"].get("op", "?"), step["report"]["effect"]
        done = rounds[-1].setdefault(operation, [0, 0, 0])
        for place, more in enumerate((1, effect.get("calls", 0), effect.get("added", 0))):
            done[place] += more
        if operation == "train":
            rounds[-1]["public"] = step["report"]["score"]
            rounds.append({})
    return rounds


def play_column(name: str, members: Iterable[str], processes: int, count: int = 0) -> None:
    """Plays what is missing of a column: the first `count` targets of each domain, or all."""
    path, column = RECORDS / f"{name}.jsonl", COLUMNS[name]
    members = list(members)
    for member in members:
        made_by(member)  # an unknown one is told of before hours are spent
    done = {(r["domain"], r["target_number"], r["policy"]) for r in read_current(path)}
    jobs = []
    for number in range(count or column.count):
        for domain in DOMAINS:
            job = Job(name, domain, number, ())
            left = [m for m in members if (domain, job.target, m) not in done]
            left = [m for m in left if "-without-" not in m or m.endswith(domain.lower())]
            if left:
                jobs.append(replace(job, members=tuple(left)))
    run_jobs(play, jobs, path, processes)


# -- learning -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """A policy that is to be learned.

    Args:
        learner: A name of `LEARNERS`.
        seed: Of its learning.
        domains: That it learns on.
        name: Under which it is kept.
        simulated: Whether it begins in the surrogate.
    """

    learner: str
    seed: int = 0
    domains: tuple[str, ...] = DOMAINS
    name: str = ""
    simulated: bool = True

    def __str__(self) -> str:
        return self.name or f"{self.learner}-{self.seed}"


def lessons() -> list[Lesson]:
    """Every policy of the experiment; the first seeds of all learners come first."""
    found = [Lesson(each, seed) for each, count in SEEDS.items() for seed in range(count)]
    found.sort(key=lambda each: each.seed)
    for domain in DOMAINS:
        others = tuple(each for each in DOMAINS if each != domain)
        found.append(Lesson("cem", 0, others, f"cem-without-{domain.lower()}"))
    return [*found, Lesson("cem", 0, name="cem-unsimulated", simulated=False)]


def learn(processes: int) -> None:
    """Learns what is not there yet: in the surrogate, then in earnest; each policy in one process."""
    waiting = [each for each in lessons() if not (POLICIES / f"{each}.json").exists()]
    failed = []
    for lesson, _, error in in_processes(learn_one, waiting, processes):
        print(f"{lesson}: {error or 'learned'}", flush=True)
        failed += [str(lesson)] * bool(error)
    if failed:
        raise SystemExit(f"{', '.join(failed)} failed; run this again for them")


def learn_one(lesson: Lesson) -> None:
    """Learns a policy and keeps what each stage has come to, with its curve."""
    config = read_learning(ROOT / "configs" / "learn" / f"{lesson.learner}.yaml")
    config = replace(config, seed=lesson.seed, set={**config.set, **SCRATCH})
    start = POLICIES / f"{lesson}-simulated.json"
    before, after = SETTINGS.get(lesson.learner, (config.settings, config.settings))
    if lesson.simulated and not start.exists():
        other = OTHER_SCENES + lesson.seed
        count = SIMULATED[lesson.learner]
        simulated = replace(config, trainings=count, seed=other, settings=dict(before))
        learn_stage(lesson, start.stem, "surrogate", simulated)
    begun = str(start) if lesson.simulated else ""
    real = replace(config, trainings=REAL, start=begun, settings=dict(after))
    learn_stage(lesson, str(lesson), "fast", real)


def learn_stage(lesson: Lesson, name: str, preset: str, config: LearnConfig) -> None:
    """Learns in environments of one kind; the policy is kept last, since it is what says that all is there."""
    tasks = tuple(f"{domain}-{preset}-v0" for domain in lesson.domains)
    learning = Learning(replace(config, tasks=tasks), WORK / name, processes=1)
    learning.run(NullTracker(), lambda line: print(name, line, flush=True))
    POLICIES.mkdir(parents=True, exist_ok=True)
    replace_text(POLICIES / f"{name}.rounds.jsonl", (WORK / name / ROUNDS).read_text("utf-8"))
    if preset != "surrogate":
        keys = ("round", "scene", "number", "return", "trainings")
        kept = [{key: each[key] for key in keys} for each in read_records(WORK / name / EPISODES)]
        text = "".join(json.dumps(each) + "\n" for each in kept)
        replace_text(POLICIES / f"{name}.episodes.jsonl", text)
    replace_text(POLICIES / f"{name}.json", (WORK / name / LEARNED).read_text("utf-8"))


def members_of(learner: str) -> list[str]:
    """The policies of a learner's training seeds."""
    return [f"{learner}-{seed}" for seed in range(SEEDS[learner])]


# -- parts --------------------------------------------------------------------------------------


def choose(processes: int) -> results_tables.Choice:
    """Plays the members of the classes and their opponents on validation targets, and chooses."""
    members = [m for learner in LEARNERS for m in members_of(learner)]
    others = ("bandit", "feedback", "mirror", "cem-unsimulated")
    play_column("validation", (*members, *others), processes)
    choice = chosen()
    print(
        f"{choice.learned} against {choice.opponent}; spread {choice.spread:.1f} points, so the test "
        f"takes {targets_of_test(choice)} targets a domain"
    )
    return choice


def targets_of_test(choice: results_tables.Choice) -> int:
    """Of a domain, for those whom the claim is about: as many as the pilot asks for."""
    return MORE if choice.spread > SPREAD else CLAIM


def chosen() -> results_tables.Choice:
    """What the validation records say is to be tested."""
    return results_tables.choose(read_current(RECORDS / "validation.jsonl"), classes())


def classes() -> dict[str, list[str]]:
    """Policies by class."""
    return {**{each: members_of(each) for each in LEARNERS}, "bandit": ["bandit"]}


def test(processes: int) -> None:
    """Plays the columns of the test and the controls with what was chosen, once."""
    choice = chosen()
    opponents = ("feedback", "mirror", choice.opponents["open_loop"])
    learned = [m for learner in ("cem", "ppo") for m in members_of(learner)]
    scratch = [name for name in BY_HAND if name not in NEED_SEEDS]
    tested = (*learned, choice.opponents["open_loop"], *scratch, *REFERENCES[:2])
    play_column("test", tested, processes)
    claimed = (*choice.members, *opponents)
    play_column("test", claimed, processes, count=targets_of_test(choice))
    for column in ("new_teacher", "new_student", "noisy_teacher", "half_calls"):
        play_column(column, claimed, processes)
    for column in CHANGED:
        play_column(column, choice.members, processes)
    play_column("new_domain", [f"cem-without-{d.lower()}" for d in DOMAINS], processes)
    play_column("with_seeds", NEED_SEEDS, processes)
    play_column("test", ("privileged",), processes, count=FEW)


def curves(processes: int) -> None:
    """Scores and quality of the chosen set after every training, on the first test targets."""
    choice, path = chosen(), RECORDS / "curves.jsonl"
    done = {(r["domain"], r["seed"], r["policy"]) for r in read_current(path)}
    members = (choice.members[0], "feedback", "mirror", "skill_tree")
    jobs = [Job("test", domain, number, members) for number in range(FEW) for domain in DOMAINS]
    left = [
        replace(job, members=tuple(m for m in members if (job.domain, job.target, m) not in done))
        for job in jobs
    ]
    run_jobs(play_curve, [job for job in left if job.members], path, processes)


def play_curve(job: Job) -> list[dict[str, Any]]:
    """Episodes with the scores and the quality of every set that was evaluated."""
    env, records = environment(job.column, job.domain), []
    for member in job.members:
        episode = run_episode(env, made_by(member), job.target, {"target": job.target})
        instruments = instruments_for(env.config, env.task, env.student)
        sets = [
            {
                "public": each.public.score,
                "reward": each.reward.score,
                "private": private,
                "rows": len(each.rows),
                "quality": measure(list(each.rows), instruments).to_dict(),
            }
            for each, private in zip(env.evaluations, env.private_scores(), strict=True)
        ]
        base = {"public": episode.outcome.base[0], "private": episode.outcome.base[1]}
        about = result_of(env, episode, member, job.target, 0.0)
        kept = {key: about[key] for key in ("task", "target", "seed", "policy", "worlds")}
        records.append({**kept, "domain": job.domain, "base": base, "sets": sets})
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", nargs="?", choices=("learn", "choose", "test", "curves", "play"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--policy", help="play: a controller to join the table of the test")
    parser.add_argument("--from-records", action="store_true", help="play nothing")
    parser.add_argument("--json", type=Path, help="where the claim goes, for machines")
    args = parser.parse_args()
    parts = {"learn": learn, "choose": choose, "test": test, "curves": curves}
    if args.part == "play":
        play_column("test", (args.policy,), args.processes)
    for name, part in parts.items():
        if args.part == name or (args.part is None and not args.from_records):
            part(args.processes)
    if args.part in ("learn", "choose"):
        return
    told = results_tables.tell(RECORDS, POLICIES, chosen())
    (ROOT / "docs" / "RESULTS.md").write_text(told.text, "utf-8")
    if args.json:
        args.json.write_text(json.dumps(told.claim, indent=1) + "\n", "utf-8")
    print(told.summary)


if __name__ == "__main__":
    main()
