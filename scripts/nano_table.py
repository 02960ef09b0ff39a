"""What a nano base knows, and what clean rows of the target teach it.

    python scripts/nano_table.py --student nano-a --out records/nano_a.json

For every domain: private accuracy of the base and after training on clean rows of the target, at
the `-fast` size, over several targets; accuracy of every kind of general item; and the base's
accuracy on every skill of the domain.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from dataenv.config import DecodingConfig
from dataenv.evaluation import evaluate
from dataenv.hashing import rng_of
from dataenv.presets import SPLITS
from dataenv.registry import env_config
from dataenv.rows import WorkingSet
from dataenv.statistics import mean_bootstrap
from dataenv.students import load_student
from dataenv.students.base import BASE, Student
from dataenv.tasks.base import Item
from dataenv.tasks.procedural import general
from dataenv.tasks.procedural.targets import DIFFICULTIES, DOMAINS, build_task

PRIVATE = 300
ITEMS_PER_SKILL = 20


def by_target(student: Student, domain: str, first: int, count: int) -> list[dict]:
    """Scores of the base and of a student of clean rows, on validation targets."""
    config = env_config(f"{domain.capitalize()}-fast-v0")
    found = []
    for number in SPLITS["validation"][first : first + count]:
        task = build_task(
            DOMAINS[domain],
            number,
            public=1,
            reward=0,
            private=PRIVATE,
            seeds=0,
            retention=config.retention,
        )
        assert task.reference is not None
        rows = WorkingSet(tuple(task.reference(config.max_rows, number)))
        trained = student.train(rows, config.training, str(number))
        record: dict = {"target": task.target, "seconds": round(trained.seconds, 2)}
        for name, weights in (("base", BASE), ("matched_clean", trained)):
            private = evaluate(student, weights, task.private, task.grader, config.decoding)
            kept = evaluate(
                student, weights, task.retention, task.retention_grader, config.decoding
            )
            record[name] = {"private": private.score, "retention": kept.score}
        found.append(record)
    return found


def by_skill(student: Student, domain: str) -> dict[str, float]:
    """The base's accuracy on every skill, at the difficulties of targets."""
    items, names = [], []
    for skill in sorted(DOMAINS[domain].skills):
        rng = rng_of("nano table", domain, skill)
        for number in range(ITEMS_PER_SKILL):
            difficulty = rng.choices(list(DIFFICULTIES), list(DIFFICULTIES.values()))[0]
            problem = DOMAINS[domain].sample(skill, difficulty, rng)
            items.append(
                Item(
                    f"{skill}-{number}",
                    problem.instruction,
                    problem.input,
                    problem.answer,
                    problem.topic,
                )
            )
            names.append(skill)
    correct = evaluate(student, BASE, items, DOMAINS[domain].grader, DecodingConfig()).correct
    return {
        skill: float(np.mean([c for c, n in zip(correct, names) if n == skill]))
        for skill in sorted(DOMAINS[domain].skills)
    }


def by_kind(student: Student) -> dict[str, float]:
    """The base's accuracy on every kind of general item."""
    items = general.items(1000, "nano table")
    correct = evaluate(student, BASE, items, "literal", DecodingConfig()).correct
    kinds = sorted({item.topic for item in items})
    return {
        kind: float(np.mean([c for c, item in zip(correct, items) if item.topic == kind]))
        for kind in kinds
    }


def to_text(record: dict) -> str:
    """The record as markdown tables."""
    lines = ["| domain | base | matched_clean | ratio | skills at 0 | skills above 0.9 | skills |"]
    lines.append("|---|---|---|---|---|---|---|")
    for domain, found in record["domains"].items():
        scores = {
            name: [each[name]["private"] for each in found["targets"]]
            for name in ("base", "matched_clean")
        }
        texts = []
        for values in scores.values():
            spread = mean_bootstrap(values)
            texts.append(f"{np.mean(values):.3f} [{spread.low:.3f}, {spread.high:.3f}]")
        skills = list(found["skills"].values())
        ratio = np.mean(scores["matched_clean"]) / max(1e-9, np.mean(scores["base"]))
        lines.append(
            f"| {domain} | {texts[0]} | {texts[1]} | {ratio:.2f} | {skills.count(0.0)} | "
            f"{sum(s > 0.9 for s in skills)} | {len(skills)} |"
        )
    lines += ["", "| general items | base |", "|---|---|"]
    lines += [f"| {kind} | {score:.3f} |" for kind, score in record["general"].items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="nano-a")
    parser.add_argument("--first", type=int, default=0, help="number of the first target")
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    student = load_student(args.student, args.threads)
    record: dict = {"student": args.student, "general": by_kind(student), "domains": {}}
    for domain in DOMAINS:
        record["domains"][domain] = {
            "targets": by_target(student, domain, args.first, args.targets),
            "skills": by_skill(student, domain),
        }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(record, indent=1) + "\n")
    print(to_text(record))


if __name__ == "__main__":
    main()
