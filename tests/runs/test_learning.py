"""Learning: rounds of episodes that a kill does not change, on training targets only."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from dataenv.cli import main
from dataenv.errors import ConfigError, LearningFault, StoreFault, UnknownNameError
from dataenv.registry import make_policy
from dataenv.runs.learning import (
    EPISODES,
    LEARNED,
    ROUNDS,
    STATE,
    Learning,
    environment,
    play,
    read_learning,
)
from dataenv.runs.resumable import read_records
from dataenv.runs.trackers import JsonlTracker, NullTracker

SIZES = {
    **{"public": 8, "reward": 8, "private": 8, "seeds": 8, "pool": 8, "retention": 2},
    **{"min_rows": 4, "max_rows": 16, "calls": 64, "trainings": 2, "steps": 20},
    **{"training": {"epochs": 1}, "decoding": {"max_new_tokens": 8}},
}


@pytest.fixture
def write(tmp_path, tiny_path):
    """Writes a small configuration and returns its file."""

    def write(name="learn", learner="open_loop", **fields):
        content = {
            **{"learner": learner, "tasks": ["Science-fast-v0", "Code-fast-v0"]},
            **{"set": {**SIZES, "student": str(tiny_path)}, "trainings": 16, "targets": 9},
            "settings": {"population": 2, "elite": 1, "scenes": 2},
            **fields,
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


def test_what_is_learned_is_a_policy(write, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["train", str(write()), "--out", str(out), "--processes", "1"]) == 0
    rounds, episodes = read_records(out / ROUNDS), read_records(out / EPISODES)
    assert [each["round"] for each in rounds] == [0, 1] and rounds[-1]["trainings"] == 16
    assert len(episodes) == 16 == rounds[-1]["episodes"]
    assert all(sum(e["rewards"]) == pytest.approx(e["return"]) for e in episodes)
    learned = json.loads((out / LEARNED).read_text())
    assert learned["trained"]["trainings"] == 16 and learned["trained"]["seed"] == 0
    policy = make_policy(str(out / LEARNED))
    assert vars(policy.tuning) == learned["settings"]
    assert "--policy" in capsys.readouterr().out
    state = (out / STATE).read_text()
    assert main(["train", str(write()), "--out", str(out)]) == 0  # over: nothing is played again
    assert (out / STATE).read_text() == state


@pytest.mark.parametrize("learner", ["open_loop", pytest.param("cem", marks=pytest.mark.slow)])
def test_a_learner_that_was_killed_goes_on_as_if_it_had_not_been(write, tmp_path, learner):
    path = write(learner=learner, trainings=18)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    Learning(read_learning(path), whole, processes=1).run(NullTracker())
    command = [sys.executable, "-m", "dataenv.cli", "train", str(path), "--processes", "1"]
    episodes = [len(read_records(whole / EPISODES)) * share // 4 for share in (1, 3)]
    for count in episodes:
        with subprocess.Popen([*command, "--out", str(cut)], start_new_session=True) as process:
            while len(read_records(cut / EPISODES)) < count and process.poll() is None:
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGKILL)
    assert len(read_records(cut / EPISODES)) < len(read_records(whole / EPISODES))
    Learning(read_learning(path), cut, processes=1).run(NullTracker())
    for file in (ROUNDS, LEARNED):
        assert (cut / file).read_text() == (whole / file).read_text()
    key = ("round", "scene", "number")
    one, other = (
        sorted(read_records(out / EPISODES), key=lambda e: [e[k] for k in key])
        for out in (whole, cut)
    )
    assert one == other


def test_another_configuration_is_refused_with_what_differs(write, tmp_path):
    out = tmp_path / "out"
    Learning(read_learning(write(trainings=1)), out, processes=1).run(NullTracker())
    with pytest.raises(StoreFault, match=r"seed: 0 there, 5 now.*another --out"):
        Learning(read_learning(write(trainings=1, seed=5)), out)


def test_learning_begins_with_what_was_learned(write, tmp_path):
    first = Learning(read_learning(write(trainings=1)), tmp_path / "first", processes=1)
    first.run(NullTracker())
    start = str(tmp_path / "first" / LEARNED)
    second = Learning(read_learning(write(start=start, seed=1)), tmp_path / "second")
    assert second.learner.learned()["settings"] == pytest.approx(
        first.learner.learned()["settings"]
    )
    with pytest.raises(ConfigError, match=r"start names '.*/gone\.json', which cannot be read"):
        Learning(read_learning(write(start=str(tmp_path / "gone.json"))), tmp_path / "fourth")
    with pytest.raises(ConfigError, match="holds a 'open_loop', not a 'cem'"):
        Learning(read_learning(write("c", "cem", start=start)), tmp_path / "third")


def test_only_training_targets_are_learned_on(write):
    for field, value in (("split", "test"), ("split", "validation"), ("score_private", True)):
        with pytest.raises(ConfigError, match=f"set.{field}"):
            read_learning(write(set={**SIZES, field: value}))
    with pytest.raises(ConfigError, match=r"set\.student must be another student: nano-c is kept"):
        read_learning(write(set={"student": "nano-c"}))
    with pytest.raises(UnknownNameError, match=r"unknown learner 'sgd'.*cem"):
        read_learning(write(learner="sgd"))
    with pytest.raises(ConfigError, match="population"):
        read_learning(write(settings={"population": 0}))
    assert not environment("Code-fast-v0", {}).score_private


def test_scenes_take_tasks_and_teachers_in_turn(write, tmp_path):
    teachers = [{"weak_share": 0.0}, {"weak_share": 1.0}]
    learning = Learning(read_learning(write(teachers=teachers)), tmp_path / "out")
    scenes = learning._scenes(4)
    assert [each.task for each in scenes] == ["Science-fast-v0", "Code-fast-v0"] * 2
    assert [each.teacher for each in scenes] == [teachers[0]] * 2 + [teachers[1]] * 2
    assert len({each.target for each in scenes}) == 4 == len({each.seed for each in scenes})
    assert scenes == learning._scenes(4)
    learning.round = 1
    assert scenes != learning._scenes(4)


def test_no_task_is_played_more_often_than_another_over_the_rounds(write, tmp_path):
    learning = Learning(read_learning(write()), tmp_path / "out")
    played = []
    for learning.round in range(2):
        played += [each.task for each in learning._scenes(3)]
    assert played.count("Science-fast-v0") == played.count("Code-fast-v0") == 3


def test_a_search_goes_on_where_another_stood(write, tmp_path):
    first = Learning(read_learning(write(trainings=1)), tmp_path / "first", processes=1)
    first.run(NullTracker())
    start = str(tmp_path / "first" / LEARNED)
    second = Learning(read_learning(write(start=start, seed=1)), tmp_path / "second").learner
    assert second.mean.tolist() == first.learner.mean.tolist() == second.start.tolist()
    assert second.spread.tolist() == first.learner.spread.tolist() != [0.7] * len(second.mean)


def test_a_scene_that_fails_leaves_the_others_and_is_played_again(write, tmp_path, monkeypatch):
    learning = Learning(read_learning(write(trainings=1)), tmp_path / "out", processes=1)
    whole = learning._scenes

    def with_a_bad_one(count):
        good, other = whole(count)
        return [type(good)(good.task, 2_000_000, good.seed), other]  # a test target

    monkeypatch.setattr(learning, "_scenes", with_a_bad_one)
    with pytest.raises(LearningFault, match=r"1 of 2 scenes of round 0 failed.*target must be in"):
        learning.step(NullTracker())
    assert len(read_records(tmp_path / "out" / EPISODES)) == 4 and learning.round == 0
    monkeypatch.setattr(learning, "_scenes", whole)
    learning.step(NullTracker())
    assert len(read_records(tmp_path / "out" / EPISODES)) == 8 and learning.round == 1


def test_trackers_are_told_of_every_episode_and_round(write, tmp_path):
    learning = Learning(read_learning(write(trainings=1)), tmp_path / "out", processes=1)
    learning.run(JsonlTracker(tmp_path / "told"))
    lines = read_records(tmp_path / "told" / "metrics.jsonl")
    assert lines[0]["group"] == "open_loop" and lines[0]["job_type"] == "train"
    assert [line["episode/index"] for line in lines[1:]] == [*range(8), 7]
    assert {"learner/ahead", "learner/spread"} <= set(lines[-1])


def test_episodes_of_a_scene_are_those_of_the_same_policy_elsewhere(write, tmp_path):
    learning = Learning(read_learning(write()), tmp_path / "out", processes=1)
    (scene, candidates), *_ = learning.learner.ask(learning._scenes)
    from dataenv.env import DataEnv
    from dataenv.policy import run_episode
    from dataenv.runs.learning import Job

    job = Job("open_loop", learning.config.set, scene, ((0, candidates[0]),))
    (played,) = play(job)
    env = DataEnv(config=environment(scene.task, learning.config.set))
    policy = learning.learner.policy(candidates[0])
    episode = run_episode(env, policy, scene.seed, {"target": scene.target})
    assert played["return"] == episode.total_reward and played["steps"] == len(episode.steps)
