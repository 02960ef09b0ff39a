"""What kinds of sets are worth: private score of one change at a time; resumable.

    python scripts/landscape.py --out records/landscape.jsonl --targets 5
    python scripts/landscape.py --out records/landscape.jsonl --table

Every set is trained twice: for the epochs of `-fast`, and for a fixed number of optimiser steps, so
that more rows are not just more training. Sets are made of rows from the target itself, but for the
pool's and the controllers'. With another `--student` the same sets are trained on another base:
`--compare` then says how often two sets come in the same order on both.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import random
from collections import Counter
from pathlib import Path

import numpy as np

from dataenv.env import DataEnv
from dataenv.evaluation import evaluate
from dataenv.hashing import rng_of
from dataenv.lock import name_of_worlds
from dataenv.policy import run_episode
from dataenv.registry import env_config, make_policy
from dataenv.rows import Provenance, Row, WorkingSet
from dataenv.runs.resumable import read_current, run_jobs
from dataenv.statistics import mean_bootstrap
from dataenv.students import load_student
from dataenv.students.base import BASE
from dataenv.tasks.procedural.skill import Domain, Problem
from dataenv.tasks.procedural.targets import DOMAINS, RESERVED_SHARE, draw_target, to_row
from dataenv.teachers.procedural import MISCONCEPTIONS, slipped

FIRST_TARGET = 1_000_500  # validation targets that no other comparison uses
STEPS = 96
"""Optimiser steps of the second regime: 8 epochs of 96 rows in batches of 8."""
WRONG = 0.3
COMMONEST = 5


class Sets:
    """Makes the sets of one target.

    Args:
        domain: A name of the offline table.
        number: Of the target, counted from `FIRST_TARGET`.
    """

    def __init__(self, domain: str, number: int) -> None:
        self.domain: Domain = DOMAINS[domain]
        self.seed, self.number = number, FIRST_TARGET + number
        self.config = env_config(f"{domain.capitalize()}-fast-v0", split="validation")
        self.env = DataEnv(config=dataclasses.replace(self.config, calls=10_000))
        self.env.reset(seed=number, options={"target": self.number})
        self.size = self.config.max_rows
        reference = self.env.task.reference
        assert reference is not None
        self.clean = reference(4 * self.size, number)

    def problem(self, row: Row) -> Problem:
        """The problem that a row is about."""
        found = self.domain.recognise(row.prompt)
        assert found is not None
        skill, parameters = found
        return self.domain.build(skill, parameters, skill.open_templates[0], 1, False)

    def _spoilt(self, misconceived: bool) -> list[Row]:
        """Clean rows of which some are wrong; of misconceived ones each skill has its own."""
        rng = rng_of("spoilt", self.number, misconceived)
        rows = []
        for row in self.clean[: self.size]:
            if rng.random() < WRONG:
                problem, wrong = self.problem(row), None
                held = rng_of("held", self.number, problem.skill).randrange(MISCONCEPTIONS)
                for which in range(MISCONCEPTIONS if misconceived else 0):
                    found = self.domain.mistaken(problem, held + which)
                    if found and found.answer != problem.answer:
                        wrong = found
                        break
                row = dataclasses.replace(row, output=(wrong or slipped(problem, rng)).output)
            rows.append(row)
        return rows

    def _of_teacher(self, check: str) -> tuple[Row, ...]:
        """The teacher's solutions of the target's problems, checked."""
        fork = self.env.fork()
        fork.insert_reference("teacher", self.size, self.seed)
        if check:
            fork.step({"op": "verify", "by": check})
        return fork.working_set.rows

    def _commonest(self) -> list[Row]:
        skills = Counter(self.problem(row).skill for row in self.clean)
        wanted = {skill for skill, _ in skills.most_common(COMMONEST)}
        chosen = [row for row in self.clean if self.problem(row).skill in wanted]
        return chosen[: self.size]

    def _rephrased(self) -> list[Row]:
        """The same problems, in none of the phrasings that only test items have."""
        rows = []
        for row in self.clean[: self.size]:
            problem = self.problem(row)
            skill = self.domain.skills[problem.skill]
            rng = rng_of("phrasing", row.id)
            template = rng.choice(skill.open_templates)
            built = self.domain.build(skill, dict(problem.parameters), template, 1, False)
            rows.append(to_row(built, Provenance("reference")))
        return rows

    def _mismatched(self) -> list[Row]:
        """Clean rows of another target."""
        other = draw_target(self.domain, self.number + 250)
        rng = random.Random(self.number)
        problems = [other.draw(self.domain, rng, RESERVED_SHARE) for _ in range(self.size)]
        return [to_row(problem, Provenance("reference")) for problem in problems]

    def _played(self, policy: str) -> WorkingSet:
        """What is trained of a controller's submission."""
        env = DataEnv(config=dataclasses.replace(self.config, score_private=False))
        run_episode(env, make_policy(policy), self.seed, {"target": self.number})
        rows = env.submission()
        return WorkingSet(rows.rows[: self.size], rows.sequential)

    def all(self) -> dict[str, WorkingSet]:
        """Every set, by name."""
        clean = self.clean[: self.size]
        losses = self.env.student.log_likelihood(
            BASE, [row.prompt for row in clean], [row.output for row in clean]
        )
        easy_first = [
            row for _, row in sorted(zip(losses, clean, strict=True), key=lambda p: -p[0])
        ]
        executable = {"teacher, execution": "execution"} if self.domain.executable else {}
        checks = {"teacher": "", "teacher, asked again": "teacher", "teacher, second": "second"}
        plain = {
            "clean": clean,
            "clean, a quarter": clean[: self.size // 4],
            "clean, four times": self.clean,
            "30% slips": self._spoilt(False),
            "30% misconceptions": self._spoilt(True),
            "75% duplicates": clean[: self.size // 4] * 4,
            "five commonest skills": self._commonest(),
            "open phrasings only": self._rephrased(),
            "another target": self._mismatched(),
            "pool": list(self.env.task.pool[: self.size]),
        }
        plain |= {name: list(self._of_teacher(by)) for name, by in (checks | executable).items()}
        return {
            **{name: WorkingSet(tuple(rows)) for name, rows in plain.items()},
            "easy to hard": WorkingSet(tuple(easy_first), sequential=True),
            **{name: self._played(name) for name in ("random_mix", "mirror", "feedback")},
        }


def play(job: tuple[str, int, str, bool]) -> list[dict]:
    """All sets of one target, in both regimes if `steps_too`; runs in a worker process."""
    domain, number, student_name, steps_too = job
    sets = Sets(domain, number)
    task, config = sets.env.task, sets.config
    student = load_student(student_name)

    def score(rows: WorkingSet, epochs: int) -> float:
        training = dataclasses.replace(config.training, epochs=max(1, epochs))
        trained = student.train(rows, training, str(number)) if len(rows) else BASE
        return evaluate(student, trained, task.private, task.grader, config.decoding).score

    found = {"base": [score(WorkingSet(), 1)] * (1 + steps_too)}
    rows_of = {}
    for name, rows in sets.all().items():
        batches = -(-len(rows) // config.training.batch_size)
        regimes = [config.training.epochs, *[round(STEPS / max(1, batches))] * steps_too]
        found[name] = [score(rows, epochs) for epochs in regimes]
        rows_of[name] = len(rows)
    names = {"domain": domain, "number": number, "student": student_name}
    names |= {"worlds": name_of_worlds()}
    return [{**names, "scores": found, "rows": rows_of}]


REGIMES = ("epochs", "steps")


def table(records: list[dict]) -> str:
    """Mean private score of `clean`, and every set minus it in points, paired by target, by domain and
    regime; records have both."""
    by_domain = {domain: [r for r in records if r["domain"] == domain] for domain in DOMAINS}
    columns = [(mine, regime) for mine in by_domain.values() for regime in range(len(REGIMES))]
    heads = [f"{domain}, {regime}" for domain in DOMAINS for regime in REGIMES]
    lines = [f"| set | rows | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for name in dict.fromkeys(name for r in records for name in r["scores"]):
        held = [r["rows"].get(name, 0) for r in records if name in r["scores"]]
        cells = [_against_clean(mine, name, regime) for mine, regime in columns]
        lines.append(f"| {name} | {np.mean(held):.0f} | {' | '.join(cells)} |")
    counts = ", ".join(f"{len(mine)} of {domain}" for domain, mine in by_domain.items())
    return "\n".join([*lines, "", f"targets: {counts}"])


def _against_clean(mine: list[dict], name: str, regime: int) -> str:
    shared = [r["scores"] for r in mine if name in r["scores"]]
    if not shared:
        return "-"
    if name == "clean":
        return f"{np.mean([scores[name][regime] for scores in shared]):.3f}"
    paired = [100 * (scores[name][regime] - scores["clean"][regime]) for scores in shared]
    spread = mean_bootstrap(paired)
    return f"{np.mean(paired):+.1f} [{spread.low:+.1f}, {spread.high:+.1f}]"


SEPARABLE = 0.05
"""Two sets are told apart if their scores on the first base differ by more."""


def compare(records: list[dict], one: str, other: str) -> str:
    """How often two sets come in the same order on two bases."""
    keyed = {(r["domain"], r["number"], r["student"]): r["scores"] for r in records}
    same: list[bool] = []
    clusters: list[tuple[str, int]] = []
    for (domain, number, student), scores in keyed.items():
        twin = keyed.get((domain, number, other))
        if student != one or twin is None:
            continue
        for a, b in itertools.combinations(sorted(set(scores) - {"base"}), 2):
            difference = scores[a][0] - scores[b][0]
            if abs(difference) > SEPARABLE:
                same.append(difference * (twin[a][0] - twin[b][0]) > 0)
                clusters.append((domain, number))
    if not same:
        return f"no target has been played on both {one} and {other}"
    spread = mean_bootstrap(same, clusters=clusters)  # pairs of a target hang together
    return (
        f"{one} and {other}: {sum(same)} of {len(same)} pairs in the same order, "
        f"{np.mean(same):.3f} [{spread.low:.3f}, {spread.high:.3f}]"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--student", default="nano-a")
    parser.add_argument("--targets", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--epochs-only", action="store_true", help="the first regime only")
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--compare", nargs=2, metavar="STUDENT", help="only compare two bases")
    args = parser.parse_args()
    records = read_current(args.out)
    if args.compare:
        print(compare(records, *args.compare))
        return
    if not args.table:
        done = {(r["domain"], r["number"], r["student"]) for r in records}
        jobs = [
            (domain, number, args.student, not args.epochs_only)
            for number in range(args.targets)
            for domain in DOMAINS
            if (domain, number, args.student) not in done
        ]
        run_jobs(play, jobs, args.out, args.processes)
        records = read_current(args.out)
    if not args.epochs_only:
        print(table([r for r in records if r["student"] == args.student]))


if __name__ == "__main__":
    main()
