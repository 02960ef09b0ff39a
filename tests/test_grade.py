"""The verb `grade`: verdicts in order, errors with their place, nothing printed by halves."""

import io
import json

import pytest

from dataenv.cli import main
from dataenv.tasks.graders import GRADERS

ROWS = [
    {"id": "a", "prediction": "So.\nAnswer: 3.25", "gold": "3.25"},
    {"id": 7, "prediction": "Answer: 4", "gold": "3.25"},
    {"prediction": "No idea.", "gold": "3.25"},
]
VERDICTS = [
    {"id": "a", "correct": True, "extracted": "3.25"},
    {"id": 7, "correct": False, "extracted": "4"},
    {"correct": False, "extracted": None},
]
RIGHT = {
    "numeric": ("Answer: 5", "5"),
    "literal": ("Answer: [5]", "[5]"),
    "exact": ("Answer: oxen", "oxen"),
    "choice": ("Answer: B", "B"),
    "scibench": ("\\boxed{5 m}", "5.1"),
    "financereasoning": ("Answer: 1,250.5", "1250.5"),
    "financereasoning-strict": ("Answer: yes", "True"),
    "livecodebench": ("assert f(2) == [5]", "[5]"),
    "cruxeval": ("[ANSWER]\nassert f(2) == [5]\n[/ANSWER]", "[5]"),
}


def text_of(rows) -> str:
    return "\n".join(json.dumps(row) for row in rows) + "\n"


def verdicts_of(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


def test_a_file_gives_a_verdict_for_every_row(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text("\ufeff" + text_of(ROWS) + "\n", "utf-8")
    assert main(["grade", "--grader", "numeric", str(path)]) == 0
    assert verdicts_of(capsys.readouterr().out) == VERDICTS


def test_rows_may_come_from_standard_input(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(text_of(ROWS)))
    assert main(["grade", "--grader", "numeric", "-"]) == 0
    assert verdicts_of(capsys.readouterr().out) == VERDICTS


@pytest.mark.parametrize("name", GRADERS)
def test_every_grader_can_be_asked_for(name, monkeypatch, capsys):
    prediction, gold = RIGHT[name]
    rows = [{"prediction": prediction, "gold": gold}, {"prediction": "\ud800", "gold": gold}]
    monkeypatch.setattr("sys.stdin", io.StringIO(text_of(rows)))
    assert main(["grade", "--grader", name, "-"]) == 0
    assert [each["correct"] for each in verdicts_of(capsys.readouterr().out)] == [True, False]


def test_list_says_what_each_grader_is(capsys):
    assert main(["grade", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == list(GRADERS)
    assert all(len(line) <= 120 and line.split(": ", 1)[1] for line in lines)


@pytest.mark.parametrize(
    "grader, line, message",
    [
        ("numeric", "{", "is not JSON"),
        ("numeric", "[" * 100_000, "is not JSON"),
        ("numeric", "[1]", "must be an object"),
        ("numeric", '{"gold": "1"}', "prediction: the field is missing"),
        ("numeric", '{"prediction": "1"}', "gold: the field is missing"),
        ("numeric", '{"prediction": [1], "gold": "1"}', "prediction: must be text, or a number"),
        ("numeric", '{"prediction": "1", "gold": "one"}', "a numeric gold must"),
        ("scibench", '{"prediction": "1", "gold": "1,000"}', "the gold of a scibench"),
        ("financereasoning", '{"prediction": "1", "gold": "inf"}', "a financereasoning gold"),
        ("livecodebench", '{"prediction": "1", "gold": "(1, 2)"}', "must be JSON"),
        ("cruxeval", '{"prediction": "1", "gold": "f(1)"}', "must be a Python literal"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_printed(grader, line, message, tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prediction": "Answer: 1", "gold": "1"}\n\n' + line + "\n")
    assert main(["grade", "--grader", grader, str(path)]) == 2
    out, error = capsys.readouterr()
    assert f"{path}:3: " in error and message in error
    assert out == "" and error.count("\n") == 1


def test_a_bad_row_of_standard_input_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n{}"))
    assert main(["grade", "--grader", "numeric", "-"]) == 2
    assert "standard input:2: prediction: the field is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--grader", "numerc", "x.jsonl"], "Did you mean 'numeric'"),
        (["--grader", "numeric"], "name a file of rows, or - for standard input"),
        (["--grader", "numeric", "nowhere.jsonl"], "cannot read nowhere.jsonl"),
    ],
)
def test_wrong_words_get_one_helpful_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["grade", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_file_that_is_no_text_is_refused(tmp_path, capsys):
    (tmp_path / "rows.jsonl").write_bytes(b"\xff\xfe\x00")
    assert main(["grade", "--grader", "numeric", str(tmp_path / "rows.jsonl")]) == 2
    assert "cannot read" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--list", "--grader", "numeric"]])
def test_a_grader_or_the_list_is_needed(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["grade", *arguments])
    assert stopped.value.code == 2


def test_numbers_and_truth_values_count_as_their_text(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prediction": 1.5, "gold": 1.501}\n{"prediction": "yes", "gold": true}\n')
    assert main(["grade", "--grader", "financereasoning-strict", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["correct"] for line in lines] == [True, True]
