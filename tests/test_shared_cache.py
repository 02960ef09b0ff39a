"""Processes share evaluations and tasks, and nothing but time depends on it."""

import dataclasses
import gzip
import json
import os
import pickle
import subprocess
import sys

import pytest

from dataenv.config import override
from dataenv.contamination import OverlapIndex
from dataenv.env import DataEnv
from dataenv.errors import ConfigError
from dataenv.evaluation import Evaluation
from dataenv.laboratory import Laboratory
from dataenv.presets import EnvConfig
from dataenv.shared_cache import SharedCache
from dataenv.tasks.procedural.targets import DOMAINS, build_task, pack_task, unpack_task
from tests.conftest import SMALL

PLAN = [{"op": "draw", "n": 12}, {"op": "train"}, {"op": "submit"}]


@pytest.fixture(scope="module")
def config(tiny_path):
    fields = [f"{name}={value}" for name, value in SMALL.items()]
    return override(EnvConfig(student=str(tiny_path)), [*fields, "pool=40"])


def played(config, cache=None):
    """All that an episode shows and hides, and the seconds that its student was at work."""
    env = DataEnv(config=config, cache=cache)
    _, info = env.reset(seed=1)
    reports = [info["report"], *(env.step(action)[4]["report"] for action in PLAN)]
    scores = [each.to_dict() for each in [env.base_scores, *env.evaluations]]
    told = json.dumps([[each.to_dict() for each in reports], scores, env.outcome.to_dict()])
    return told, env.seconds["train"] + env.seconds["decode"]


def test_results_are_the_same_with_without_and_from_the_folder(config, tmp_path):
    alone, _ = played(config)
    first, busy = played(config, SharedCache(tmp_path))
    second, idle = played(config, SharedCache(tmp_path))
    assert alone == first == second
    assert busy > 0 and idle == 0


RESET = """
import sys
from dataenv.config import override
from dataenv.env import DataEnv
from dataenv.presets import EnvConfig
from dataenv.shared_cache import SharedCache
env = DataEnv(config=override(EnvConfig(), sys.argv[2:]), cache=SharedCache(sys.argv[1]))
env.reset(seed=1)
print(env.report.score, env.seconds["decode"] > 0)
"""


def test_of_two_processes_at_once_one_evaluates_and_the_other_waits(tiny_path, tmp_path):
    fields = [f"{name}={value}" for name, value in SMALL.items()] + [f"student={tiny_path}"]
    command = [sys.executable, "-c", RESET, str(tmp_path), *fields]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [each.communicate(timeout=300)[0].split() for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert found[0][0] == found[1][0]
    assert sorted(each[1] for each in found) == ["False", "True"]


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "foreign", "other shape"])
def test_a_damaged_or_foreign_file_is_made_anew(damage, config, tmp_path):
    whole, _ = played(config, SharedCache(tmp_path))
    for path in tmp_path.glob("*.json.gz"):
        content = path.read_bytes()
        entry = json.loads(gzip.decompress(content))
        damaged = {
            "cut": content[: len(content) // 2],
            "empty": b"",
            "noise": os.urandom(200),
            "foreign": gzip.compress(json.dumps({**entry, "key": "another"}).encode()),
            "other shape": gzip.compress(json.dumps({**entry, "value": ["scores", 3]}).encode()),
        }
        path.write_bytes(damaged[damage])
    again, busy = played(config, SharedCache(tmp_path))
    assert again == whole and busy > 0
    _, idle = played(config, SharedCache(tmp_path))
    assert idle == 0


def test_other_questions_under_the_same_name_are_asked(config, tmp_path, tiny_student):
    task = build_task(DOMAINS["code"], 0, public=8, reward=0, private=4, seeds=0, retention=2)
    other = dataclasses.replace(task, public=task.public[::-1])
    found = []
    for each in (task, other):
        seconds = {"train": 0.0, "decode": 0.0}
        overlap, cache = OverlapIndex(each, each.public), SharedCache(tmp_path)
        laboratory = Laboratory(tiny_student, config, each, "key", overlap, cache, seconds)
        found.append((laboratory.base_scores().public.answers, seconds["decode"] > 0))
    assert found[1] == (found[0][0][::-1], True)


def test_the_least_recently_used_files_go_when_there_are_too_many_bytes(tmp_path, config):
    env = DataEnv(config=config, cache=SharedCache(tmp_path))
    env.reset(seed=1)
    for number, path in enumerate(sorted(tmp_path.glob("*.json.gz"))):
        os.utime(path, (number, number))
    old = set(tmp_path.glob("*.json.gz"))
    small = DataEnv(config=config, cache=SharedCache(tmp_path, limit_bytes=1))
    small.reset(seed=2)
    assert len(old) >= 2 and not any(path.exists() for path in old)


@pytest.mark.parametrize("name", list(DOMAINS))
def test_a_task_from_the_folder_is_the_one_that_was_built(name):
    sizes = {"public": 12, "reward": 6, "private": 12, "seeds": 6, "retention": 3, "pool": 12}
    built = build_task(DOMAINS[name], 5, **sizes)
    read = unpack_task(DOMAINS[name], 5, json.loads(json.dumps(pack_task(built))))
    assert read == built and repr(read.pool) == repr(built.pool)
    assert read.reference(20, 1) == built.reference(20, 1)
    assert [read.identify(item.prompt) for item in built.seeds] == [
        built.identify(item.prompt) for item in built.seeds
    ]


def test_a_fork_and_a_worker_share_the_folder(config, tmp_path):
    env = DataEnv(config=config, cache=SharedCache(tmp_path))
    env.reset(seed=1)
    twin = env.fork()
    twin.step(PLAN[0])
    twin.step(PLAN[1])
    sent = pickle.loads(pickle.dumps(SharedCache(tmp_path)))
    mine = DataEnv(config=config, cache=sent)
    mine.reset(seed=1)
    for action in PLAN[:2]:
        mine.step(action)
    assert mine.seconds["train"] == 0.0
    assert mine.evaluations[0].to_dict() == twin.evaluations[0].to_dict()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot share evaluations in"):
        SharedCache(tmp_path / "file" / "folder")


def test_keys_name_files_and_never_lead_out_of_the_folder(tmp_path):
    cache = SharedCache(tmp_path / "in")
    made = Evaluation((True,), ("a",), (None,), (False,))
    assert cache.recall("../../out", lambda: made) == made
    assert SharedCache(tmp_path / "in").recall("../../out", lambda: 1 / 0) == made
    assert [each.name for each in tmp_path.iterdir()] == ["in"]
