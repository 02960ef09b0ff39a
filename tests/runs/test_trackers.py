"""What trackers are told: files of their own, and real offline runs of Weights & Biases."""

import json
import os
import struct
import subprocess
import sys
import time

import pytest
from wandb.proto.wandb_internal_pb2 import Record

from dataenv.cli import main
from dataenv.errors import ConfigError, TeacherUnavailable
from dataenv.menu import MENU, SUBMIT, Entry
from dataenv.registry import env_config, make_policy
from dataenv.runs.runner import run_to_folder
from dataenv.runs.trackers import JsonlTracker, Trackers, WandbTracker, about_run, tracking
from dataenv.wrappers import DiscreteOperations, TextIO, TrackEpisodes

SETTINGS = ["public=8", "reward=8", "private=8", "seeds=8", "retention=2", "min_rows=4"]
SETTINGS += ["max_rows=16", "calls=64", "trainings=2", "steps=12", "training.epochs=1"]
SETTINGS += ["decoding.max_new_tokens=8"]
SECRET = "http://127.0.0.1:1/secret"


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def chunks(content):
    """(type, data) of the pieces of a file of records: the log format of LevelDB, behind 7 bytes."""
    place, block = 7, 32_768
    while place + 7 <= len(content):
        if block - place % block < 7:
            place += block - place % block
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        yield kind, content[place + 7 : place + 7 + length]
        place += 7 + length


def parsed(content):
    found, held = [], b""
    for kind, data in chunks(content):
        held = data if kind in (1, 2) else held + data  # 1: whole; 2, 3, 4: first, middle, last
        if kind in (1, 4):
            found.append(Record.FromString(held))
    return found


def recorded(folder, patience_s=30.0):
    """The records of the one finished offline run below a folder."""
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        found = parsed(file.read_bytes())
        if any(each.HasField("exit") for each in found):
            return found
        time.sleep(0.05)  # another process writes it
    raise AssertionError(f"{file} has no end")


def run_of(folder):
    return next(each.run for each in recorded(folder) if each.HasField("run"))


def config_of(folder):
    return {item.key: json.loads(item.value_json) for item in run_of(folder).config.update}


def history(folder):
    """Logged values, one dict a call of log."""
    items = [each.history.item for each in recorded(folder) if each.HasField("history")]
    named = [
        {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in one} for one in items
    ]
    return [{k: v for k, v in each.items() if not k.startswith("_")} for each in named]


def tables(folder):
    """Rows of the table of steps over all of its parts, as dicts."""
    paths = [each["steps/path"] for each in history(folder) if "steps/path" in each]
    (root,) = folder.glob("wandb/offline-run-*/files")
    parts = [json.loads((root / path).read_text()) for path in paths]
    return [dict(zip(part["columns"], row)) for part in parts for row in part["data"]]


def artifacts(folder):
    """Texts of the files of artifacts that are no tables, by kind and name."""
    sent = [each.request for each in recorded(folder) if each.HasField("request")]
    made = [each.log_artifact.artifact for each in sent if each.HasField("log_artifact")]
    made += [each.artifact for each in recorded(folder) if each.HasField("artifact")]
    return {
        (each.type, entry.path): open(entry.local_path).read()
        for each in made
        if each.type in ("dataset", "trajectory")
        for entry in each.manifest.contents
    }


@pytest.fixture
def small(tiny_path):
    return env_config("Science-fast-v0", SETTINGS, student=str(tiny_path), split="test")


def test_a_run_is_told_to_wandb_as_its_records_have_it(tiny_path, tmp_path):
    command = ["run", "--task", "Science-fast-v0", "--policy", "feedback", "--track", "wandb"]
    command += ["--student", str(tiny_path), "--out", str(tmp_path), "--seed", "3"]
    assert main([*command, *(part for each in SETTINGS for part in ("--set", each))]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    steps = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    run, config = run_of(tmp_path), config_of(tmp_path)
    assert (run.run_group, run.job_type) == ("feedback", "eval")
    assert (config["calls"], config["seed"], config["training"]["epochs"]) == (64, 3, 1)
    (told,) = [each for each in history(tmp_path) if "episode/index" in each]
    assert told["episode/index"] == 0 and told["episode/length"] == len(steps)
    assert told["student/private"] == result["final"]["private"]
    assert told["episode/return"] == pytest.approx(result["return"])
    assert told["budget/calls"] == result["budget"]["calls"]["used"]
    rows = tables(tmp_path)
    assert [row["operation"] for row in rows] == [step["action"]["op"] for step in steps]
    assert [row["reward"] for row in rows] == [step["reward"] for step in steps]
    assert [row["added"] for row in rows] == [s["report"]["effect"].get("added", 0) for s in steps]
    kept = artifacts(tmp_path)
    assert json.loads(kept["dataset", "submission.json"]) == json.loads(
        (tmp_path / "submission.json").read_text()
    )
    rows_file = (tmp_path / "submission_rows.jsonl").read_text()
    assert kept["dataset", "submission_rows.jsonl"] == rows_file
    assert kept["trajectory", "steps.jsonl"] == (tmp_path / "steps.jsonl").read_text()


def test_scalars_have_the_episode_as_their_axis(small, tmp_path):
    with tracking(WandbTracker(tmp_path), about_run(small, "random", "train")):
        pass
    metrics = [each.metric for each in recorded(tmp_path) if each.HasField("metric")]
    axes = {each.glob_name or each.name: each.step_metric for each in metrics}
    assert axes["student/*"] == axes["budget/*"] == "episode/index"


def test_nothing_of_this_machine_is_told(small, tmp_path):
    import dataclasses

    endpoint = dataclasses.replace(small.endpoint, base_url=SECRET, model="m")
    config = dataclasses.replace(small, endpoint=endpoint, tape=str(tmp_path / "tape"))
    with tracking(WandbTracker(tmp_path), about_run(config, "random", "eval")):
        pass
    told = json.dumps(config_of(tmp_path))
    assert SECRET not in told and str(tmp_path) not in told and small.student not in told


@pytest.mark.parametrize("wrapper", [DiscreteOperations, TextIO])
def test_any_loop_tells_its_episodes_to_several_trackers(wrapper, make_env, tmp_path):
    env = make_env()
    both = Trackers([JsonlTracker(tmp_path / "own"), WandbTracker(tmp_path)])
    wrapped = TrackEpisodes(wrapper(env), both, artifacts=True)
    write = {"op": "generate", "brief": "heat", "n": 8}
    menu = [MENU.index(Entry("write", 24, 0)), SUBMIT]
    actions = menu if wrapper is DiscreteOperations else [json.dumps(write), '{"op": "submit"}']
    with tracking(both, about_run(env.config, "mine", "train")):
        for seed in range(2):
            wrapped.reset(seed=seed)
            ends = [wrapped.step(action)[2] for action in actions]
            assert ends == [False, True]
    own = [json.loads(line) for line in (tmp_path / "own/metrics.jsonl").read_text().splitlines()]
    assert own[0]["group"] == "mine" and own[0]["job_type"] == "train"
    told = [
        {name: value for name, value in each.items() if not name.startswith("steps/")}
        for each in history(tmp_path)
        if "episode/index" in each
    ]
    assert told == own[1:] and [each["episode/index"] for each in told] == [0, 1]
    lines = (tmp_path / "own/tables/steps.jsonl").read_text().splitlines()
    assert tables(tmp_path) == [json.loads(line) for line in lines]
    assert [row["operation"] for row in tables(tmp_path)] == ["generate", "submit"] * 2
    kept = sorted(path.name for path in (tmp_path / "own/artifacts").iterdir())
    target = env.task.target
    assert f"{target}-1-submission" in kept and len(kept) == 4


def test_long_tables_are_sent_in_parts(tmp_path, small):
    with tracking(WandbTracker(tmp_path), about_run(small, "random", "eval")) as tracker:
        for step in range(45):
            tracker.table("steps", {"step": step, "operation": "draw"})
    assert [row["step"] for row in tables(tmp_path)] == list(range(45))
    assert sum("steps/path" in each for each in history(tmp_path)) == 3


def test_a_run_that_is_cut_off_is_told_whole_when_it_goes_on(small, tmp_path):
    class Flaky(type(make_policy("mirror"))):
        down = True

        def act(self, observation, report):
            if self.down and dict(report.budget)["steps"][0] == 2:
                raise TeacherUnavailable("the teacher is down")
            return super().act(observation, report)

    first, second = tmp_path / "first", tmp_path / "second"
    with pytest.raises(TeacherUnavailable):
        run_to_folder(small, Flaky(), 0, tmp_path / "run", quiet=True, tracker=WandbTracker(first))
    assert len(tables(first)) == 2
    policy = Flaky()
    policy.down = False
    again = {"quiet": True, "resume": True, "tracker": WandbTracker(second)}
    run_to_folder(small, policy, 0, tmp_path / "run", **again)
    steps = (tmp_path / "run/steps.jsonl").read_text().splitlines()
    assert len(tables(second)) == len(steps) > 2
    exits = [[e.exit.exit_code for e in recorded(f) if e.HasField("exit")] for f in (first, second)]
    assert exits == [[1], [0]]


def test_without_wandb_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import of it then fails
    with pytest.raises(ConfigError, match=r"pip install 'dataenv-gym\[wandb\]'"):
        WandbTracker(tmp_path)


def test_without_an_account_the_message_says_how_to_go_on(tmp_path):
    code = (
        "from pathlib import Path; from dataenv.runs.trackers import About, WandbTracker; "
        f"WandbTracker(Path({str(tmp_path)!r})).start(About('a', 'b', 'eval', {{}}))"
    )
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    nobody = {"HOME": str(tmp_path), "WANDB_BASE_URL": "http://127.0.0.1:9", **kept}
    ran = subprocess.run([sys.executable, "-c", code], env=nobody, capture_output=True, text=True)
    assert "ConfigError: wandb does not start" in ran.stderr and "WANDB_MODE=offline" in ran.stderr


def test_the_wrappers_do_not_import_wandb():
    code = "import sys, dataenv.wrappers, dataenv.runs.runner; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
