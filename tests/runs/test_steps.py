"""Logged steps: the same from a run's folder and from a loop, whole, and readable by others."""

import copy

import minari
import numpy as np
import pytest
from dataenv.baselines.fixed import Mirror
from datasets import load_dataset
from gymnasium import spaces

from dataenv.adapters.minari import to_minari
from dataenv.cli import main
from dataenv.config import override
from dataenv.env import DataEnv
from dataenv.errors import ConfigError
from dataenv.menu import TRAIN
from dataenv.observation import observation_space
from dataenv.policy import run_episode
from dataenv.presets import EnvConfig
from dataenv.runs.runner import run_to_folder
from dataenv.runs.steps import LAYOUT, SIZE, StepLog, steps_of_runs
from dataenv.runs.trajectories import read_steps, trajectories
from dataenv.wrappers import DiscreteOperations, LogSteps, TextIO
from tests.conftest import SMALL


@pytest.fixture(scope="module")
def config(tiny_path):
    fields = [f"{name}={value}" for name, value in SMALL.items()]
    return override(EnvConfig(student=str(tiny_path)), fields)


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    """The folder of a finished run of `mirror`."""
    folder = tmp_path_factory.mktemp("run")
    run_to_folder(config, Mirror(), 3, folder, quiet=True)
    return folder


def logged(config, folder, *seeds, policy="mirror"):
    """The table of a loop of `mirror` over seeds, and the rewards that the loop has seen."""
    with StepLog(folder, episodes=2) as log:
        env = LogSteps(DataEnv(config=config), log, policy)
        seen = [[each["reward"] for each in run_episode(env, Mirror(), n).steps] for n in seeds]
    return read_steps(folder), seen


def test_a_loop_logs_what_a_run_folder_holds(config, run, tmp_path):
    table, _ = logged(config, tmp_path, 3)
    assert table.to_pylist() == exported(run, tmp_path).to_pylist()


def exported(run, tmp_path):
    out = tmp_path / "out" / "steps.parquet"
    out.parent.mkdir()
    assert main(["steps", str(run), "--out", str(out)]) == 0
    return read_steps(out)


def test_trajectories_are_what_was_played(config, tmp_path):
    table, seen = logged(config, tmp_path, 1, 2, 3)
    assert len(list(tmp_path.glob("*.parquet"))) == 2  # two episodes, and one
    found = {each.about["seed"]: each for each in trajectories(table)}
    assert sorted(found) == [1, 2, 3]
    for seed, rewards in zip((1, 2, 3), seen, strict=True):
        each = found[seed]
        assert each.rewards.tolist() == rewards and each.valid.all()
        assert each.observations.shape == (len(rewards) + 1, SIZE)
        assert [action["op"] for action in each.actions][-2:] == ["train", "submit"]
        assert each.terminated.tolist() == [False] * (len(rewards) - 1) + [True]


def test_observations_are_those_of_the_environment(config, tmp_path):
    env = DataEnv(config=config)
    first, _ = env.reset(seed=3)
    table, _ = logged(config, tmp_path, 3)
    (episode,) = trajectories(table)
    space = observation_space()
    assert np.array_equal(spaces.flatten(space, first), episode.observations[0])
    back = spaces.unflatten(space, episode.observations[0])
    assert all(np.array_equal(back[name], first[name]) for name in first)
    assert np.array_equal(episode.observations[0][LAYOUT["slices"]], first["slices"].ravel())


def test_refused_actions_are_marked_and_cut_episodes_left_out(config, tmp_path):
    with StepLog(tmp_path) as log:
        env = DiscreteOperations(LogSteps(DataEnv(config=config), log, "by hand"))
        env.reset(seed=1)
        env.step(0)
        env.reset(seed=2)
        env.step(TRAIN)
        env.step(env.action_space.n - 1)
    (episode,) = trajectories(read_steps(tmp_path))
    assert episode.about["seed"] == 2 and episode.about["flags"] == ["no_submission"]
    assert episode.valid.tolist() == [False, True]
    assert episode.actions == [{"op": "train"}, {"op": "submit"}]


def test_a_wrapped_environment_can_be_copied(config, tmp_path):
    env = LogSteps(DataEnv(config=config), StepLog(tmp_path), "x")
    assert copy.copy(env).config == config
    with pytest.raises(AttributeError):
        _ = env.nothing_of_that_name


def test_hidden_scores_follow_the_rewards(config, run):
    rows = steps_of_runs([run])
    (train,) = [row for row in rows if row["operation"] == "train"]
    before = rows[train["step"] - 2]["hidden_score"]
    assert train["reward"] == pytest.approx(train["hidden_score"] - before)
    assert rows[-1]["hidden_score"] == train["hidden_score"] and rows[-1]["steps_left"] >= 0


def test_an_episode_that_was_written_twice_is_read_once(config, run, tmp_path):
    rows = steps_of_runs([run])
    with StepLog(tmp_path) as log:
        log.add(rows)
        log.add(rows)
    table = read_steps(tmp_path)
    assert table.num_rows == 2 * len(rows)
    assert [len(each.rewards) for each in trajectories(table)] == [len(rows)]


def test_datasets_and_minari_read_the_steps(config, tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    table, seen = logged(config, tmp_path / "steps", 1, 2)
    files = [str(path) for path in (tmp_path / "steps").glob("*.parquet")]
    dataset = load_dataset("parquet", data_files=files, cache_dir=tmp_path / "cache")["train"]
    assert dataset["reward"][:] == table["reward"].to_pylist()
    to_minari(table, "dataenv/test-v0")
    episodes = list(minari.load_dataset("dataenv/test-v0").iterate_episodes())
    assert [each.rewards.tolist() for each in episodes] == seen
    assert episodes[0].observations["slices"].shape == (len(seen[0]) + 1, 32, 8)
    assert list(episodes[0].actions) == list(next(trajectories(table)).texts)


def test_what_holds_no_steps_is_refused(config, tmp_path):
    with pytest.raises(ConfigError, match="holds no steps"):
        read_steps(tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(ConfigError, match="cannot read steps"):
        read_steps(tmp_path)
    with pytest.raises(ConfigError, match="there is no run"):
        steps_of_runs([tmp_path])
    with pytest.raises(ConfigError, match="put it under TextIO"):
        LogSteps(TextIO(DataEnv(config=config)), StepLog(tmp_path), "x")
