"""The surrogate: an environment like the others whose scores are no results."""

import json
from importlib.resources import files

import gymnasium as gym
import numpy as np
import pytest
from dataenv.baselines.fixed import Mirror
from gymnasium.utils.env_checker import check_env

from dataenv.cli import main
from dataenv.env import DataEnv
from dataenv.errors import ConfigError
from dataenv.lock import name_of_worlds
from dataenv.policy import run_episode
from dataenv.presets import OFFLINE
from dataenv.registry import env_config
from dataenv.rows import Provenance, Row, WorkingSet
from dataenv.runs.leaderboard import boards
from dataenv.runs.runner import run_to_folder
from dataenv.students import load_student
from dataenv.surrogate.features import FEATURES, Counts, Items, features, reader_of
from dataenv.surrogate.model import fit_for, load_fit
from dataenv.tasks.procedural.targets import DOMAINS, build_task

SMALL = {"public": 60, "reward": 60, "private": 60, "seeds": 10, "pool": 40, "retention": 4}


def small_env(domain="code", **fields) -> DataEnv:
    return DataEnv(config=env_config(f"{domain.capitalize()}-surrogate-v0", **SMALL, **fields))


@pytest.fixture(scope="module")
def task():
    return build_task(DOMAINS["code"], 3, **SMALL)


def feature(name, inputs):
    return inputs[:, FEATURES.index(name)]


@pytest.mark.parametrize("domain", OFFLINE)
def test_gymnasium_finds_no_fault(domain):
    env = gym.make(f"dataenv/{domain.capitalize()}-surrogate-v0", **SMALL)
    check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("domain", OFFLINE)
def test_no_student_is_loaded_or_trained_and_the_same_seed_gives_the_same_everything(domain):
    found = []
    for _ in range(2):
        env = small_env(domain)
        episode = run_episode(env, Mirror(), 4)
        assert env.student._loaded is None and env.seconds["train"] == env.seconds["decode"] == 0
        found.append((episode.steps, episode.outcome))
    assert found[0] == found[1]


@pytest.mark.parametrize("domain", OFFLINE)
def test_right_rows_of_the_target_teach_more_than_wrong_ones_or_none(domain):
    env = small_env(domain)
    env.reset(seed=1, options={"target": 7})
    laboratory, rows = env._laboratory, env.task.reference(90, 1)
    right = WorkingSet(tuple(rows))
    wrong = WorkingSet(tuple(Row(r.instruction, r.input, "Answer: 0.07") for r in rows))
    means = [laboratory.chances(s, env.task.reward).mean() for s in (WorkingSet(), wrong, right)]
    assert means[2] > max(means[:2]) + 0.1
    assert laboratory.scores(right).reward.score > laboratory.base_scores().reward.score


def test_features_count_what_bears_on_an_item(task):
    reader, item = reader_of("code"), task.reward[0]
    skill = reader.subject(item.prompt).skill
    same = [r for r in task.reference(400, 1) if reader.fact(r).skill == skill][:3]
    assert len(same) == 3
    spoilt = Row(same[2].instruction, same[2].input, "no idea", Provenance("pool"))
    other = Row("Sing!", "", "Answer: la", Provenance("pool"))
    rows = WorkingSet((same[0], same[1], same[1], spoilt, other))
    items = Items(reader, task.reward[:1])
    inputs = features(items, Counts(reader, rows), {skill: 0.5})
    assert feature("right", inputs) == pytest.approx(np.log(3))  # the repeated one counts once
    assert feature("wrong", inputs) == pytest.approx(np.log(2))
    for name in ("unread", "repeated", "unanswered"):
        assert feature(name, inputs) == pytest.approx(1 / 5)
    assert feature("base", inputs) == 0.5 and feature("seen", inputs) == 0
    with_it = WorkingSet((Row(item.instruction, item.input, item.output),))
    assert feature("seen", features(items, Counts(reader, with_it), {})) == 1


def test_reserved_phrasings_are_told_from_open_ones(task):
    reader = reader_of("code")
    shares = [
        reader.is_reserved(each.prompt, reader.subject(each.prompt).skill) for each in task.private
    ]
    assert 0.1 < np.mean(shares) < 0.45
    assert not any(reader.is_reserved(row.prompt, reader.fact(row).skill) for row in task.pool)


def test_near_equal_sets_differ_in_few_items_and_order_counts_only_if_it_is_fixed():
    env = small_env()
    env.reset(seed=1, options={"target": 3})
    rows = env.task.reference(60, 2)
    sets = [rows, rows[::-1], rows[1:]]
    laboratory = env._laboratory
    one, turned, shorter = (laboratory.scores(WorkingSet(tuple(each))).reward for each in sets)
    assert one == turned
    differing = np.mean(np.array(one.correct) != np.array(shorter.correct))
    assert differing <= laboratory.fit.fresh
    chances = [
        laboratory.chances(WorkingSet(tuple(rows), sequential), env.task.reward)
        for sequential in (False, True)
    ]
    assert not np.array_equal(*chances)


def test_losses_are_refused_with_a_way_out():
    env = small_env()
    env.reset(seed=1)
    env.step({"op": "draw", "n": 20})
    for action in (
        {"op": "select", "n": 8, "by": "low_loss"},
        {"op": "select", "n": 8, "by": "gradient"},
        {"op": "order", "by": "easy_first"},
    ):
        _, _, _, _, info = env.step(action)
        assert "need a trained student" in info["report"].error
    _, _, _, _, info = env.step({"op": "select", "n": 8, "by": "importance"})
    assert not info["report"].error


@pytest.mark.parametrize(
    "fields,said",
    [
        ({"student": "nano-b"}, "student 'nano-a', not 'nano-b'"),
        ({"decoding": {"max_new_tokens": 8}}, "max_new_tokens 96, not 8"),
        ({"training": {"epochs": 1}}, "training"),
        ({"domain": "crux"}, "no surrogate of training for 'crux'"),
    ],
)
def test_a_surrogate_of_something_else_is_refused(fields, said):
    config = env_config("Code-surrogate-v0", **fields)
    with pytest.raises(ConfigError, match=said):
        fit_for(config)


def test_tokens_are_counted_as_the_student_counts_them():
    student, real = small_env().student, load_student("nano-a")
    for text in ("What is 3 + 4?", "x = [1, 'a']\nprint(x)", "<|end|> <s>", "é…"):
        assert student.count_tokens(text) == real.count_tokens(text)
    assert student.name == real.name
    assert student.placement == f"surrogate {load_fit('code').name}"


def test_a_run_is_marked_not_ranked_and_not_exported(tmp_path, capsys):
    config = env_config("Code-surrogate-v0", **SMALL, split="test")
    results = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        results.append(run_to_folder(config, Mirror(), seed, folder, quiet=True))
        results.append({**results[-1], "policy": "another", "flags": ["surrogate"]})
        assert "surrogate" in results[-2]["flags"]
    (board,) = boards(results)
    assert [each.rank for each in board.standings] == [None, None] and not board.comparisons
    measured = [{**each, "flags": []} for each in results]
    assert len(boards([*results, *measured])) == 2  # never beside what was measured
    assert main(["export", str(tmp_path / "0"), str(tmp_path / "out")]) == 2
    assert "scored by a surrogate of training" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "0"), "--decisions"]) == 2


@pytest.mark.parametrize("domain", OFFLINE)
def test_a_fit_that_ships_is_small_of_these_worlds_and_says_how_good_it_is(domain):
    path = files("dataenv.surrogate") / "fits" / f"{domain}.json"
    assert len(path.read_bytes()) < 300_000
    about = json.loads(path.read_text())["about"]
    assert about["worlds"] == name_of_worlds() and about["domain"] == domain
    assert about["targets"] >= 4 and about["sets"] > 100
    assert about["held_out"]["rank_correlation_interval"][0] > 0.3
    assert 0 <= load_fit(domain).fresh < 0.5
