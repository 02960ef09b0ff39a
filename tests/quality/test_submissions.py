"""The verb `quality`: figures of a file, and messages that name file and entry."""

import json

import pytest

from dataenv.cli import main
from dataenv.errors import ConfigError
from dataenv.submission import read_rows, read_submission

ENTRY = {"instruction": "What is 2 + 3?", "input": "", "output": "Answer: 5"}


def written(folder, content):
    path = folder / "submission.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def test_a_submission_is_measured_for_people_and_for_machines(tmp_path, tiny_path, capsys):
    path = written(tmp_path, [ENTRY, {**ENTRY, "output": "Who knows."}])
    verb = ["quality", str(path), "--student", str(tiny_path)]
    assert main([*verb, "--task", "Science-fast-v0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == 2 and found["valid"]["against"] == {"no readable answer": 1}
    assert found["distinct_rows"]["value"] == 1 and found["distinct_questions"]["value"] == 0.5
    assert main(verb) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["value", "95%", "interval", "rows", "by"]
    assert sum(line.startswith(("instruction ", "response ")) for line in lines) == 7


def test_the_task_may_be_a_folder_or_a_config_file(tmp_path, tiny_path, capsys):
    folder, config = tmp_path / "mine", tmp_path / "own.yaml"
    main(["new-task", str(folder), "--kind", "choice"])
    config.write_text("task: Code-fast-v0\ntraining:\n  max_tokens: 8\n")
    path = written(tmp_path, [{**ENTRY, "output": "Answer: B"}, ENTRY])
    verb = ["quality", str(path), "--student", str(tiny_path), "--json"]
    capsys.readouterr()
    assert main([*verb, "--task", str(folder)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["valid"]["value"] == 0.5 and found["response_quality"]["by"] == "no oracle"
    assert main([*verb, "--config", str(config)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["valid"]["against"] == {"no readable answer": 1, "too long": 1}


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ({"rows": []}, "must be a list of"),
        ([], "got an empty list"),
        ([ENTRY, {"instruction": "Why?"}], "entry 2: output: the field is missing"),
        ([{**ENTRY, "output": " "}], "entry 1: output: must not be empty, got ' '"),
        ([ENTRY, ENTRY, {**ENTRY, "instruction": 3}], "entry 3: instruction: must be text"),
        ([ENTRY, "text"], "entry 2: instruction, output: must be in an object"),
        ('[{"instruction": "a", "instruction": "b", "output": "c"}]', "instruction stands twice"),
    ],
)
def test_a_bad_file_is_named_with_its_entry(content, message, tmp_path, capsys):
    path = written(tmp_path, content)
    assert main(["quality", str(path)]) == 2
    error = capsys.readouterr().err
    assert str(path) in error and message in error


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["quality", str(tmp_path / "none.json")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_other_fields_and_an_absent_input_do_no_harm(tmp_path):
    rows = read_submission(written(tmp_path, [{**ENTRY, "input": None, "source": 7}]))
    assert [row.to_entry() for row in rows] == [ENTRY]


@pytest.mark.parametrize("content", ["{", '{"instruction": "a"}\n', "[]\n"])
def test_rows_that_are_none_are_refused(content, tmp_path):
    (tmp_path / "rows.jsonl").write_text(content)
    with pytest.raises(ConfigError, match="cannot read the rows of"):
        read_rows(tmp_path / "rows.jsonl")
