"""The command line: records of a run, helpful refusals, quick start."""

import json
import subprocess
import sys
import time

import pytest

import dataenv
from dataenv.cli import main
from dataenv.errors import ConfigError
from dataenv.runs.leaderboard import boards
from dataenv.runs.results import read_runs
from dataenv.submission import read_rows

SETTINGS = [
    "public=8",
    "reward=8",
    "private=8",
    "seeds=8",
    "retention=2",
    "min_rows=4",
    "max_rows=16",
    "calls=64",
    "trainings=2",
    "steps=12",
    "training.epochs=1",
    "decoding.max_new_tokens=8",
]


def command(*arguments: str) -> list[str]:
    return [*arguments, *(part for each in SETTINGS for part in ("--set", each))]


@pytest.mark.parametrize(
    "policy", ["random", "mirror", "feedback", "random_mix", "matched_teacher", "matched_clean"]
)
def test_run_writes_its_records(policy, tiny_path, tmp_path, capsys):
    code = main(
        command(
            "run",
            "--task",
            "dataenv/Science-fast-v0",
            "--policy",
            policy,
            "--student",
            str(tiny_path),
            "--out",
            str(tmp_path),
        )
    )
    result = json.loads((tmp_path / "result.json").read_text())
    assert code == 0 and result["policy"] == policy and result["final"]["private"] is not None
    base, final = result["base"]["private"], result["final"]["private"]
    assert result["gain_points"] == pytest.approx(100 * (final - base))
    assert result["gain_percent"] == (pytest.approx(100 * (final - base) / base) if base else None)
    assert ("privileged" in result["flags"]) == policy.startswith("matched")
    steps = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert steps and not any(step["report"]["error"] for step in steps)
    submission = json.loads((tmp_path / "submission.json").read_text())
    assert {key for row in submission for key in row} <= {"instruction", "input", "output"}
    assert len(submission) == result["rows"]
    assert [row.to_entry() for row in read_rows(tmp_path / "submission_rows.jsonl")] == submission
    assert (result["quality"] or {"rows": 0})["rows"] == len(submission)
    assert (tmp_path / "scores.png").stat().st_size > 5000
    assert "private" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["numeric", "literal", "choice", "exact"])
@pytest.mark.parametrize("policy", ["mirror", "feedback", "random_mix", "random"])
def test_a_new_task_runs_at_once(kind, policy, tiny_path, tmp_path, capsys):
    folder, out = tmp_path / "mine", tmp_path / "out"
    assert main(["new-task", str(folder), "--kind", kind]) == 0
    small = ["--student", str(tiny_path), "--set", "decoding.max_new_tokens=8"]
    command = ["run", "--task", str(folder), "--policy", policy, "--out", str(out), *small]
    assert main(command) == 0
    result = json.loads((out / "result.json").read_text())
    assert result["target"].startswith("mine-") and result["teacher"] == "none"
    assert result["budget"]["calls"] == {"used": 0, "limit": 0}
    if policy != "random":
        assert result["rows"] > 0 and not result["flags"]


def test_a_task_folder_has_no_teacher_yet(tmp_path, capsys):
    main(["new-task", str(tmp_path / "mine"), "--kind", "exact"])
    command = ["run", "--task", str(tmp_path / "mine"), "--policy", "mirror", "--set", "calls=9"]
    assert main(command) == 2
    assert "set calls=0" in capsys.readouterr().err


def test_sizes_and_teachers_that_a_folder_cannot_have_are_refused(tmp_path, capsys):
    folder = str(tmp_path / "mine")
    main(["new-task", folder, "--kind", "numeric"])
    run = ["run", "--task", folder, "--policy", "mirror", "--out", str(tmp_path / "out")]
    capsys.readouterr()
    assert main([*run, "--set", "public=5"]) == 2
    assert "public items, not 5; the sizes of a task folder" in capsys.readouterr().err
    env = dataenv.DataEnv(config=dataenv.env_config(folder))
    with pytest.raises(
        ConfigError, match="teacher 'none' has no error rates that could be set; leave out"
    ):
        env.reset(seed=0, options={"teacher": {"accuracy": 0.5}})


def test_without_isolation_a_run_says_so_and_is_not_ranked(tiny_path, tmp_path, capsys):
    task = ("run", "--task", "Science-fast-v0", "--student", str(tiny_path), "--policy", "program")
    assert main(command(*task, "--out", str(tmp_path / "a"), "--unsafe-no-sandbox")) == 0
    assert "WITHOUT ISOLATION" in capsys.readouterr().err
    assert main(command(*task, "--out", str(tmp_path / "b"))) == 0
    unsafe, safe = read_runs([tmp_path / "a", tmp_path / "b"])
    assert "unisolated" in unsafe["flags"] and "unisolated" not in safe["flags"]
    assert unsafe["submission"] == safe["submission"]
    (board,) = boards([{**unsafe, "policy": "unsafe"}, safe])
    assert [each.rank for each in board.standings if each.policy == "unsafe"] == [None]


def test_a_policy_from_a_file_joins(tiny_path, tmp_path):
    (tmp_path / "mine.py").write_text(
        "class Mine:\n"
        "    def begin(self, briefing): pass\n"
        "    def act(self, observation, report): return {'op': 'submit'}\n"
    )
    assert (
        main(
            command(
                "run",
                "--task",
                "Science-fast-v0",
                "--policy",
                f"{tmp_path}/mine.py:Mine",
                "--student",
                str(tiny_path),
                "--out",
                str(tmp_path / "out"),
            )
        )
        == 0
    )
    assert json.loads((tmp_path / "out/result.json").read_text())["flags"] == ["no_submission"]


@pytest.mark.parametrize(
    "arguments,message",
    [
        (
            ["--task", "dataenv/Sience-v0", "--policy", "random"],
            "Did you mean 'dataenv/Science-v0'",
        ),
        (["--task", "Science-v0", "--policy", "mirrow"], "Did you mean 'mirror'"),
        (["--task", "Science-v0", "--policy", "random", "--set", "call=3"], "Did you mean 'calls'"),
        (
            ["--task", "Science-v0", "--policy", "random", "--set", "trainings=0"],
            "trainings must be at least 1",
        ),
        (
            ["--task", "Science-v0", "--policy", "random", "--set", "training.epochs=x"],
            "must be int",
        ),
        (["--task", "Science-v0", "--policy", "no/file.py:P"], "there is no file"),
        (["--task", "Science-v0", "--policy", "random", "--set", "calls"], "needs key=value"),
    ],
)
def test_wrong_words_get_one_helpful_line(arguments, message, capsys):
    assert main(["run", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_dry_run_says_what_a_run_may_cost(capsys):
    assert main(["run", "--task", "Science-fast-v0", "--policy", "random", "--dry-run"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["calls"] == 480 and plan["detectable_gain_points_private"] == 5.6
    assert plan["expected_seconds"] > 1


def test_a_config_file_and_a_teacher_by_name(tiny_path, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(f"task: Finance-fast-v0\nstudent: {tiny_path}\nsplit: validation\n")
    out, exact = tmp_path / "out", ("--teacher", "procedural-exact")
    arguments = ("run", "--config", str(path), "--policy", "mirror", "--out", str(out), *exact)
    assert main(command(*arguments)) == 0
    result = json.loads((out / "result.json").read_text())
    assert result["task"] == "finance" and result["config"]["teacher"] == "procedural-exact"
    assert result["config"]["split"] == "validation"


def test_an_unknown_teacher_is_refused_by_name(tmp_path, capsys):
    run = ("run", "--task", "Science-fast-v0", "--policy", "mirror", "--out", str(tmp_path))
    assert main([*run, "--teacher", "procedurl"]) == 2
    assert "Did you mean 'procedural'" in capsys.readouterr().err


def test_tools_prints_a_schema_for_every_operation(capsys):
    assert main(["tools"]) == 0
    assert len(json.loads(capsys.readouterr().out)) >= 16


def test_help_and_import_load_nothing_heavy():
    code = (
        "import sys, dataenv, dataenv.cli; dataenv.cli.parser().format_help();"
        "print([m for m in ('torch', 'transformers', 'sympy', 'matplotlib') if m in sys.modules])"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]" and time.monotonic() - began < 20
