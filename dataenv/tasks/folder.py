"""A user's own task: a folder with ``task.yaml`` and a few files of JSON lines.

All that is wrong in a folder is found in one go, and every problem names its file, line and field.
A question may stand only once in a folder, the pool apart: what is in two splits measures nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dataenv.config import did_you_mean
from dataenv.contamination import question_key
from dataenv.errors import ConfigError
from dataenv.evaluation import MAX_SLICES
from dataenv.hashing import digest
from dataenv.rows import Provenance, Row, join_prompt
from dataenv.tasks.base import Item, Task
from dataenv.tasks.graders import GRADERS, Grader
from dataenv.tasks.procedural import general

SETTINGS_FILE = "task.yaml"
ANSWER_FORMAT = "The solution ends with 'Answer: ' and the final answer alone."
ONE_TOPIC = "all"
"""The topic of items that name none."""
SHOWN_PROBLEMS = 10
SHOWN_CHARS = 60

Fields = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of required and of optional fields."""

_ITEM: Fields = ("instruction", "answer"), ("input", "topic", "output", "id")
ROW: Fields = ("instruction", "output"), ("input",)

SETTINGS: Fields = ("name", "description", "grader"), ("answer_format",)
"""Fields of `SETTINGS_FILE`."""
FILES: dict[str, Fields] = {
    "public": _ITEM,
    "private": _ITEM,
    "reward": _ITEM,
    "seed": (("instruction",), ("input", "topic", "id")),
    "few_shot": ROW,
    "retention": _ITEM,
    "pool": ROW,
}
"""Fields of a line of each ``.jsonl`` file."""
REQUIRED_FILES = (SETTINGS_FILE, "public.jsonl", "private.jsonl")


@dataclass(frozen=True)
class _Line:
    """One line of a file, all of whose fields are in order."""

    split: str
    number: int
    fields: Mapping[str, str]

    @property
    def place(self) -> str:
        return f"{self.split}.jsonl:{self.number}"

    @property
    def id(self) -> str:
        return self.fields.get("id") or f"{self.split}-{self.number}"

    @property
    def prompt(self) -> str:
        return join_prompt(self.fields["instruction"], self.fields.get("input", ""))


def load_folder(path: Path, retention: int = 20) -> Task:
    """The task of a folder.

    Args:
        path: The folder.
        retention: How many general items to draw where the folder has no ``retention.jsonl``.

    Raises:
        ConfigError: Something is wrong in the folder. The message lists the problems, each with its
            place, the value and the way out.
    """
    folder = path.resolve()
    try:
        names = sorted(each.name for each in folder.iterdir())
    except OSError as error:
        raise ConfigError(
            f"cannot read the task folder {str(path)!r}: {error.strerror}; "
            f"name a folder that holds {', '.join(REQUIRED_FILES)}"
        ) from error
    problems = list(_wrong_files(names))
    texts = {name: _read_text(folder / name, problems) for name in names if name in _known_files()}
    settings = _read_settings(texts.get(SETTINGS_FILE), problems)
    lines = {split: _read_lines(split, texts.get(f"{split}.jsonl"), problems) for split in FILES}
    asked = [line for split, found in lines.items() if split != "pool" for line in found]
    problems += _wrong_answers(asked, GRADERS.get(settings.get("grader", "")))
    problems += _repeats(asked)
    topics = {line.fields.get("topic") or ONE_TOPIC for line in lines["public"]}
    if len(topics) > MAX_SLICES:
        problems.append(
            f"public.jsonl: topic: {len(topics)} topics; reports show {MAX_SLICES}, use fewer"
        )
    if problems:
        raise ConfigError(listed(f"the task folder {str(path)!r}", problems))
    return _build(folder.name, settings, lines, retention)


def _known_files() -> list[str]:
    return [SETTINGS_FILE, *(f"{split}.jsonl" for split in FILES)]


def _wrong_files(names: Sequence[str]) -> Iterator[str]:
    for name in REQUIRED_FILES:
        if name not in names:
            yield f"{name}: the file is missing; add it"
    for name in names:
        if name not in _known_files() and re.fullmatch(r"[^.].*\.(jsonl|ya?ml)", name):
            yield f"{name}: unknown file{did_you_mean(name, _known_files())}"


def _read_text(file: Path, problems: list[str]) -> str | None:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        problems.append(f"{file.name}:{number}: is not UTF-8 ({error.reason}); save it as UTF-8")
    except OSError as error:
        problems.append(f"{file.name}: cannot be read ({error.strerror}); make it a readable file")
    return None


def _read_settings(text: str | None, problems: list[str]) -> dict[str, str]:
    """The fields of `SETTINGS_FILE` that are in order."""
    if text is None:
        return {}
    try:
        data = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{SETTINGS_FILE}:{mark.line + 1}" if mark else SETTINGS_FILE
        reason = _cut(" ".join(str(getattr(error, "problem", error)).split()))
        problems.append(f"{place}: is not YAML ({reason}); put quotes around values with a colon")
        return {}
    if not isinstance(data, dict) or not isinstance(root, yaml.MappingNode):
        problems.append(
            f"{SETTINGS_FILE}:1: must hold lines such as 'name: ...', got {_quoted(data)}"
        )
        return {}
    keys = [(key.value, key.start_mark.line + 1) for key, _ in root.value]
    numbers = dict(keys)
    wrong = [(name, f"stands on line {n} too; keep one") for name, n in keys if numbers[name] != n]
    wrong += [*wrong_fields(data, SETTINGS), *_wrong_settings(data)]
    for name, reason in wrong:
        place = f"{SETTINGS_FILE}:{numbers[name]}" if name in numbers else SETTINGS_FILE
        problems.append(f"{place}: {name}: {reason}")
    return {name: value for name, value in data.items() if name not in dict(wrong)}


def _wrong_settings(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs of a field and what is wrong with what it says; `wrong_fields` looks at types."""
    texts = {
        name: value for name, value in data.items() if isinstance(value, str) and value.strip()
    }
    grader = texts.get("grader", "exact")
    if grader not in GRADERS:
        yield "grader", f"unknown grader {_quoted(grader)}{did_you_mean(grader, list(GRADERS))}"
    answer_format = texts.get("answer_format", ANSWER_FORMAT)
    if "answer:" not in answer_format.lower():
        yield (
            "answer_format",
            f"must ask for the 'Answer: ' that graders look for, got {_quoted(answer_format)}",
        )


def _read_lines(split: str, text: str | None, problems: list[str]) -> list[_Line]:
    """The lines of a file that are in order."""
    if text is None:
        return []
    texts = [(number, each) for number, each in enumerate(text.split("\n"), 1) if each.strip()]
    if not texts:
        problems.append(f"{split}.jsonl: holds no items; write one JSON object on each line")
    lines = []
    for number, each in texts:
        try:
            data = json.loads(each, object_pairs_hook=once)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", error)
            wrong = [f"is not JSON ({reason}): {_quoted(each)}; write one object on each line"]
        else:
            wrong = [f"{name}: {reason}" for name, reason in wrong_fields(data, FILES[split])]
        problems += [f"{split}.jsonl:{number}: {reason}" for reason in wrong]
        if not wrong:
            lines.append(_Line(split, number, data))
    return lines


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs of a JSON object, of which Python would keep the last of a name without a word."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{_cut(name)} stands twice")
    return dict(pairs)


def wrong_fields(data: Any, fields: Fields) -> Iterator[tuple[str, str]]:
    """Pairs of a field and what is wrong with it."""
    required, optional = fields
    known = (*required, *optional)
    if not isinstance(data, dict):
        yield ", ".join(required), f"must be in an object {{...}}, got {_quoted(data)}"
        return
    for name in required:
        if name not in data:
            yield name, "the field is missing; add it"
    for key, value in data.items():
        if key not in known:
            yield _cut(str(key)), f"unknown field{did_you_mean(key, known)}"
        elif not isinstance(value, str):
            yield key, f"must be text in quotes, got {_quoted(value)}"
        elif key in required and not value.strip():
            yield key, f"must not be empty, got {_quoted(value)}; fill it in"
        elif re.search("[\0\ud800-\udfff]", value):
            yield key, f"holds a NUL or half a surrogate pair; remove it from {_quoted(value)}"


def _wrong_answers(lines: Iterable[_Line], grader: Grader | None) -> Iterator[str]:
    """Answers that the grader could never credit, and solutions that do not end in theirs."""
    if grader is None:
        return
    for line in lines:
        gold, output = line.fields.get("answer"), line.fields.get("output")
        try:
            if gold is not None:
                grader.check(gold)
            if gold is not None and not _credits(grader, f"Answer: {gold}", gold):
                yield (
                    f"{line.place}: answer: not even {_quoted(gold)} itself would be credited by the "
                    f"{grader.name} grader; write the bare answer"
                )
            elif output and not _credits(grader, output, gold):
                wanted = "the answer" if gold is None else _quoted(gold)
                yield (
                    f"{line.place}: output: must end with 'Answer: ' and {wanted}, "
                    f"got {_quoted(output[-SHOWN_CHARS // 2 :])}"
                )
        except ConfigError as error:
            yield f"{line.place}: answer: {_cut(str(error), 2 * SHOWN_CHARS)}"


def _credits(grader: Grader, text: str, gold: str | None) -> bool:
    """Whether a text gives the gold answer; any answer, if no gold is known."""
    return grader.extract(text) is not None if gold is None else grader.grade(text, gold).correct


def _repeats(lines: Iterable[_Line]) -> Iterator[str]:
    ids: dict[str, str] = {}
    questions: dict[tuple[str, ...], str] = {}
    for line in lines:
        first = ids.setdefault(line.id, line.place)
        if first != line.place:
            yield f"{line.place}: id: {_quoted(line.id)} is the id of {first} too; change one"
        first = questions.setdefault(question_key(line.prompt), line.place)
        if first != line.place:
            yield (
                f"{line.place}: instruction: {_quoted(line.prompt)} is the same question as "
                f"{first}; remove one of the two"
            )


def _build(
    name: str, settings: Mapping[str, str], lines: Mapping[str, list[_Line]], retention: int
) -> Task:
    content = {split: [line.fields for line in found] for split, found in lines.items()}
    own = tuple(map(_item, lines["retention"]))
    return Task(
        name=settings["name"],
        description=settings["description"],
        answer_format=settings.get("answer_format") or ANSWER_FORMAT,
        grader=settings["grader"],
        public=tuple(map(_item, lines["public"])),
        reward=tuple(map(_item, lines["reward"])),
        private=tuple(map(_item, lines["private"])),
        seeds=tuple(map(_item, lines["seed"])),
        pool=tuple(map(_row, lines["pool"])),
        retention=own or general.items(retention, "folder"),
        retention_grader=settings["grader"] if own else "literal",
        few_shot=tuple(map(_row, lines["few_shot"])),
        target=f"{name}-{digest(settings, content, size=4)}",
    )


def _item(line: _Line) -> Item:
    return Item(
        id=line.id,
        instruction=line.fields["instruction"],
        input=line.fields.get("input", ""),
        gold=line.fields.get("answer", ""),
        topic=line.fields.get("topic") or ONE_TOPIC,
        output=line.fields.get("output", ""),
    )


def _row(line: _Line) -> Row:
    fields = line.fields
    origin = Provenance(line.split)
    return Row(fields["instruction"], fields.get("input", ""), fields["output"], origin)


def listed(what: str, problems: Sequence[str]) -> str:
    """A message about all problems of something, the first few in full."""
    count = len(problems)
    shown = list(problems[:SHOWN_PROBLEMS])
    if count > len(shown):
        shown.append(f"and {count - len(shown)} more")
    title = f"{what} has {count} problem{'s' if count > 1 else ''}:"
    return "\n  ".join([title, *shown])


def _quoted(value: Any) -> str:
    return _cut(repr(value))


def _cut(text: str, size: int = SHOWN_CHARS) -> str:
    return text if len(text) <= size else text[: size - 3] + "..."
