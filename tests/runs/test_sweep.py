"""Sweeps: every episode once, whatever becomes of the others."""

import json
from pathlib import Path

import pytest
import yaml

import dataenv
from dataenv.cli import main
from dataenv.errors import ConfigError
from dataenv.runs.sweep import RECORDS, plan_sweep, read_sweep, run_sweep

SIZES = {
    **{"public": 8, "reward": 8, "private": 8, "seeds": 8, "pool": 8, "retention": 2},
    **{"min_rows": 4, "max_rows": 16, "calls": 64, "trainings": 2, "steps": 12},
    **{"training": {"epochs": 1}, "decoding": {"max_new_tokens": 8}},
}
BROKEN = """
from dataenv.policies.random_policy import RandomPolicy

class Broken(RandomPolicy):
    name = "broken"

    def act(self, observation, report):
        raise ValueError("no idea")
"""


@pytest.fixture
def write_sweep(tmp_path, tiny_path):
    """Writes a small sweep into `out`, and returns its file."""

    def write(out="sweep", **fields) -> Path:
        content = {
            **{"controllers": ["mirror", "random_mix"], "tasks": ["Science-fast-v0"], "seeds": 1},
            **{"set": {**SIZES, "student": str(tiny_path)}, "out": str(tmp_path / out)},
        }
        path = tmp_path / f"{out}.yaml"
        path.write_text(yaml.safe_dump({**content, **fields}, sort_keys=False))
        return path

    return write


def lines_of(out):
    """What a sweep has found, but for seconds and folders."""
    records = [json.loads(line) for line in (out / RECORDS).read_text().splitlines()]
    return [{k: v for k, v in r.items() if k not in ("seconds", "folder")} for r in records]


def test_a_sweep_goes_on_skips_what_is_done_and_outlives_a_failure(write_sweep, tmp_path, capsys):
    (tmp_path / "broken.py").write_text(BROKEN)
    broken = f"{tmp_path}/broken.py:Broken"
    path = write_sweep(controllers=["mirror", broken])
    assert main(["sweep", str(path), "--processes", "1"]) == 1
    said = capsys.readouterr().out
    (retry,) = [line.strip() for line in said.splitlines() if "dataenv run" in line]
    assert "ValueError: no idea" in said and "| Science-fast-v0 | mirror | 1 |" in said
    (record,) = lines_of(tmp_path / "sweep")
    assert record["controller"] == "mirror" and record["gain_points"] is not None
    done = (tmp_path / "sweep/Science-fast-v0/mirror/seed-0/run.db").stat().st_mtime_ns
    (tmp_path / "broken.py").write_text(BROKEN.replace("raise", "return {'op': 'submit'} #"))
    assert retry.startswith("dataenv run --resume") and main(retry.split()[1:]) == 0
    assert main(["sweep", str(path)]) == 0 and len(lines_of(tmp_path / "sweep")) == 2
    assert (tmp_path / "sweep/Science-fast-v0/mirror/seed-0/steps.jsonl").stat().st_size
    assert (tmp_path / "sweep/Science-fast-v0/mirror/seed-0/run.db").stat().st_mtime_ns == done


def test_other_settings_over_a_finished_run_are_a_failure_not_a_result(write_sweep, tmp_path):
    run_sweep(read_sweep(write_sweep(controllers=["mirror"])), 1)
    changed = write_sweep(controllers=["mirror"], set={**SIZES, "public": 9})
    said, failed = run_sweep(read_sweep(changed), 1)
    assert failed == 1 and "other settings" in said and "public" in said


def test_what_is_wrong_in_a_file_is_said_before_anything_runs(write_sweep, tmp_path):
    for fields, match in (
        ({"controllers": ["mirrror"]}, "Did you mean 'mirror'"),
        ({"tasks": ["Sience-fast-v0"]}, "Did you mean"),
        ({"set": {"publik": 3}}, "Did you mean 'public'"),
        ({"seed": 3}, "Did you mean 'seeds'"),
        ({"controllers": "mirror"}, "must be a list, got 'mirror'"),
        ({"seeds": [1, 1]}, "without repeats"),
    ):
        with pytest.raises(ConfigError, match=match):
            plan_sweep(read_sweep(write_sweep(**fields)))
    assert not (tmp_path / "sweep").exists()


def test_a_plan_pairs_everything_with_everything(write_sweep):
    path = write_sweep(tasks=["Science-fast-v0", "Code-fast-v0"], seeds=3, targets=2)
    planned = plan_sweep(read_sweep(path))
    assert len({each.folder for each in planned}) == 2 * 2 * 3 * 2
    assert {each.target for each in planned} == {2_000_000, 2_000_001}
    assert all("training.epochs=1" in each.changes for each in planned)


def test_the_sweep_that_the_readme_shows_can_be_planned():
    path = Path(dataenv.__file__).parents[1] / "configs/sweeps/controllers.yaml"
    assert len(plan_sweep(read_sweep(path))) == 2 * 2 * 3


DYING = """
import os, signal
from pathlib import Path
from dataenv.baselines.fixed import Mirror

class Dying(Mirror):
    name = "dying"

    def act(self, observation, report):
        mark = Path({mark!r})
        if dict(report.set)["rows"] and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().act(observation, report)
"""


@pytest.fixture(scope="module")
def eight(tmp_path_factory, tiny_path):
    """Eight episodes by a policy that kills the first process that gets half way, and what they give
    where none is killed."""
    folder = tmp_path_factory.mktemp("eight")
    mark = folder / "mark"
    (folder / "dying.py").write_text(DYING.format(mark=str(mark)))

    def run(engine):
        content = {
            **{"controllers": [f"{folder}/dying.py:Dying", "random_mix"], "seeds": 4},
            **{"tasks": ["Science-fast-v0"], "out": str(folder / engine)},
            "set": {**SIZES, "student": str(tiny_path)},
        }
        (folder / "sweep.yaml").write_text(yaml.safe_dump(content))
        said, failed = run_sweep(read_sweep(folder / "sweep.yaml"), 2, engine.split("-")[0])
        assert not failed, said
        return lines_of(folder / engine)

    mark.touch()
    whole = run("processes-unharmed")
    assert len(whole) == 8
    return mark, run, whole


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["processes", "ray"])
def test_a_sweep_whose_worker_is_killed_midway_gives_what_it_would_have_given(engine, eight):
    mark, run, whole = eight
    mark.unlink(missing_ok=True)
    found = run(engine)
    assert mark.exists()  # somebody was killed
    order = lambda record: (record["controller"], record["seed"])  # noqa: E731
    assert sorted(found, key=order) == sorted(whole, key=order)
