"""Task folders: those that the scaffold writes load; what is wrong in one is named by its place."""

import ast
import dataclasses
import json
import shutil

import pytest
import yaml

from dataenv.errors import ConfigError, UnknownNameError
from dataenv.rows import Row
from dataenv.tasks.base import Item
from dataenv.tasks.folder import FILES, SETTINGS, load_folder
from dataenv.tasks.graders import GRADERS
from dataenv.tasks.procedural import general
from dataenv.tasks.scaffold import KINDS, write_scaffold

SETTINGS_TEXT = "name: sums\ndescription: Small sums.\ngrader: numeric\n"


def item(question: str, answer: str = "5", **more: str) -> dict:
    return {"instruction": question, "answer": answer, **more}


@pytest.fixture
def folder(tmp_path):
    """A minimal task folder, with a question on line 1 of each file."""
    path = tmp_path / "mine"
    path.mkdir()
    (path / "task.yaml").write_text(SETTINGS_TEXT, "utf-8")
    write(path, "public", item("What is 2 + 3?"))
    write(path, "private", item("What is 1 + 4?"))
    return path


def write(folder, split: str, *entries: dict) -> None:
    text = "".join(json.dumps(each) + "\n" for each in entries)
    (folder / f"{split}.jsonl").write_text(text, "utf-8")


def problems_of(folder) -> list[str]:
    """The problems that a refusal lists."""
    with pytest.raises(ConfigError) as caught:
        load_folder(folder)
    title, *problems = str(caught.value).split("\n  ")
    assert str(folder) in title
    return problems


# -- scaffolds --------------------------------------------------------------------------------------


def test_scaffolds_are_named_by_their_graders():
    assert set(KINDS) == {"numeric", "literal", "choice", "exact"} <= set(GRADERS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_scaffold_loads_and_shows_every_field(tmp_path, kind):
    written = write_scaffold(tmp_path / "new" / kind, kind)
    task = load_folder(tmp_path / "new" / kind)
    assert all(path.is_file() for path in written)
    assert (task.grader, task.name) == (kind, KINDS[kind].name)
    sizes = [len(x) for x in (task.public, task.private, task.seeds, task.pool, task.few_shot)]
    assert sizes == [8, 8, 6, 6, 1]
    assert len(task.topics) == 2 and {i.topic for i in task.private} == set(task.topics)
    lines = (tmp_path / "new" / kind / "public.jsonl").read_text("utf-8").splitlines()
    assert set().union(*map(json.loads, lines)) == {n for names in FILES["public"] for n in names}
    text = written[0].read_text("utf-8")
    assert set(yaml.safe_load(text)) == {name for names in SETTINGS for name in names}
    assert all(f"{split}.jsonl" in text for split in FILES)


def test_the_answers_of_the_literal_scaffold_are_right(tmp_path):
    write_scaffold(tmp_path / "x", "literal")
    task = load_folder(tmp_path / "x")
    for each in (*task.public, *task.private):
        assert eval(each.input) == ast.literal_eval(each.gold)


def test_a_scaffold_overwrites_nothing(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(ConfigError, match=r"not empty, it holds 'notes\.txt'; name a new one"):
        write_scaffold(tmp_path, "exact")
    with pytest.raises(ConfigError, match="cannot write the folder"):
        write_scaffold(tmp_path / "notes.txt", "exact")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_unknown_kind_suggests_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'choice'"):
        write_scaffold(tmp_path / "new", "choices")
    assert not (tmp_path / "new").exists()


# -- what a folder becomes --------------------------------------------------------------------------


def test_every_field_and_file_arrives(folder):
    (folder / "task.yaml").write_text(SETTINGS_TEXT + "answer_format: 'Answer: n'\n", "utf-8")
    write(
        folder, "public", item("2 + 3?", "5", input="a\nb", topic="t", output="Answer: 5", id="i")
    )
    write(folder, "reward", item("What is 9 - 4?"))
    write(folder, "seed", {"instruction": "What is 7 - 2?", "topic": "t"})
    write(folder, "few_shot", {"instruction": "What is 6 - 1?", "output": "Answer: 5"})
    write(folder, "retention", item("What is 5 + 0?"))
    write(folder, "pool", *2 * [{"instruction": "What is 1 + 4?", "input": "x", "output": "six"}])
    task = load_folder(folder)
    assert (task.name, task.description, task.grader) == ("sums", "Small sums.", "numeric")
    assert task.answer_format == "Answer: n"
    assert task.public == (Item("i", "2 + 3?", "a\nb", "5", "t", "Answer: 5"),)
    assert task.private == (Item("private-1", "What is 1 + 4?", "", "5", "all"),)
    assert task.reward == (Item("reward-1", "What is 9 - 4?", "", "5", "all"),)
    assert task.seeds == (Item("seed-1", "What is 7 - 2?", "", "", "t"),)
    assert task.retention == (Item("retention-1", "What is 5 + 0?", "", "5", "all"),)
    assert task.retention_grader == "numeric"
    assert task.few_shot == (Row("What is 6 - 1?", "", "Answer: 5"),)
    assert task.pool == 2 * (Row("What is 1 + 4?", "x", "six"),)
    assert {row.provenance.operation for row in task.pool} == {"pool"}


def test_what_is_left_out_has_a_default(folder):
    task = load_folder(folder, retention=7)
    assert task.reward == task.seeds == task.pool == task.few_shot == ()
    assert "'Answer: '" in task.answer_format
    assert (task.retention, task.retention_grader) == (general.items(7, "folder"), "literal")


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_do_no_harm(folder):
    before = load_folder(folder)
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert load_folder(folder) == before


def test_the_target_names_the_folder_and_its_content(folder, tmp_path, monkeypatch):
    target = load_folder(folder).target
    assert target.startswith("mine-") and len(target) == len("mine-") + 8
    shutil.copytree(folder, tmp_path / "copy")
    assert load_folder(tmp_path / "copy").target == target.replace("mine", "copy")
    monkeypatch.chdir(folder)
    (folder / "task.yaml").write_text("# a comment\n" + SETTINGS_TEXT, "utf-8")
    assert load_folder(folder.relative_to(folder)).target == target
    write(folder, "private", item("What is 1 + 4?", "5.0"))
    assert load_folder(folder).target != target


def test_a_loaded_folder_written_out_again_is_the_same_task(tmp_path):
    write_scaffold(tmp_path / "x", "choice")
    task = load_folder(tmp_path / "x")
    for split, items in (("public", task.public), ("private", task.private), ("seed", task.seeds)):
        entries = [{**dataclasses.asdict(each), "answer": each.gold} for each in items]
        names = {name for group in FILES[split] for name in group}
        write(tmp_path / "x", split, *({k: e[k] for k in e if k in names} for e in entries))
    again = load_folder(tmp_path / "x")
    assert dataclasses.replace(again, target=task.target) == task


# -- what is wrong with one -------------------------------------------------------------------------


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere.* holds task\.yaml, public"):
        load_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name, message",
    [
        ("task.yaml", "task.yaml: the file is missing; add it"),
        ("public.jsonl", "public.jsonl: the file is missing; add it"),
        ("private.jsonl", "private.jsonl: the file is missing; add it"),
    ],
)
def test_a_missing_file(folder, name, message):
    (folder / name).unlink()
    assert problems_of(folder) == [message]


def test_files_that_nothing_would_read(folder):
    for name in ("seeds.jsonl", "task.yml", "README.md", ".hidden.jsonl"):
        (folder / name).touch()
    first, second = problems_of(folder)
    assert first.startswith("seeds.jsonl: unknown file. Did you mean 'seed.jsonl'?")
    assert second.startswith("task.yml: unknown file. Did you mean 'task.yaml'?")


def test_a_file_that_cannot_be_read(folder):
    (folder / "seed.jsonl").mkdir()
    (folder / "public.jsonl").write_bytes(b'{"instruction": "a"}\n{"instruction": "\xe9"}\n')
    assert [each.split(";")[0] for each in problems_of(folder)] == [
        "public.jsonl:2: is not UTF-8 (invalid continuation byte)",
        "seed.jsonl: cannot be read (Is a directory)",
    ]


@pytest.mark.parametrize(
    "text, start",
    [
        ("name: a: b\n", "task.yaml:1: is not YAML (mapping values are not allowed here)"),
        ("name: x\ngrader: [numeric\n", "task.yaml:3: is not YAML"),
        ("a: 2024-99-99", "task.yaml: is not YAML (month must be in 1..12)"),
        ("name: \0", "task.yaml: is not YAML (unacceptable character"),
        ("- name\n", "task.yaml:1: must hold lines such as 'name: ...', got ['name']"),
        ("", "task.yaml:1: must hold lines such as 'name: ...', got None"),
    ],
)
def test_settings_that_cannot_be_read(folder, text, start):
    (folder / "task.yaml").write_text(text, "utf-8")
    assert len(problems_of(folder)) == 1 and problems_of(folder)[0].startswith(start)


@pytest.mark.parametrize(
    "old, new, start",
    [
        ("name: sums\n", "", "task.yaml: name: the field is missing; add it"),
        ("name: sums", "name: no", "task.yaml:1: name: must be text in quotes, got False"),
        ("name: sums", "name: ' '", "task.yaml:1: name: must not be empty, got ' '"),
        ("name: sums", "1: x\nname: x", "task.yaml:1: 1: unknown field. Known: answer_format,"),
        (
            "name: sums",
            "name: x\nformat: x",
            "task.yaml:2: format: unknown field. Did you mean 'answer_format'?",
        ),
        ("name: sums", "name: x\nname: y", "task.yaml:2: name: stands on line 1 too; keep one"),
        (
            "numeric",
            "numerc",
            "task.yaml:3: grader: unknown grader 'numerc'. Did you mean 'numeric'",
        ),
        (
            "name: sums",
            "answer_format: The number.\nname: x",
            "task.yaml:1: answer_format: must ask for the 'Answer: ' that graders look for, got 'The",
        ),
    ],
)
def test_a_wrong_setting(folder, old, new, start):
    (folder / "task.yaml").write_text(SETTINGS_TEXT.replace(old, new), "utf-8")
    (problem,) = problems_of(folder)
    assert problem.startswith(start)


@pytest.mark.parametrize(
    "line, start",
    [
        ('{"instruction": "a" "b"}', "is not JSON (Expecting ',' delimiter): '{\"instruction\":"),
        ("[" * 100_000, "is not JSON ("),
        ("[1, 2]", "instruction, answer: must be in an object {...}, got [1, 2]"),
        ('{"instruction": "a"}', "answer: the field is missing; add it"),
        ('{"instruction": "a", "answer": ""}', "answer: must not be empty, got ''; fill it in"),
        ('{"instruction": "a", "answer": 2.50}', "answer: must be text in quotes, got 2.5"),
        (
            '{"instruction": "a", "answer": "5", "input": null}',
            "input: must be text in quotes, got",
        ),
        ('{"instruction": "a", "answer": "5", "x": "y"}', "x: unknown field. Known: answer, id,"),
        (
            '{"instruction": "a", "answer": "5", "tpoic": "y"}',
            "tpoic: unknown field. Did you mean 'topic'? Known: answer, id, input",
        ),
        ('{"instruction": "a", "answer": "5", "answer": "6"}', "is not JSON (answer stands twice)"),
        (
            '{"instruction": "\\ud800", "answer": "5"}',
            "instruction: holds a NUL or half a surrogate",
        ),
        (
            '{"instruction": "a", "answer": "abc"}',
            "answer: a numeric gold must hold one finite number, got 'abc'",
        ),
        (
            '{"instruction": "a", "answer": "\\n5"}',
            "answer: not even '\\n5' itself would be credited by the numeric grader; write the bare",
        ),
        (
            '{"instruction": "a", "answer": "5", "output": "Answer: 6"}',
            "output: must end with 'Answer: ' and '5', got 'Answer: 6'",
        ),
    ],
)
@pytest.mark.parametrize("split", ["public", "reward", "retention"])
def test_a_wrong_line(folder, split, line, start):
    good = json.dumps(item("What is 10 / 2?"))
    (folder / f"{split}.jsonl").write_text(f"{good}\n\n{line}\n", "utf-8")
    (problem,) = problems_of(folder)
    assert problem.startswith(f"{split}.jsonl:3: {start}")


@pytest.mark.parametrize(
    "grader, good, bad, start",
    [
        ("literal", "[1]", "[1, 2", "a literal gold must be a Python literal, got '[1, 2'"),
        ("choice", "(B)", "AB", "the gold of a choice must be one letter, got 'AB'"),
        ("exact", "x", "Answer: x", "not even 'Answer: x' itself would be credited by the exact"),
    ],
)
def test_an_answer_that_its_grader_cannot_read(folder, grader, good, bad, start):
    (folder / "task.yaml").write_text(SETTINGS_TEXT.replace("numeric", grader), "utf-8")
    write(folder, "public", item("a", good), item("b", bad))
    write(folder, "private", item("c", good))
    (problem,) = problems_of(folder)
    assert problem.startswith(f"public.jsonl:2: answer: {start}")


def test_a_few_shot_row_must_show_an_answer_but_a_pool_row_may_be_anything(folder):
    write(folder, "few_shot", {"instruction": "a", "output": "It is five."})
    write(folder, "pool", {"instruction": "a", "output": "It is five."})
    assert problems_of(folder) == [
        "few_shot.jsonl:1: output: must end with 'Answer: ' and the answer, got 'It is five.'"
    ]


def test_seeds_have_no_answers(folder):
    write(folder, "seed", item("a"))
    (problem,) = problems_of(folder)
    assert problem.startswith("seed.jsonl:1: answer: unknown field. Known: id, input, instruction")


@pytest.mark.parametrize("split", ["public", "reward"])
def test_a_file_without_items(folder, split):
    (folder / f"{split}.jsonl").write_text("\n \n", "utf-8")
    assert problems_of(folder) == [
        f"{split}.jsonl: holds no items; write one JSON object on each line"
    ]


def test_long_values_are_cut_short(folder):
    write(folder, "public", item("q", "x" * 5000), item("w" * 5000, 7))
    problems = problems_of(folder)
    assert [each.split(":")[1] for each in problems] == ["2", "1"]
    assert all(len(each) < 200 for each in problems)


def test_the_same_id_twice(folder):
    write(folder, "public", item("a", id="x"), item("b", id="private-1"))
    write(folder, "private", item("c"), item("d", id="x"))
    assert problems_of(folder) == [
        "private.jsonl:1: id: 'private-1' is the id of public.jsonl:2 too; change one",
        "private.jsonl:2: id: 'x' is the id of public.jsonl:1 too; change one",
    ]


@pytest.mark.parametrize("split", ["public", "private", "reward", "few_shot", "retention", "seed"])
@pytest.mark.parametrize(
    "question", ["What is 2 + 3?", "what  is `2+3`", "**What** is 2\u200b + 3"]
)
def test_the_same_question_twice(folder, split, question):
    known = {"answer": "5", "output": "Answer: 5"}
    more = {name: text for name, text in known.items() if name in FILES[split][0]}
    write(folder, "private", item("What is 1 + 4?"))
    path = folder / f"{split}.jsonl"
    before = path.read_text("utf-8") if path.exists() else ""
    path.write_text(before + json.dumps({"instruction": question, **more}) + "\n", "utf-8")
    line = path.read_text("utf-8").count("\n")
    assert problems_of(folder) == [
        f"{split}.jsonl:{line}: instruction: {question!r} is the same question as public.jsonl:1; "
        "remove one of the two"
    ]


@pytest.mark.parametrize(
    "question", ["What is 2 - 3?", "What is 2 / 3?", "What is -2 + 3?", "What is [2 + 3]?"]
)
def test_a_question_with_other_signs_is_another(folder, question):
    write(folder, "private", item(question))
    assert load_folder(folder).private[0].instruction == question


def test_the_input_belongs_to_the_question(folder):
    write(folder, "public", item("Add.", input="2 and 3"))
    write(folder, "private", item("Add.", input="1 and 4"))
    load_folder(folder)


def test_all_problems_are_reported_together(folder):
    (folder / "task.yaml").write_text(SETTINGS_TEXT + "colour: red\n", "utf-8")
    write(folder, "public", item("What is 2 + 3?"), {"answer": "5"}, item("Why?", "abc"))
    write(folder, "private", item("what is 2 + 3"), item("When?", "5", topics="x"))
    (folder / "seed.jsonl").write_text("no JSON", "utf-8")
    places = [":".join(each.split(":")[:3]) for each in problems_of(folder)]
    assert places == [
        "task.yaml:4: colour",
        "public.jsonl:2: instruction",
        "private.jsonl:2: topics",
        "seed.jsonl:1: is not JSON (Expecting value)",
        "public.jsonl:3: answer",
        "private.jsonl:1: instruction",
    ]


def test_of_many_problems_ten_are_shown_and_the_rest_counted(folder):
    write(folder, "public", *[item(f"Question {n}", "abc") for n in range(25)])
    with pytest.raises(ConfigError, match="has 25 problems:"):
        load_folder(folder)
    problems = problems_of(folder)
    assert problems[9].startswith("public.jsonl:10: answer:")
    assert problems[10:] == ["and 15 more"]
