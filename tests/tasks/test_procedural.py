"""The offline domains: right answers, invertible texts, disjoint splits."""

import itertools
import random
from fractions import Fraction

import pytest

from dataenv.presets import SPLITS
from dataenv.tasks.graders import get_grader
from dataenv.tasks.procedural import arithmetic, general, science
from dataenv.tasks.procedural.targets import DOMAINS, build_task, draw_target

SKILLS = [(d.name, s) for d in DOMAINS.values() for s in d.skills]


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_a_domain_is_as_broad_as_promised(name):
    domain = DOMAINS[name]
    assert len(domain.skills) >= 24 and len(domain.topics) >= 10
    for skill in domain.skills.values():
        assert len(skill.open_templates) >= 6 and len(skill.reserved_templates) >= 2
        assert not set(skill.open_templates) & set(skill.reserved_templates)


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_worked_solution_and_oracle_agree_and_the_text_gives_the_problem_back(name):
    domain, rng = DOMAINS[name], random.Random(1)
    grader = get_grader(domain.grader)
    for skill in domain.skills:
        for difficulty in (1, 2, 3):
            problem = domain.sample(skill, difficulty, rng, reserved=difficulty == 3)
            verdict = grader.grade(problem.output, problem.answer)
            assert verdict.correct and problem.work.endswith(problem.answer), problem
            text = f"{problem.instruction}\n{problem.input}".strip()
            found, parameters = domain.recognise(text)
            assert (found.name, tuple(sorted(parameters.items()))) == (skill, problem.parameters)


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_items_of_a_task_are_all_different_and_reproducible(name):
    sizes = {"public": 50, "reward": 50, "private": 100, "seeds": 50, "retention": 10}
    task = build_task(DOMAINS[name], 5, **sizes)
    everything = (*task.public, *task.reward, *task.private, *task.seeds)
    assert len({task.identify(item.prompt) for item in everything}) == 250
    again = build_task(DOMAINS[name], 5, **sizes)
    assert again.private == task.private and again.seeds == task.seeds
    assert all(item.gold == "" for item in task.seeds)
    clean = {task.identify(row.prompt) for row in task.reference(50, 0)}
    assert not clean & {task.identify(item.prompt) for item in everything[:200]}


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_a_quarter_of_the_test_items_use_reserved_phrasings(name):
    domain, rng = DOMAINS[name], random.Random(0)
    target = draw_target(domain, 1)
    reserved = [target.draw(domain, rng, 0.25).reserved for _ in range(800)]
    assert 0.2 < sum(reserved) / 800 < 0.3


def test_splits_of_targets_are_disjoint_and_targets_differ():
    ranges = list(SPLITS.values())
    assert all(a.stop <= b.start for a, b in itertools.pairwise(ranges))
    domain = DOMAINS["science"]
    assert len({draw_target(domain, number).weights for number in range(20)}) == 20


def test_a_skill_that_is_hardly_ever_nice_gives_an_easier_problem():
    domain, rng = DOMAINS["finance"], random.Random(0)
    for _ in range(300):
        assert domain.sample("loan_balance:L", 3, rng).answer


def test_domains_hold_millions_of_distinct_items():
    """Distinct draws extrapolate: with d items, n draws collide about n^2 / 2d times."""
    for domain in DOMAINS.values():
        rng, draws = random.Random(0), 6000
        names = sorted(domain.skills)
        found = {domain.sample(rng.choice(names), 2, rng).identity for _ in range(draws)}
        texts = sum(len(s.open_templates) for s in domain.skills.values()) / len(names)
        collisions = draws - len(found)
        assert draws**2 / (2 * max(1, collisions)) * texts > 10**6


@pytest.mark.parametrize("kind", sorted(general.KINDS))
def test_general_items_end_with_a_readable_answer(kind):
    rng, grader = random.Random(0), get_grader("literal")
    for _ in range(200):
        _, output = general.KINDS[kind](rng)
        gold = output.rpartition("Answer:")[2].strip()
        assert grader.grade(output, gold).correct


def test_arithmetic_is_written_step_by_step():
    values = {name: Fraction(v) for name, v in (("a", 3), ("b", 5), ("c", 4))}
    tree = arithmetic.substitute(arithmetic.parse("(a + b) * c / 2"), values)
    assert arithmetic.steps(tree) == ["(3 + 5) * 4 / 2", "8 * 4 / 2", "32 / 2", "16"]


def test_unsupported_syntax_in_a_formula_is_refused():
    with pytest.raises(ValueError, match="unsupported syntax"):
        arithmetic.parse("__import__('os')")


def test_blank_examples_are_problems_of_the_law_without_an_answer():
    domain, rng = DOMAINS["science"], random.Random(0)
    for law in science.LAWS:
        for unknown in law.formulas:
            prompt, output = general.blank_law_example(rng, domain, law, unknown)
            assert domain.recognise(prompt)[0].topic == law.topic
            assert output.endswith("Answer: None")
