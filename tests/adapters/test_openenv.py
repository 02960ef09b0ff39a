"""OpenEnv: whole episodes by the protocol's own client."""

import contextlib
import json
import re
import subprocess
import sys

import pytest
from openenv import GenericEnvClient

from dataenv.adapters.openenv import action_class
from dataenv.cli import main
from dataenv.operations import OPERATIONS
from dataenv.registry import env_config
from dataenv.runs.folder import RESULT
from dataenv.world import task_of
from tests.conftest import SMALL

WRITE = {"op": "generate", "brief": "easy problems", "n": 6}


@contextlib.contextmanager
def served(out, student):
    """A server of a small task in a process of its own, and its address."""
    changes = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    task = ["--task", "Science-fast-v0", "--student", str(student), "--out", str(out)]
    command = ["-m", "dataenv.cli", "serve", "openenv", *task, *changes, "--port", "0"]
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield re.search(r"http://[\d.:]+", process.stdout.readline()).group()
        finally:
            process.kill()


def client(url):
    return GenericEnvClient(base_url=url, message_timeout_s=120).sync()


def test_sessions_play_whole_episodes_beside_each_other(tiny_path, tmp_path, capsys):
    with served(tmp_path, tiny_path) as url, client(url) as one, client(url) as other:
        told = [one.reset(seed=3), other.reset(seed=3)]
        assert "Curate training data" in told[0].observation["report"]
        assert not told[0].done and told[0].reward is None
        told.append(one.step(WRITE))
        told.append(one.step({"op": "generate", "brief": "easy", "n": "many", "tone": "dry"}))
        assert "generate has no argument 'tone'" in told[-1].observation["figures"]["error"]
        assert told[-1].reward < 0
        told.append(one.step({"op": "train"}))
        assert told[-1].observation["figures"]["evaluation"] == 1
        assert other.state()["step_count"] == 0 and one.state()["step_count"] == 3
        assert other.step({"op": "dedup"}).observation["figures"]["rows"] == 0
        assert not any("private score" in each.observation["report"] for each in told)
        last = one.step({"op": "submit"})
        assert last.done and not last.observation["truncated"]
        with pytest.raises(RuntimeError, match="the episode is over"):
            one.step(WRITE)
        episode = last.metadata["episode"]
        unfinished = told[1].metadata["episode"]
        assert one.reset(seed=3).metadata["episode"] not in (episode, unfinished)
    result = json.loads((tmp_path / episode / RESULT).read_text())
    assert (result["policy"], result["channel"], result["seed"]) == ("openenv", "openenv", 3)
    rewards = [each.reward for each in (*told[2:], last)]
    assert sum(rewards) == pytest.approx(result["return"])
    assert main(["leaderboard", str(tmp_path / episode)]) == 0
    config = env_config("Science-fast-v0", [f"{k}={v}" for k, v in SMALL.items()])
    task = task_of(config, result["target_number"])
    said = json.dumps([each.observation for each in (*told, last)])
    for item in (*task.private, *task.reward):
        assert json.dumps(item.prompt)[1:-1] not in said
    with served(tmp_path, tiny_path) as url, client(url) as again:
        assert again.reset(resume=unfinished).observation["figures"]["step"] == 1
        assert again.step({"op": "submit"}).done
        with pytest.raises(RuntimeError, match="there is no episode"):
            again.reset(resume="../elsewhere")
        for options, message in (({"spilt": "test"}, "spilt"), ({"split": "tset"}, "'tset'")):
            with pytest.raises(RuntimeError, match=message):
                again.reset(**options)


def test_an_action_has_the_fields_of_all_operations():
    schema = action_class().model_json_schema()["properties"]
    names = {name for entry in OPERATIONS.values() for name in entry.schema()["properties"]}
    assert not names & {"op", "metadata", "episode"}  # the protocols have these
    for operation in OPERATIONS.values():
        for name in operation.schema()["properties"]:
            assert f"{operation.name}: " in schema[name]["description"]
    assert schema["op"]["enum"] == list(OPERATIONS)
    action = action_class()(**WRITE)
    assert action.model_dump(exclude_unset=True) == WRITE
