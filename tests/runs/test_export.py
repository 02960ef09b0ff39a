"""What a run gives others: a student and a data set that load elsewhere and are those of the run."""

import json
import shutil

import pytest
import yaml
from datasets import load_dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from dataenv.cli import main
from dataenv.config import DecodingConfig
from dataenv.errors import ConfigError
from dataenv.evaluation import evaluate
from dataenv.runs.export import read_run
from dataenv.students import student_folder
from dataenv.students.base import BASE
from dataenv.students.local import LocalStudent
from dataenv.world import task_of

SIZES = ["public=8", "reward=0", "private=24", "seeds=4", "pool=0", "retention=2", "min_rows=4"]
SIZES += ["max_rows=48", "calls=140", "trainings=1", "steps=8", "decoding.max_new_tokens=48"]
LORA = ["training.lora_rank=8", "training.learning_rate=0.01"]


def run(out, *settings, policy="mirror", task="Science-fast-v0"):
    command = ["run", "--task", str(task), "--policy", policy, "--out", str(out)]
    assert main([*command, *(part for each in settings for part in ("--set", each))]) == 0
    return out


@pytest.fixture(scope="module", params=["full", "lora"])
def exported(request, tmp_path_factory):
    """Folders of a run and of what was exported of it."""
    folder = tmp_path_factory.mktemp(request.param)
    run(folder / "run", *SIZES, *(LORA if request.param == "lora" else []))
    out = folder / "out"
    assert main(["export", str(folder / "run"), str(out), "--license", "apache-2.0"]) == 0
    return folder / "run", out, request.param == "lora"


def as_checkpoint(folder, is_adapter, place):
    """The exported student as a whole checkpoint, put together by PEFT if it is an adapter."""
    if not is_adapter:
        return folder
    base = AutoModelForCausalLM.from_pretrained(student_folder("nano-a"))
    PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(place)
    AutoTokenizer.from_pretrained(folder).save_pretrained(place)
    return place


def test_the_student_loads_elsewhere_and_scores_as_in_the_run(exported, tmp_path):
    source, out, is_adapter = exported
    assert (out / "student/adapter_model.safetensors").exists() == is_adapter
    assert (out / "student/model.safetensors").exists() != is_adapter
    student = LocalStudent(as_checkpoint(out / "student", is_adapter, tmp_path))
    known = read_run(source)
    task = task_of(known.config, known.result["target_number"])
    found = evaluate(student, BASE, task.private, task.grader, DecodingConfig(48))
    assert found.score == known.result["final"]["private"]
    assert found.score > known.result["base"]["private"] + 0.1


def test_the_data_set_loads_elsewhere_and_holds_the_submission(exported):
    source, out, _ = exported
    table = load_dataset(str(out / "dataset"), split="train")
    names = ("instruction", "input", "output")
    submission = json.loads((source / "submission.json").read_text())
    assert [{name: row[name] for name in names} for row in table] == submission
    assert set(table["operation"]) == {"generate"}
    assert set(table["checks"]) == {"verify by teacher 1/1"}


def test_the_cards_say_where_things_come_from_and_how_good_they_are(exported):
    source, out, is_adapter = exported
    result = json.loads((source / "result.json").read_text())
    student, dataset = ((out / name / "README.md").read_text() for name in ("student", "dataset"))
    for card in (student, dataset):
        head = yaml.safe_load(card.split("---\n")[1])
        assert head["license"] == "apache-2.0" and {"dataenv", "science"} <= set(head["tags"])
        low, high = result["final"]["private_interval"]
        assert f"| final | {result['final']['private']:.3f} [{low:.3f}, {high:.3f}] |" in card
        assert "| base |" in card and f"Gain {result['gain_points']:+.1f} points" in card
        assert (
            f"worlds: {result['worlds']}" in card
            and f"torch: {result['versions']['torch']}" in card
        )
        assert "trained again and scored the same" in card
        assert not any(case["prompt"] in card for case in result["flipped"])
    assert yaml.safe_load(dataset.split("---\n")[1])["size_categories"] == ["n<1K"]
    assert f"| generate | {result['rows']} |" in dataset and "response perplexity" in dataset
    value = yaml.safe_load(student.split("---\n")[1])["model-index"][0]["results"][0]["metrics"][0]
    assert value["value"] == pytest.approx(result["final"]["private"], abs=1e-4)
    assert ("PeftModel" in student) == is_adapter


def test_nothing_of_this_machine_gets_out(exported):
    _, out, _ = exported
    home = str(student_folder("nano-a").parent)
    for path in out.rglob("*"):
        assert path.is_dir() or home.encode() not in path.read_bytes(), path


def test_a_folder_with_something_in_it_is_left_alone(exported, capsys):
    source, out, _ = exported
    before = sorted(out.rglob("*"))
    assert main(["export", str(source), str(out)]) == 2
    assert "not an empty folder" in capsys.readouterr().err and sorted(out.rglob("*")) == before


def spoilt(source, place, change):
    """A copy of a run with another result."""
    shutil.copytree(source, place)
    result = json.loads((place / "result.json").read_text())
    change(result)
    (place / "result.json").write_text(json.dumps(result))
    return place


def test_a_student_that_scores_otherwise_is_refused_with_what_differs(exported, tmp_path, capsys):
    def change(result):
        result["final"]["private"] = 0.987
        result["versions"]["torch"] = "1.0"

    folder, out = spoilt(exported[0], tmp_path / "run", change), tmp_path / "out"
    assert main(["export", str(folder), str(out)]) == 2
    error = capsys.readouterr().err
    assert "the private score was 0.987 and is 0." in error and not out.exists()
    assert "the version of torch was '1.0' and is '2." in error and "--no-verify" in error
    assert main(["export", str(folder), str(out), "--no-verify"]) == 0
    assert "trained again and was not scored anew" in (out / "student/README.md").read_text()


def test_rows_that_were_not_submitted_are_refused(exported, tmp_path, capsys):
    folder = spoilt(exported[0], tmp_path / "run", lambda result: None)
    path = folder / "submission_rows.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert main(["export", str(folder), str(tmp_path / "out")]) == 2
    assert "the hash of the rows was " in capsys.readouterr().err


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda result: result.pop("key"), "has no 'key'"),
        (lambda result: result["config"].update(epochs=3), "unknown key 'epochs'"),
    ],
)
def test_a_run_that_cannot_be_read_is_refused(change, message, exported, tmp_path):
    with pytest.raises(ConfigError, match=message):
        read_run(spoilt(exported[0], tmp_path / "run", change))


def test_a_folder_without_a_run_and_a_license_that_is_none_are_refused(tmp_path, capsys):
    assert main(["export", str(tmp_path), str(tmp_path / "out")]) == 2
    assert "holds no finished run" in capsys.readouterr().err
    assert main(["export", str(tmp_path), str(tmp_path / "out"), "--license", "My Own"]) == 2
    assert "license must be an id such as apache-2.0, got 'My Own'" in capsys.readouterr().err


def test_a_run_that_submitted_nothing_has_nothing_to_export(tmp_path, tiny_path, capsys):
    (tmp_path / "mine.py").write_text(
        "class Mine:\n"
        "    def begin(self, briefing): pass\n"
        "    def act(self, observation, report): return {'op': 'submit'}\n"
    )
    policy = f"{tmp_path}/mine.py:Mine"
    folder = run(tmp_path / "run", *SIZES, f"student={tiny_path}", policy=policy)
    assert json.loads((folder / "result.json").read_text())["quality"] is None
    assert main(["export", str(folder), str(tmp_path / "out")]) == 2
    assert "nothing was submitted (no_submission)" in capsys.readouterr().err


def test_a_task_folder_is_exported_without_its_place(tmp_path, tiny_path):
    task, out = tmp_path / "place" / "mine", tmp_path / "out"
    task.parent.mkdir()
    main(["new-task", str(task), "--kind", "numeric"])
    settings = (f"student={tiny_path}", "decoding.max_new_tokens=8", "score_private=false")
    folder = run(tmp_path / "run", *settings, task=task)
    assert main(["export", str(folder), str(out)]) == 0
    for name in ("student", "dataset"):
        card = (out / name / "README.md").read_text()
        assert "not scored" in card and "domain: mine\n" in card
        assert str(tmp_path) not in card and str(tiny_path) not in card


def test_a_served_teacher_is_not_needed_for_an_export(tmp_path, tiny_path, procedural_server):
    endpoint = ["teacher=openai", "endpoint.model=procedural-science"]
    endpoint += [f"endpoint.base_url={procedural_server.url}", f"tape={tmp_path}/tape.jsonl"]
    folder = run(tmp_path / "run", *SIZES, *endpoint, f"student={tiny_path}")
    asked = procedural_server.completions
    procedural_server.shutdown()
    (tmp_path / "tape.jsonl").unlink()
    assert main(["export", str(folder), str(tmp_path / "out")]) == 0
    card = (tmp_path / "out/dataset/README.md").read_text()
    assert f"Teacher: procedural-science, asked {asked} times" in card
    assert procedural_server.url not in card and "tape" not in card
