"""Tools for GRPO: schemas, whole episodes through the tools, and two steps of TRL's trainer."""

import asyncio
import inspect
import json
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from gymnasium.error import ResetNeeded
from tiny_controller import make
from train_grpo import read_run, settings, train
from transformers.utils import get_json_schema

import dataenv
from dataenv.adapters.trl import OFFERED, OVER, EpisodeOver, environment_factory, episode_rows
from dataenv.env import DataEnv
from dataenv.errors import ConfigError, TrainingFault, UnknownNameError
from dataenv.operations import OPERATIONS
from dataenv.presets import SPLITS, EnvConfig
from dataenv.runs.trackers import JsonlTracker
from dataenv.students import load_student
from dataenv.world import task_of
from tests.conftest import TINY

CONFIGS = Path(dataenv.__file__).parents[1] / "configs" / "grpo"
CONFIG = EnvConfig(**TINY)
ROW = {"prompt": [{"role": "user", "content": "Begin."}], "seed": 5, "target": 3}
ACTIONS = (
    {"op": "generate", "brief": "easy problems", "n": 10},
    {"op": "draw", "n": "many"},
    {"op": "draw", "n": 4, "tone": "dry"},
    {"op": "train"},
    {"op": "draw", "n": 4},
    {"op": "train"},
)
SUBMIT = {"op": "submit"}


def tools_of(factory):
    return [name for name in vars(factory) if not name.startswith("_")]


def coroutine(episode, action):
    arguments = {name: value for name, value in action.items() if name != "op"}
    return getattr(episode, action["op"])(**arguments)


def call(episode, action):
    return asyncio.run(coroutine(episode, action))


def in_one_turn(episode, actions):
    """The calls of one turn, at once, as TRL makes them."""

    async def turn():
        calls = [coroutine(episode, each) for each in actions]
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(turn())


def played(episode, row, actions):
    """All that is said, and the reward."""
    said = [episode.reset(**row), *(call(episode, each) for each in actions)]
    return said, episode.get_reward()


@pytest.fixture
def factory(tiny_student):
    return environment_factory(CONFIG, student=tiny_student)


def rewarded(actions, student, config=CONFIG, row=ROW):
    """The rewards of the environment itself."""
    env = DataEnv(config=config, student=student)
    env.reset(seed=row["seed"], options={"target": row["target"]})
    return [env.step(each)[1] for each in actions]


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_schema_says_what_the_registry_says(name):
    operation, wanted = OPERATIONS[name], OPERATIONS[name].schema()
    tool = getattr(environment_factory(CONFIG, [name])(), name)
    made = get_json_schema(tool)["function"]
    assert (made["name"], made["description"]) == (name, operation.description)
    parameters = made["parameters"]
    assert list(parameters["properties"]) == list(wanted["properties"])
    assert parameters.get("required", []) == wanted["required"]
    for key, each in parameters["properties"].items():
        said = wanted["properties"][key]
        kinds = [each["type"], "null"] if each.get("nullable") else each["type"]
        assert (kinds, each.get("enum")) == (said["type"], said.get("enum"))
        assert each.get("items") == said.get("items")
        assert each["description"].startswith(said["description"])
        for bound in ("minimum", "maximum", "maxItems", "maxLength"):
            assert bound not in said or f"{said[bound]:g}" in each["description"]
        if key not in wanted["required"]:
            default = inspect.signature(tool).parameters[key].default
            assert default == said["default"]
            assert not default or json.dumps(default) in each["description"]


def test_trl_is_not_imported_before_it_is_needed():
    code = "import sys, dataenv.adapters.trl; sys.exit('trl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_tools_are_those_that_were_chosen_and_the_two_that_every_episode_needs():
    assert set(tools_of(environment_factory(CONFIG))) == set(OFFERED)
    assert "program" not in OFFERED
    assert set(tools_of(environment_factory(CONFIG, ["draw"]))) == {"draw", "train", "submit"}
    with pytest.raises(UnknownNameError, match="generate"):
        environment_factory(CONFIG, ["genrate"])
    with pytest.raises(ConfigError, match="report_chars"):
        environment_factory(CONFIG, report_chars=20)


def test_what_is_said_is_brief_and_complete(factory):
    said, reward = played(factory(), ROW, [*ACTIONS, SUBMIT])
    assert reward < 0  # two calls were wrong
    assert "Curate training data" in said[0] and "Operations:" not in said[0]
    assert "draw has no argument 'tone'" in said[3]
    assert "evaluation 2" in said[6] and "call no more tools" in said[7]
    assert all(len(each) <= 600 + len(f"\n{OVER}") for each in said[1:])


def test_rewards_are_the_environments_and_differ_as_the_student_does():
    config = read_run(CONFIGS / "tiny.yaml").env
    (row,) = episode_rows(config, 1).to_list()
    episode = environment_factory(config)()
    found = []
    for n in (8, 64):
        actions = [{"op": "draw", "n": n}, {"op": "train"}, SUBMIT]
        found.append(played(episode, row, actions)[1])
        rewards = rewarded(actions, load_student("nano-a"), config, row)
        assert found[-1] == pytest.approx(sum(rewards))
    assert found[0] != found[1] and all(found)


def test_calls_of_one_turn_are_carried_out_as_they_were_written(factory):
    episode = factory()
    _, reward = played(episode, ROW, [*ACTIONS, SUBMIT])
    episode.reset(**ROW)
    said = in_one_turn(episode, [*ACTIONS, SUBMIT, {"op": "train"}])
    assert isinstance(said.pop(), EpisodeOver)
    assert said == played(factory(), ROW, [*ACTIONS, SUBMIT])[0][1:]
    assert episode.get_reward() == reward


def test_episodes_beside_each_other_are_as_if_alone(factory):
    rows = [{**ROW, "target": target} for target in (3, 4)]
    alone = [played(factory(), row, ACTIONS) for row in rows]
    episodes = [factory() for _ in rows]
    begun = [episode.reset(**row) for episode, row in zip(episodes, rows)]

    async def beside():
        async def play(episode):
            return [await coroutine(episode, each) for each in ACTIONS]

        return await asyncio.gather(*map(play, episodes))

    said = [[first, *rest] for first, rest in zip(begun, asyncio.run(beside()))]
    rewards = [episode.get_reward() for episode in episodes]
    assert list(zip(said, rewards)) == alone


def test_a_reused_instance_begins_anew(factory):
    fresh = played(factory(), ROW, ACTIONS)
    used = factory()
    played(used, {**ROW, "seed": 6, "target": 9, "domain": "code"}, ACTIONS[:3])
    assert played(used, {**ROW, "domain": None, "split": None, "other": 1}, ACTIONS) == fresh


def test_what_was_left_is_submitted_and_what_is_over_stays_over(factory, tiny_student):
    episode = factory()
    with pytest.raises(ResetNeeded):
        episode.get_reward()
    with pytest.raises(EpisodeOver, match="call no more tools"):
        call(episode, ACTIONS[0])
    episode.reset(**ROW)
    call(episode, ACTIONS[0])  # bought and not trained on
    rewards = rewarded([ACTIONS[0], SUBMIT], tiny_student)
    assert episode.get_reward() == pytest.approx(sum(rewards)) == episode.get_reward()
    assert episode._env.unwrapped.outcome.ended == "submitted"
    assert episode._env.unwrapped.outcome.rows >= CONFIG.min_rows
    with pytest.raises(EpisodeOver, match="call no more tools"):
        call(episode, SUBMIT)


def test_a_fault_is_no_reward_and_the_next_episode_is_none_the_worse(
    tiny_student, monkeypatch, capsys
):
    fresh = played(environment_factory(CONFIG, student=tiny_student)(), ROW, ACTIONS)
    episode = environment_factory(CONFIG, student=tiny_student)()

    def crash(*arguments):
        raise TrainingFault("out of memory at /secret")

    episode.reset(**ROW)
    call(episode, ACTIONS[0])
    with monkeypatch.context() as patched:
        patched.setattr(tiny_student, "train", crash)
        with pytest.raises(EpisodeOver) as told:
            call(episode, {"op": "train"})
    assert "secret" not in str(told.value) and "secret" in capsys.readouterr().err
    with pytest.raises(TrainingFault, match="out of memory"):
        episode.get_reward()
    assert played(episode, ROW, ACTIONS) == fresh
    with pytest.raises(ConfigError, match="target"):
        episode.reset(**{**ROW, "target": 2_000_000})  # a test target, and the split is train
    with pytest.raises(ResetNeeded):
        episode.get_reward()


def test_nobody_is_told_of_hidden_items(factory):
    said, _ = played(factory(), ROW, [{"op": "inspect", "what": "wrong", "n": 9}, *ACTIONS, SUBMIT])
    task = task_of(CONFIG, ROW["target"])
    for item in (*task.private, *task.reward):
        assert not any(item.prompt in each for each in said)


def test_rows_are_of_their_split_and_come_again(tiny_student):
    for split, targets in SPLITS.items():
        rows = episode_rows(CONFIG, 6, split=split, domains=["science", "code"])
        assert all(target in targets for target in rows["target"])
        assert rows["domain"] == ["science", "code"] * 3
    assert (
        rows.to_list()
        == episode_rows(CONFIG, 6, split="test", domains=["science", "code"]).to_list()
    )
    assert rows["seed"] != episode_rows(CONFIG, 6, split="test", seed=1)["seed"]
    with pytest.raises(ConfigError, match="split"):
        episode_rows(CONFIG, 1, split="tset")


def test_episodes_are_tracked(tiny_student, tmp_path):
    tracker = JsonlTracker(tmp_path)
    factory = environment_factory(CONFIG, student=tiny_student, tracker=tracker)
    rewards = [played(factory(), ROW, ACTIONS)[1] for _ in range(2)]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [each["episode/return"] for each in lines] == pytest.approx(rewards)
    assert [each["episode/index"] for each in lines] == [0, 1]
    assert "student/private" not in lines[0]  # of no use to training


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_is_of_fields_that_trl_has(path, tmp_path):
    from peft import LoraConfig
    from trl import GRPOConfig

    run = read_run(path)
    assert set(run.grpo) <= {each.name for each in fields(GRPOConfig)}
    assert set(run.lora) <= {each.name for each in fields(LoraConfig)}
    assert set(tools_of(environment_factory(run.env, run.operations))) >= {"train", "submit"}
    batch = run.grpo["per_device_train_batch_size"] * run.grpo.get("gradient_accumulation_steps", 1)
    assert batch % run.grpo["num_generations"] == 0


def test_a_wrong_file_is_refused(tmp_path):
    run = read_run(CONFIGS / "tiny.yaml")
    with pytest.raises(ConfigError, match="num_generation'"):
        settings(read_run(CONFIGS / "tiny.yaml", ["grpo={num_generation: 4}"]), tmp_path)
    with pytest.raises(ConfigError, match="track"):
        read_run(CONFIGS / "tiny.yaml", ["track=[json]"])
    with pytest.raises(ConfigError, match="no checkpoint"):
        train(run, tmp_path, resume=True)


@pytest.fixture(scope="module")
def trained(tiny_student, tmp_path_factory):
    """A training of two steps, its folder, and TRL's trainer."""
    folder = tmp_path_factory.mktemp("grpo")
    run = read_run(CONFIGS / "tiny.yaml", [f"model={folder / 'controller'}"])
    assert make(run, folder / "controller", tiny_student) < 0.5
    return run, folder / "out", train(run, folder / "out")


def steps_of(out, start):
    """What the tracker was told of the steps of episodes since a start."""
    (file,) = out.glob(f"episodes/from-{start}-*/tables/steps.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_two_steps_of_grpo_train_students_by_calls_of_the_model(trained):
    run, out, trainer = trained
    updates = [each for each in trainer.state.log_history if "reward" in each]
    assert len(updates) == 2 and all(each["tools/call_frequency"] > 0.5 for each in updates)
    steps = steps_of(out, 0)
    assert {each["episode"] for each in steps} == set(range(8))
    assert sum(each["operation"] == "train" and not each["error"] for each in steps) >= 2
    returns = [sum(each["reward"] for each in steps if each["episode"] == n) for n in range(8)]
    assert max(returns) > min(returns) and max(each["reward_std"] for each in updates) > 0
    assert updates[0]["reward"] == pytest.approx(sum(returns[:4]) / 4)
    with pytest.raises(ConfigError, match="--resume"):
        train(run, out)


@pytest.mark.slow
def test_a_training_that_was_cut_off_goes_on_as_if_it_had_not_been(trained, tmp_path):
    run, out, _ = trained
    cut = shutil.copytree(out, tmp_path / "cut")
    shutil.rmtree(cut / "checkpoint-2")
    train(run, cut, resume=True)
    known = ("operation", "arguments", "reward", "rows", "public", "error")
    again = [[each[name] for name in known] for each in steps_of(cut, 1)]
    first = [[each[name] for name in known] for each in steps_of(out, 0)]
    assert again == first[-len(again) :] and len(again) >= 4
