"""Runs that are killed, and go on as if nothing had happened."""

import json
import multiprocessing
import os
import signal

import pytest

from dataenv.cli import main
from dataenv.runs.files import POINTS
from dataenv.runs.runner import RESULT, STEPS, SUBMISSION

SETTINGS = {
    **{"public": 8, "reward": 8, "private": 8, "seeds": 8, "retention": 2, "min_rows": 4},
    **{"max_rows": 16, "calls": 64, "trainings": 2, "steps": 12, "training.epochs": 1},
    "decoding.max_new_tokens": 8,
}
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["dataenv.cli", "dataenv.runs.runner", "dataenv.students.lean"])


def command(out, student, policy="feedback", **settings):
    """The arguments of a small run."""
    fields = {**SETTINGS, **settings}.items()
    assignments = [part for key, value in fields for part in ("--set", f"{key}={value}")]
    run = ["run", "--task", "Science-fast-v0", "--policy", policy, "--student", str(student)]
    return [*run, "--out", str(out), *assignments]


def act_out(arguments, die_at):
    os.environ["DATAENV_DIE_AT"] = die_at
    os._exit(main(arguments))


def start(arguments, die_at=""):
    """A process of its own that carries out a command, and perhaps dies on the way."""
    process = PROCESSES.Process(target=act_out, args=(arguments, die_at))
    process.start()
    return process


def ended(arguments, die_at=""):
    """The exit code of such a process."""
    process = start(arguments, die_at)
    process.join(120)
    return process.exitcode


def records(out):
    """What a run has left, but for seconds."""
    result = json.loads((out / RESULT).read_text())
    del result["seconds"]
    return result, (out / STEPS).read_text(), (out / SUBMISSION).read_text()


@pytest.fixture(scope="module")
def unkilled(tiny_path, tmp_path_factory):
    """Records of runs that nothing happened to, by policy."""
    found = {}
    for policy in ("feedback", "matched_teacher"):
        out = tmp_path_factory.mktemp(policy)
        assert ended(command(out, tiny_path, policy)) == 0
        found[policy] = records(out)
    return found


VISITS = [
    *((point, 1) for point in POINTS),
    *(("after_evaluation", 2), ("after_choice", 3), ("after_settle", 2), ("after_step", 5)),
    *(("in_commit", 6), ("in_artifact", 6)),
]


@pytest.mark.parametrize("point,visit", VISITS, ids=[f"{p}:{v}" for p, v in VISITS])
def test_a_run_killed_at_any_point_ends_as_if_it_had_not_been(
    point, visit, unkilled, tiny_path, tmp_path
):
    assert ended(command(tmp_path, tiny_path), f"{point}:{visit}") == -signal.SIGKILL
    assert ended(["run", "--resume", str(tmp_path)]) == 0
    assert records(tmp_path) == unkilled["feedback"]
