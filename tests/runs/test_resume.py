"""Runs that are killed, and go on as if nothing had happened."""

import contextlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from dataenv.baselines.privileged import Privileged

from dataenv.cli import main
from dataenv.errors import ConfigError
from dataenv.registry import env_config, make_policy, policy_table
from dataenv.runs.files import POINTS
from dataenv.runs.folder import RESULT, STEPS, SUBMISSION, is_unfinished
from dataenv.runs.ledger import StoreLedger
from dataenv.runs.runner import run_to_folder
from dataenv.runs.store import RunStore
from dataenv.serve import TeacherServer, serving
from tests.conftest import SMALL

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        *("dataenv.cli", "dataenv.runs.runner", "dataenv.registry", "dataenv.baselines"),
        *("dataenv.students.lean", "dataenv.students.local", "dataenv.teachers.procedural"),
        *("dataenv.teachers.openai", "transformers.models.llama.modeling_llama"),
        *("matplotlib.figure", "matplotlib.backends.backend_agg"),
    ]
)


def assignments(**settings):
    return [f"{key}={value}" for key, value in {**SMALL, **settings}.items()]


def command(out, student, policy="feedback", **settings):
    """The arguments of a small run."""
    changes = [part for each in assignments(**settings) for part in ("--set", each)]
    run = ["run", "--task", "Science-fast-v0", "--policy", policy, "--student", str(student)]
    return [*run, *changes, "--out", str(out)]


def act_out(arguments, die_at, largest_file, errors):
    os.environ["DATAENV_DIE_AT"] = die_at
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    with open(errors, "w") as out, contextlib.redirect_stderr(out):
        code = main(arguments)
    os._exit(code)


def start(arguments, die_at="", largest_file=0, errors=os.devnull):
    """A process of its own that carries out a command, and perhaps dies on the way."""
    process = PROCESSES.Process(target=act_out, args=(arguments, die_at, largest_file, errors))
    process.start()
    return process


def ended(*arguments, **options):
    """The exit code of such a process."""
    process = start(*arguments, **options)
    process.join(300)
    return process.exitcode


def records(out):
    """What a run has left, but for seconds."""
    result = json.loads((out / RESULT).read_text())
    del result["seconds"]
    return result, (out / STEPS).read_text(), (out / SUBMISSION).read_text()


@pytest.fixture(scope="module")
def unkilled(tiny_path, tmp_path_factory):
    """Records of a run that nothing happened to."""
    out = tmp_path_factory.mktemp("unkilled")
    assert ended(command(out, tiny_path)) == 0
    return records(out)


# -- kills at named points --------------------------------------------------------------------------

IN_TURN = (
    *("after_run:1", "in_artifact:1", "after_artifact:2", "after_evaluation:1", "after_begin:1"),
    *("after_choice:1", "after_reserve:1", "before_settle:1", "after_settle:1", "in_commit:1"),
    *("after_step:1", "after_choice:2", "after_reserve:1", "in_commit:2", "after_step:3"),
    *("after_evaluation:1", "in_commit:3", "after_end:1", "after_view:1"),
)


def test_a_run_killed_at_every_point_in_turn_ends_as_if_it_had_not_been(
    unkilled, tiny_path, tmp_path
):
    assert {each.partition(":")[0] for each in IN_TURN} == set(POINTS)
    arguments = command(tmp_path, tiny_path)
    for point in IN_TURN:
        assert ended(arguments, point) == -signal.SIGKILL, point
        arguments = ["run", "--resume", str(tmp_path)]
    for _ in range(2):  # to resume what is finished changes nothing
        assert ended(arguments) == 0
        assert records(tmp_path) == unkilled
    with RunStore(tmp_path) as store:
        evaluated = [each.data["key"] for each in store.events("evaluation")]
        assert len(store.events("end")) == 1 and len(evaluated) == len(set(evaluated)) == 4


def test_a_run_killed_within_a_program_ends_as_if_it_had_not_been(tiny_path, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert ended(command(whole, tiny_path, "program")) == 0
    arguments = command(cut, tiny_path, "program")
    points = ("after_choice:1", "after_reserve:1", "before_settle:1", "after_settle:1")
    for point in (*points, "after_reserve:1", "after_settle:2", "in_commit:1", "after_step:1"):
        assert ended(arguments, point) == -signal.SIGKILL, point
        arguments = ["run", "--resume", str(cut)]
    assert ended(arguments) == 0
    assert records(cut) == records(whole)
    effect = json.loads(records(whole)[1].splitlines()[0])["report"]["effect"]
    assert effect["operation"] == "program" and effect["calls"] > 30


@pytest.mark.slow
@pytest.mark.parametrize("visit", (1, 2, 5))
@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_once_ends_as_if_it_had_not_been(point, visit, unkilled, tiny_path, tmp_path):
    arguments = command(tmp_path, tiny_path)
    code = ended(arguments, f"{point}:{visit}")
    assert code == -signal.SIGKILL or (code == 0 and visit > 1)  # some points are not met so often
    begun = point != "in_commit" or visit > 1
    assert ended(["run", "--resume", str(tmp_path)] if begun else arguments) == 0
    assert records(tmp_path) == unkilled


def test_a_full_disk_stops_a_run_which_then_goes_on(unkilled, tiny_path, tmp_path):
    errors = tmp_path / "errors"
    assert ended(command(tmp_path, tiny_path), largest_file=200_000, errors=errors) == 2
    said = errors.read_text()
    assert "what was acknowledged is safe" in said and f"dataenv run --resume {tmp_path}" in said
    with RunStore(tmp_path) as store:
        assert 1 <= len(store.events("step")) < 7
    assert ended(["run", "--resume", str(tmp_path)]) == 0
    assert records(tmp_path) == unkilled


# -- what reaches the disk --------------------------------------------------------------------------

PLAN = """
class Plan:
    def begin(self, briefing):
        self.queue = {queue}

    def act(self, observation, report):
        return self.queue.pop(0)

    def state_dict(self):
        return {{}}
"""
ASK, TIDY = {"op": "generate", "brief": "easy problems", "n": 8}, {"op": "dedup"}
END = [{"op": "train"}, {"op": "submit"}]


def syncs(folder, queue, student):
    """Syncs of the log, of artifacts and of their folder in a run, and its artifacts."""
    folder.mkdir()
    (folder / "plan.py").write_text(PLAN.format(queue=[*queue, *END]))
    trace = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(folder / "trace")]
    run = command(folder / "run", student, f"{folder / 'plan.py'}:Plan")
    assert shutil.which("strace"), "install strace, which counts syncs"
    subprocess.run([*trace, sys.executable, "-m", "dataenv.cli", *run], check=True)
    lines = (folder / "trace").read_text().splitlines()
    blobs = folder / "run" / "blobs"
    names = ("run.db-wal>", ".tmp>", f"{blobs}>")
    counts = [sum("sync(" in line and name in line for line in lines) for name in names]
    return *counts, len(list(blobs.iterdir()))


def test_a_step_is_one_sync_a_teacher_batch_two_and_artifacts_their_own(tiny_path, tmp_path):
    log, files, folders, artifacts = syncs(tmp_path / "short", [ASK], tiny_path)
    more = syncs(tmp_path / "long", [ASK, ASK, TIDY, TIDY, TIDY], tiny_path)
    steps, batches = 4, 1
    assert more[0] - log == steps + 2 * batches
    assert files == artifacts and more[1] == more[3] > artifacts
    assert more[2] - folders == more[3] - artifacts  # each step brings one set at most


# -- every policy goes on ---------------------------------------------------------------------------


class Cut:
    """A policy that is interrupted when it is asked for the so-manieth time."""

    def __init__(self, policy, after):
        self.policy, self.after = policy, after

    def __getattr__(self, name):
        return getattr(self.policy, name)

    def act(self, observation, report):
        self.after -= 1
        if self.after < 0:
            raise KeyboardInterrupt
        return self.policy.act(observation, report)


def policy_of(name):
    return Privileged(2, 1, 1) if name == "privileged" else make_policy(name)


@pytest.mark.parametrize("name", sorted(policy_table()))
def test_every_policy_goes_on_in_the_middle_of_an_episode(name, tiny_path, tmp_path):
    config = env_config("Science-fast-v0", assignments(), student=str(tiny_path))
    run_to_folder(config, policy_of(name), 3, tmp_path / "whole", quiet=True)
    for after in (1, 4):
        out = tmp_path / f"cut{after}"
        try:
            run_to_folder(config, Cut(policy_of(name), after), 3, out, quiet=True)
        except KeyboardInterrupt:
            assert is_unfinished(out)
            run_to_folder(config, policy_of(name), 3, out, quiet=True, resume=True)
        assert records(out) == records(tmp_path / "whole")


class Watching:
    """Keeps nothing but what it is told; counts how often it is asked."""

    name = "watching"
    plan = ({"op": "generate", "brief": "easy problems", "n": 8}, {"op": "train"}, {"op": "submit"})

    def begin(self, briefing):
        self.done, self.asked, self.told = 0, 0, []

    def observe(self, observation, report, action):
        self.told.append((report, action))
        self.done += 1

    def act(self, observation, report):
        self.asked += 1
        self.done += 1
        return self.plan[self.done - 1]


def test_a_policy_without_a_state_is_told_what_it_did_and_not_asked_again(tiny_path, tmp_path):
    config = env_config("Science-fast-v0", assignments(), student=str(tiny_path))
    with pytest.raises(KeyboardInterrupt):
        run_to_folder(config, Cut(Watching(), 2), 0, tmp_path, quiet=True)
    policy = Watching()
    run_to_folder(config, policy, 0, tmp_path, quiet=True, resume=True)
    assert policy.asked == 1 and [action for _, action in policy.told] == list(Watching.plan[:2])
    first, second = (report for report, _ in policy.told)
    assert first.evaluation == second.evaluation == 0 and hash(first) != hash(second)
    steps = [json.loads(line) for line in (tmp_path / STEPS).read_text().splitlines()]
    assert second.to_dict() == steps[0]["report"]


def test_a_policy_that_cannot_go_on_says_what_it_needs(tiny_path, tmp_path):
    config = env_config("Science-fast-v0", assignments(), student=str(tiny_path))
    forgetful = type("Forgetful", (), {"name": "forgetful", "begin": Watching.begin})
    forgetful.act, forgetful.plan = Watching.act, Watching.plan
    with pytest.raises(KeyboardInterrupt):
        run_to_folder(config, Cut(forgetful(), 1), 0, tmp_path, quiet=True)
    with pytest.raises(ConfigError, match="give it state_dict"):
        run_to_folder(config, forgetful(), 0, tmp_path, quiet=True, resume=True)


# -- which folder, which settings -------------------------------------------------------------------


def test_folders_and_settings_are_not_mixed_up(tiny_path, tmp_path, capsys):
    arguments = command(tmp_path, tiny_path)
    assert main(["run", "--resume", str(tmp_path)]) == 2
    assert "there is no run in" in capsys.readouterr().err
    assert main([*arguments, "--target", "5"]) == 2  # a run that never began is not missed
    assert ended(arguments, "after_step:2") == -signal.SIGKILL
    assert main(arguments) == 2
    assert f"not finished: go on with `dataenv run --resume {tmp_path}`" in capsys.readouterr().err
    assert main(["run", "--resume", str(tmp_path), "--set", "calls=99", "--seed", "4"]) == 2
    said = capsys.readouterr().err
    assert "/config/calls: 64 -> 99; /seed: 0 -> 4; leave them as they were" in said
    with RunStore(tmp_path):  # as another process would
        assert ended(["run", "--resume", str(tmp_path)], errors=tmp_path / "errors") == 2
    assert f"is being written by process {os.getpid()}" in (tmp_path / "errors").read_text()
    assert main(["run", "--resume", str(tmp_path), "--policy", "feedback", "--seed", "0"]) == 0
    assert main([*arguments, "--seed", "5"]) == 0  # what is finished is replaced
    assert json.loads((tmp_path / RESULT).read_text())["seed"] == 5
    with RunStore(tmp_path) as store:
        assert len(store.events("run")) == len(store.events("end")) == 1


def test_a_task_that_was_changed_meanwhile_is_noticed(tiny_path, tmp_path, capsys):
    folder, out = tmp_path / "mine", tmp_path / "out"
    assert main(["new-task", str(folder), "--kind", "numeric"]) == 0
    small = ["--student", str(tiny_path), "--set", "decoding.max_new_tokens=8"]
    run = ["run", "--task", str(folder), "--policy", "mirror", "--out", str(out), *small]
    assert ended(run, "after_step:1") == -signal.SIGKILL
    private = (folder / "private.jsonl").read_text().splitlines(keepends=True)
    (folder / "private.jsonl").write_text("".join(reversed(private)))
    assert main(["run", "--resume", str(out)]) == 2
    assert "files that are others now: /task:" in capsys.readouterr().err
    (folder / "private.jsonl").write_text("".join(private))
    assert main(["run", "--resume", str(out)]) == 0


# -- a teacher that counts --------------------------------------------------------------------------


def served(out, student, server, **settings):
    where = {"endpoint.model": "procedural-science", "endpoint.base_url": server.url}
    run = command(out, student, "random", **{**where, "endpoint.concurrency": 4, **settings})
    return [*run, "--teacher", "openai"]


def charged(out, limit):
    with RunStore(out) as store:
        return StoreLedger(store, limit, 0).charged


def used(out):
    return json.loads((out / RESULT).read_text())["budget"]["calls"]["used"]


def test_replies_that_have_come_are_not_paid_for_again(tiny_path, tmp_path, procedural_server):
    assert ended(served(tmp_path, tiny_path, procedural_server), "after_settle:1") == -9
    assert ended(["run", "--resume", str(tmp_path)]) == 0
    assert used(tmp_path) == charged(tmp_path, 64) == procedural_server.completions >= 16


def test_calls_that_a_kill_has_made_unknown_stay_charged(tiny_path, tmp_path, procedural_server):
    out, server = tmp_path, procedural_server
    assert ended(served(out, tiny_path, server, calls=256), "before_settle:1") == -9
    lost = charged(out, 256)
    assert lost == server.completions > 0
    assert ended(["run", "--resume", str(out)]) == 0
    assert used(out) == charged(out, 256) == server.completions <= 256
    steps = [json.loads(line) for line in (out / STEPS).read_text().splitlines()]
    counts = [step["report"]["budget"]["calls"]["used"] for step in steps]
    assert next(filter(None, counts)) == 2 * lost  # the controller sees them


@pytest.mark.parametrize("wrong", [["--student", "nano-x"], ["--target", "5"]])
def test_a_run_that_cannot_begin_replaces_nothing(wrong, tiny_path, tmp_path, unkilled):
    assert main(command(tmp_path, tiny_path)) == 0
    assert main([*command(tmp_path, tiny_path), *wrong]) == 2
    assert records(tmp_path)[1:] == unkilled[1:] and not is_unfinished(tmp_path)


class OddActions:
    """Names numbers as numpy does, and once writes text instead of an action."""

    name = "odd"

    def begin(self, briefing):
        self.queue = ["draw something", {"op": "draw", "n": np.int64(6)}, {"op": "train"}]
        self.memory = {}

    def act(self, observation, report):
        return self.queue.pop(0) if self.queue else {"op": "submit"}

    def state_dict(self):
        return self.memory

    def load_state_dict(self, state):
        pass


def test_odd_actions_are_kept_as_plain_values_and_odd_memories_are_refused(tiny_path, tmp_path):
    config = env_config("Science-fast-v0", assignments(), student=str(tiny_path), split="test")
    run_to_folder(config, OddActions(), 0, tmp_path / "actions", quiet=True)
    steps = [json.loads(line) for line in (tmp_path / "actions" / STEPS).read_text().splitlines()]
    assert [step["action"].get("n") for step in steps[:2]] == [None, 6]
    assert "invalid" in steps[0]["action"] and steps[0]["report"]["error"]
    policy = OddActions()
    policy.begin = lambda briefing: setattr(policy, "memory", {"weights": np.zeros(3)})
    with pytest.raises(ConfigError, match="odd must give plain values"):
        run_to_folder(config, policy, 0, tmp_path / "memory", quiet=True)


def test_a_run_goes_on_when_its_teacher_is_back(tiny_path, tmp_path, procedural_server):
    with TeacherServer(procedural_server.teacher) as gone:
        port = gone.server_address[1]
        arguments = served(tmp_path, tiny_path, gone, **{"endpoint.attempts": 1})
    errors = tmp_path / "errors"
    assert ended(arguments, errors=errors) == 2
    said = errors.read_text()
    assert "connection failed" in said and f"go on with `dataenv run --resume {tmp_path}`" in said
    with RunStore(tmp_path) as store:
        assert store.last("fault").data["kind"] == "TeacherUnavailable"
    with serving(TeacherServer(procedural_server.teacher, port)) as back:
        assert ended(["run", "--resume", str(tmp_path)]) == 0
        assert used(tmp_path) == back.completions >= 16


def kill_at_random(kills, tiny_path, folder, server):
    """Kills runs, at most `kills` times, and checks the books after each time."""
    rng, done, episode, limit = random.Random(kills), 0, 0, 900
    while done < kills:
        episode += 1
        out, before = folder / f"episode{episode}", server.completions
        arguments = served(out, tiny_path, server, calls=limit, trainings=3, max_rows=64)
        while True:
            aim = server.completions + rng.randrange(40)
            process = start(arguments)
            while done < kills and process.is_alive() and server.completions < aim:
                time.sleep(0.001)
            if done < kills:
                process.join(rng.random() ** 3)
                process.kill()
            process.join(120)
            time.sleep(0.05)  # what the dead have asked for may still be answered
            assert server.completions - before <= charged(out, limit) <= limit
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
            done += 1
            if is_unfinished(out):
                arguments = ["run", "--resume", str(out)]
        assert used(out) == charged(out, limit)
        numbers = [json.loads(line)["step"] for line in (out / STEPS).read_text().splitlines()]
        assert numbers == list(range(1, len(numbers) + 1))


def test_the_books_hold_through_kills_at_random(tiny_path, tmp_path, procedural_server):
    kill_at_random(3, tiny_path, tmp_path, procedural_server)


@pytest.mark.slow
def test_the_books_hold_through_many_kills_at_random(tiny_path, tmp_path, procedural_server):
    kill_at_random(25, tiny_path, tmp_path, procedural_server)


def acknowledged(out):
    """All events but announcements, with their hashes, and the calls that are settled."""
    with RunStore(out) as store, store.reading() as db:
        events = db.execute("SELECT seq, kind, hash FROM event ORDER BY seq").fetchall()
        (calls,) = db.execute("SELECT COALESCE(SUM(cost), 0) FROM call WHERE state = 'settled'")
    return events, calls[0]


def kill_anywhere(kills, arguments, wanted, folder):
    """Kills runs at random moments; each ends as the one that nothing happened to."""
    rng, done, run, longest = random.Random(kills), 0, 0, 0.0
    while done < kills:
        run += 1
        out = folder / f"run{run}"
        command, events, calls = [*arguments, "--out", str(out)], [], 0
        while True:
            began, process = time.monotonic(), start(command)
            if done < kills:
                process.join(rng.uniform(0, max(1.0, longest)))
                process.kill()
            process.join(300)
            longest = max(longest, time.monotonic() - began)
            if is_unfinished(out):
                command = ["run", "--resume", str(out)]
                before, spent = events, calls
                events, calls = acknowledged(out)
                assert events[: len(before)] == before and calls >= spent
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
            done += 1
        assert records(out) == wanted
    return run


def test_a_run_killed_anywhere_ends_as_if_it_had_not_been(unkilled, tiny_path, tmp_path):
    kill_anywhere(3, command(tmp_path, tiny_path)[:-2], unkilled, tmp_path)


@pytest.mark.slow
def test_runs_killed_anywhere_often_end_as_if_they_had_not_been(unkilled, tiny_path, tmp_path):
    kill_anywhere(45, command(tmp_path, tiny_path)[:-2], unkilled, tmp_path)


@pytest.mark.slow
def test_runs_of_a_real_student_end_as_if_they_had_not_been_killed(tmp_path):
    arguments = ["run", "--task", "Science-fast-v0", "--policy", "feedback"]
    assert ended([*arguments, "--out", str(tmp_path / "whole")]) == 0
    kill_anywhere(5, arguments, records(tmp_path / "whole"), tmp_path)
