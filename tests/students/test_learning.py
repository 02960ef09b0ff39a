"""The shipped student learns from good rows and is harmed by bad ones, in every domain."""

import dataclasses
import random

import pytest

from dataenv.evaluation import evaluate
from dataenv.registry import env_config
from dataenv.rows import WorkingSet
from dataenv.students import load_student
from dataenv.students.base import BASE
from dataenv.tasks.procedural import general
from dataenv.tasks.procedural.targets import build_task, get_domain


@pytest.mark.parametrize("domain", ["science", "code", "finance"])
def test_good_rows_help_and_bad_rows_hurt(domain):
    config = env_config(f"{domain.capitalize()}-fast-v0")
    task = build_task(
        get_domain(domain), 1_000_000, public=1, reward=0, private=150, seeds=0, retention=0
    )
    rows = task.reference(config.max_rows, 0)
    solutions = [row.output for row in rows]
    random.Random(0).shuffle(solutions)
    wrong = [dataclasses.replace(row, output=text) for row, text in zip(rows, solutions)]
    student = load_student(config.student)
    scores = {}
    for name, chosen in (("good", rows), ("bad", wrong), ("base", None)):
        trained = BASE
        if chosen:
            trained = student.train(WorkingSet(tuple(chosen)), config.training, "k")
        found = evaluate(student, trained, task.private, task.grader, config.decoding)
        scores[name] = found.score
    assert scores["good"] > scores["base"] + 0.15
    assert scores["bad"] < scores["base"] + 0.05 and scores["bad"] < scores["good"] - 0.2


def test_the_base_is_good_at_what_needs_no_knowledge():
    items = general.items(200, "test")
    config = env_config("Science-fast-v0")
    student = load_student(config.student)
    assert evaluate(student, BASE, items, "literal", config.decoding).score > 0.75
