"""Runs that are stepped from outside, a process a step, and go on whatever happens between."""

import gzip
import json
import os
import signal
import subprocess
import sys

import pytest

from dataenv.cli import main
from dataenv.errors import ConfigError, TeacherUnavailable
from dataenv.policy import Remembers
from dataenv.registry import env_config
from dataenv.runs.folder import RESULT, STEPS, SUBMISSION, TRANSCRIPT
from dataenv.runs.ledger import StoreLedger
from dataenv.runs.runner import run_to_folder
from dataenv.runs.stepping import SteppedRun
from dataenv.runs.store import RunStore
from dataenv.serve import TeacherServer, serving
from dataenv.students.late import LateStudent
from tests.conftest import SMALL

ACTIONS = (
    {"op": "generate", "brief": "easy problems", "n": 6},
    {"op": "genrate"},
    {"op": "verify"},
    {"op": "train"},
    {"op": "generate", "brief": "hard problems", "n": 4},
    {"op": "train"},
    {"op": "submit"},
)


def settings(**changes):
    return [f"{key}={value}" for key, value in {**SMALL, **changes}.items()]


def new(folder, student, *more, **changes):
    """The arguments that begin a small run."""
    changed = [part for each in settings(**changes) for part in ("--set", each)]
    task = ["--task", "Science-fast-v0", "--student", str(student)]
    return ["step", str(folder), "--new", *task, *changed, *more]


def step(folder, action, *more):
    return ["step", str(folder), json.dumps(action), *more]


def command(arguments, die_at="", **options):
    """A command in a process of its own, which perhaps dies on the way."""
    return subprocess.run(
        [sys.executable, "-m", "dataenv.cli", *arguments],
        env={**os.environ, "DATAENV_DIE_AT": die_at},
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def records(folder):
    """What a run has left, but for seconds and who made it."""
    result = json.loads((folder / RESULT).read_text())
    for name in ("seconds", "policy", "channel"):
        del result[name]
    return result, (folder / STEPS).read_text(), (folder / SUBMISSION).read_text()


class Fixed(Remembers):
    """Plays the actions above in one process."""

    name = "fixed"

    def begin(self, briefing):
        self.queue = list(ACTIONS)

    def act(self, observation, report):
        return self.queue.pop(0)


@pytest.fixture(scope="module")
def played(tiny_path, tmp_path_factory):
    """Records of the same actions in one process."""
    out = tmp_path_factory.mktemp("played")
    config = env_config("Science-fast-v0", settings(), student=str(tiny_path), split="test")
    run_to_folder(config, Fixed(), 0, out, quiet=True)
    return records(out)


def test_steps_in_processes_with_kills_between_and_within_end_as_in_one(
    played, tiny_path, tmp_path, capsys
):
    run = tmp_path / "run"
    assert command(new(run, tiny_path), "after_run:1").returncode == -signal.SIGKILL
    begun = command(["step", str(run), "--briefing"])
    assert "Curate training data" in begun.stdout and "step 0" in begun.stdout, begun.stderr
    first = step(run, ACTIONS[0])
    assert command(first, "after_settle:1").returncode == -signal.SIGKILL  # replies are paid for
    seen = command(["step", str(run)]).stdout
    assert "was cut off; the next step finishes it first" in seen
    other = command(step(run, ACTIONS[6], "--at", "1"))
    assert other.returncode == 2 and "step 1 is another operation" in other.stderr
    turn = command([*first, "--at", "1", "--json"])
    assert json.loads(turn.stdout)["step"] == 1 and json.loads(turn.stdout)["finished"] is None
    wrong = command(step(run, ACTIONS[1], "--at", "2"), "after_step:1")  # done, not acknowledged
    assert wrong.returncode == -signal.SIGKILL
    assert "Did you mean 'generate'" in command(step(run, ACTIONS[1], "--at", "2")).stdout
    assert command(["step", str(run), "-"], input=json.dumps(ACTIONS[2])).returncode == 0
    assert command(step(run, ACTIONS[3]), "after_evaluation:1").returncode == -signal.SIGKILL
    (tmp_path / "next.json").write_text(json.dumps(ACTIONS[4]))
    both = command(["step", str(run), f"@{tmp_path / 'next.json'}", "--json"])
    assert json.loads(both.stdout)["finished"] == ACTIONS[3]
    assert json.loads(both.stdout)["step"] == 5
    assert command(step(run, ACTIONS[5])).returncode == 0
    assert command(step(run, ACTIONS[6]), "after_step:1").returncode == -signal.SIGKILL
    assert not (run / RESULT).exists()
    ended = command(["step", str(run)])
    assert "The episode is over (submitted)" in ended.stdout, ended.stderr
    assert records(run) == played
    result = json.loads((run / RESULT).read_text())
    assert (result["policy"], result["channel"]) == ("shell", "shell")
    with RunStore(run) as store:
        used = result["budget"]["calls"]["used"]
        assert StoreLedger(store, 64, 0).charged == used
        evaluated = [each.data["key"] for each in store.events("evaluation")]
        assert len(evaluated) == len(set(evaluated)) and len(store.events("end")) == 1
    assert main(["leaderboard", str(run)]) == 0 and "shell" in capsys.readouterr().out
    assert main(["report", str(run)]) == 0 and (run / "report.html").exists()


def test_what_was_done_from_outside_replays_from_its_transcript(tiny_path, tmp_path, capsys):
    folder, ask = tmp_path / "run", {"op": "generate", "brief": "easy problems", "n": 8}
    begun = new(folder, tiny_path, "--by", "somebody")
    assert main(begun) == 0
    for action in (ask, {"op": "nothing"}, {"op": "dedup"}, {"op": "train"}, {"op": "submit"}):
        assert main(step(folder, action)) == 0
    transcript, packed = folder / TRANSCRIPT, tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(transcript.read_bytes()))
    capsys.readouterr()
    for source in (folder, packed):
        assert main(["run", "--replay", str(source)]) == 0
        assert "as it was recorded: 5 steps" in capsys.readouterr().out
    lines = transcript.read_text().splitlines()
    changed = [
        line.replace('"n": 8', '"n": 7') if "easy problems" in line else line for line in lines
    ]
    transcript.write_text("\n".join(changed))
    assert main(["run", "--replay", str(folder)]) == 2
    assert "step 1 differs" in capsys.readouterr().err


def test_a_step_that_trains_nothing_loads_no_student(tiny_path, tmp_path):
    run = tmp_path / "run"
    assert main(new(run, tiny_path)) == 0
    code = (
        "import sys; from dataenv.cli import main; main(sys.argv[1:]);"
        "print([m for m in ('torch', 'transformers', 'openai', 'datasets') if m in sys.modules])"
    )
    for arguments in (step(run, ACTIONS[0]), step(run, {"op": "dedup"}), ["step", str(run)]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]"


def test_what_is_told_has_no_hidden_item_and_no_private_score_before_the_end(tiny_path, tmp_path):
    config = env_config("Science-fast-v0", settings(), student=str(tiny_path), split="test")
    told = []
    with SteppedRun.begin(tmp_path, config, 0, channel="shell") as run:
        task = run._recording.env.task
        told.append(run.briefing.to_text())
        for action in ACTIONS:
            turn = run.step(action)
            told += [turn.to_text(), json.dumps(turn.to_dict())]
            assert (turn.outcome is None) == ("private" not in told[-2])
    hidden = [item.prompt for item in (*task.private, *task.reward)]
    assert not [text for text in told for prompt in hidden if prompt in text]
    assert (
        turn.told["final"] == list(turn.outcome.final) or turn.told["final"] == turn.outcome.final
    )
    assert "flipped" not in turn.to_dict()["outcome"]


def test_wrong_words_use_no_step_and_say_what_is_right(tiny_path, tmp_path, capsys):
    run = tmp_path / "run"
    for arguments, message in (
        (["step", str(run)], "there is no run in"),
        (["step", str(run), "--new"], "begin a run with --new and --task"),
        (["step", str(run), "--task", "Science-fast-v0"], "begin a run with --new and --task"),
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
    assert main(new(run, tiny_path, "--by", "somebody")) == 0
    for arguments, message in (
        (new(run, tiny_path), f"not finished: go on with `dataenv step {run}`"),
        (step(run, ACTIONS[0], "--by", "another"), "keeps its settings: leave out --by"),
        (["step", str(run), "{op: train}"], "the action cannot be read"),
        (["step", str(run), "@nowhere.json"], "the action cannot be read"),
        (["run", "--resume", str(run)], f"stepped from outside: go on with `dataenv step {run}`"),
        (step(run, ACTIONS[0], "--at", "2"), "step 2 cannot be next: there are 0"),
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err, arguments
    assert main(step(run, ACTIONS[0], "--at", "1")) == 0
    assert main(step(run, ACTIONS[6], "--at", "1")) == 2
    assert 'step 1 is another operation: {"op": "generate"' in capsys.readouterr().err
    assert main([*step(run, "draw something"), "--json"]) == 0  # JSON, but no operation
    assert "an action is a dict" in json.loads(capsys.readouterr().out)["error"]
    assert main(step(run, {"op": "submit"})) == 0
    assert main(step(run, ACTIONS[0])) == 2
    assert "is over; `dataenv report` tells of it" in capsys.readouterr().err
    assert json.loads((run / RESULT).read_text())["policy"] == "somebody"


def test_a_policys_run_is_not_stepped(tiny_path, tmp_path):
    config = env_config("Science-fast-v0", settings(), student=str(tiny_path))
    run_to_folder(config, Fixed(), 0, tmp_path, quiet=True)
    with pytest.raises(ConfigError, match="is played by the policy 'fixed'"):
        SteppedRun.resume(tmp_path)


def test_a_step_that_the_teacher_fails_has_not_happened(tiny_path, tmp_path, procedural_server):
    with TeacherServer(procedural_server.teacher) as gone:
        where = {"endpoint.model": "procedural-science", "endpoint.base_url": gone.url}
        port = gone.server_address[1]
    changed = settings(**where, **{"endpoint.attempts": 1})
    config = env_config("Science-fast-v0", changed, student=str(tiny_path), teacher="openai")
    with (
        SteppedRun.begin(tmp_path, config, 0, channel="shell") as run,
        pytest.raises(TeacherUnavailable),
    ):
        run.step(ACTIONS[0])
    with (
        serving(TeacherServer(procedural_server.teacher, port)),
        SteppedRun.resume(tmp_path) as run,
    ):
        assert run.look().step == 0 and run.look().cut_off == ACTIONS[0]
        turn = run.step(ACTIONS[0])
        assert turn.step == 1 and turn.brief()["rows"] > 0
        assert run.store.last("fault").data["kind"] == "TeacherUnavailable"


def test_a_student_that_was_changed_meanwhile_is_noticed_when_it_is_asked(tiny_student):
    late = LateStudent(lambda: tiny_student, "another")
    assert late.fingerprint == "another"
    with pytest.raises(ConfigError, match="is another than when the run was begun"):
        late.count_tokens("one two")
    assert LateStudent(lambda: tiny_student).fingerprint == tiny_student.fingerprint
