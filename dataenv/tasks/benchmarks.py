"""Published benchmarks as tasks: read from a local folder or the hub, and split.

A benchmark is a line of `BENCHMARKS`: where its files are, how a row of it becomes a problem, and
how much of it goes where. None of its data comes with the package. `benchmarks.lock` holds the hashes
of the splits, so that a copy that differs from the one which results were made on is noticed.
"""

from __future__ import annotations

import ast
import json
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataenv.config import did_you_mean
from dataenv.errors import ConfigError, UnknownNameError
from dataenv.rows import Provenance, Row
from dataenv.tasks.base import Item, Task
from dataenv.tasks.procedural import general
from dataenv.tasks.splits import Entry, manifest, overlaps, split

DATA_VARIABLE = "DATAENV_DATA"
"""The environment variable that names the folder of the benchmarks' folders."""
LOCK = Path(__file__).with_name("benchmarks.lock")
TEST_SHARES = {"public": 1.0, "private": 3.0}
FEW_SHOT = 2

_POWER = re.compile(r"\$? *10\^\{? *(-?\d+) *\}? *\$?")
"""A power of ten inside a unit: the answer is given in its multiples."""


@dataclass(frozen=True)
class Benchmark:
    """One published benchmark.

    Args:
        name: Also the folder of its files.
        description, answer_format: What a controller is told.
        grader: A name in `dataenv.tasks.graders.GRADERS`.
        files: Pattern of its files in the folder.
        hub: Its id on the hub, and the splits that are read.
        entry: Makes a problem of a row.
        seed_share: Of the problems, kept back as raw questions; else they come from ``seed.jsonl``.
    """

    name: str
    description: str
    answer_format: str
    grader: str
    files: str
    hub: tuple[str, tuple[str, ...]]
    entry: Callable[[Mapping[str, Any], int], Entry]
    seed_share: float = 0.0


def load_benchmark(name: str, sizes: Mapping[str, int]) -> Task:
    """The task of a benchmark.

    Args:
        name: A key of `BENCHMARKS`.
        sizes: At most so many ``public``, ``private`` and ``seeds``, and so many ``retention`` items.

    Raises:
        UnknownNameError: There is no such benchmark.
        ConfigError: Its data is neither on this machine nor reachable, or cannot be read.
    """
    if name not in BENCHMARKS:
        raise UnknownNameError(f"unknown benchmark {name!r}{did_you_mean(name, list(BENCHMARKS))}")
    benchmark = BENCHMARKS[name]
    parts = split_benchmark(benchmark)
    _compare_with_lock(name, manifest(parts))
    public = parts["public"][: sizes["public"]]
    return Task(
        name=name,
        description=benchmark.description,
        answer_format=benchmark.answer_format,
        grader=benchmark.grader,
        public=public,
        reward=(),
        private=parts["private"][: sizes["private"]],
        seeds=parts["seeds"][: sizes["seeds"]],
        retention=general.items(sizes["retention"], name),
        few_shot=tuple(_shown(item) for item in public[:FEW_SHOT]),
        target=name,
    )


def split_benchmark(benchmark: Benchmark) -> dict[str, tuple[Item, ...]]:
    """Seeds, public and private items; seeds have no answers and share nothing with the others."""
    entries = read_benchmark(benchmark)
    rest = 1 - benchmark.seed_share
    shares = {part: rest * share for part, share in TEST_SHARES.items()}
    if benchmark.seed_share:
        shares["seeds"] = benchmark.seed_share * sum(TEST_SHARES.values())
    parts = split(benchmark.name, entries, shares)
    if not benchmark.seed_share:
        parts["seeds"] = _own_seeds(benchmark, entries)
    bare = (Item(i.id, i.instruction, i.input, "", i.topic) for i in parts["seeds"])
    return {**parts, "seeds": tuple(bare)}


def read_benchmark(benchmark: Benchmark) -> list[Entry]:
    """All problems of a benchmark.

    Raises:
        ConfigError: As `load_benchmark`.
    """
    entries = []
    for number, (place, row) in enumerate(_rows(benchmark)):
        try:
            entries.append(benchmark.entry(row, number))
        except (KeyError, TypeError, ValueError, SyntaxError) as error:
            raise ConfigError(
                f"{place}: this is no row of {benchmark.name}: {type(error).__name__} {error}"
            ) from error
    return entries


def data_folder(name: str) -> Path | None:
    """The local folder of a benchmark, if there is one."""
    root = os.environ.get(DATA_VARIABLE)
    folder = Path(root) / name if root else None
    return folder if folder and folder.is_dir() else None


def _rows(benchmark: Benchmark) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(place, row) of every row, from the local folder or else from the hub."""
    folder = data_folder(benchmark.name)
    if folder is None:
        yield from _rows_of_hub(benchmark)
        return
    files = sorted(folder.glob(benchmark.files))
    if not files:
        raise ConfigError(f"{folder} has no file {benchmark.files!r}")
    for file in files:
        for number, row in enumerate(_rows_of_file(file), 1):
            yield f"{file}, row {number}", {"level": file.stem, **row}


def _rows_of_file(file: Path) -> list[Mapping[str, Any]]:
    try:
        text = file.read_text("utf-8")
        if file.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {file}: {error}") from error


def _rows_of_hub(benchmark: Benchmark) -> Iterator[tuple[str, Mapping[str, Any]]]:
    from datasets import load_dataset

    name, parts = benchmark.hub
    try:
        for part in parts:
            for number, row in enumerate(load_dataset(name, split=part), 1):
                yield f"{name}/{part}, row {number}", {"level": part, **row}
    except Exception as error:  # the hub's client raises what its many parts raise
        raise ConfigError(
            f"no {benchmark.name} here: put its files ({benchmark.files}) into "
            f"${DATA_VARIABLE}/{benchmark.name}, or make {name!r} on the hub reachable "
            f"({type(error).__name__}: {str(error)[:200]})"
        ) from error


def _own_seeds(benchmark: Benchmark, entries: list[Entry]) -> tuple[Item, ...]:
    """Questions of ``seed.jsonl`` beside the benchmark's files, without those that it holds too."""
    folder = data_folder(benchmark.name)
    file = folder / "seed.jsonl" if folder else None
    if file is None or not file.exists():
        return ()
    seeds = [
        Entry(Item(f"seed-{n}", row["instruction"], row.get("input", ""), "", row.get("topic", "")))
        for n, row in enumerate(_rows_of_file(file))
    ]
    found = overlaps({"seeds": seeds, "test": entries})
    known = {i for part, one, other_part, two in found for i in (one, two)}
    return tuple(entry.item for entry in seeds if entry.item.id not in known)


def _compare_with_lock(name: str, now: Mapping[str, Any]) -> None:
    locked = json.loads(LOCK.read_text("utf-8")).get(name)
    fixed = {part: now[part] for part in locked or ()}
    if locked and fixed != locked:
        warnings.warn(
            f"this copy of {name} is not the one that published splits were made of: "
            f"{fixed} instead of {locked}",
            stacklevel=3,
        )


def _shown(item: Item) -> Row:
    return Row(item.instruction, item.input, item.solution, Provenance("few_shot"))


def _scibench(row: Mapping[str, Any], number: int) -> Entry:
    unit = str(row["unit"])
    answer = str(row["answer_number"]).strip().replace(",", "").replace("\N{MINUS SIGN}", "-")
    power = _POWER.search(unit)
    unit = (_POWER.split(unit)[-1].lstrip(" }") if power else unit).replace("$", "").strip()
    # "3.1" in units of 10^{-6} m is 3.1e-6, asked for in m
    gold = f"{answer}e{power[1]}" if power else answer
    float(gold)  # what is no number is refused here, not in the middle of an evaluation
    shown = f"${unit}$" if "\\" in unit else unit
    question = row["problem_text"].strip()
    source = str(row["source"]).strip()
    item = Item(
        id=f"{source}-{str(row['problemid']).strip()}-{number}",
        instruction=f"{question} The unit of the answer is {shown}." if unit else question,
        input="",
        gold=gold,
        topic=source,
        output=f"\\boxed{{{gold}}}",
    )
    return Entry(item, stratum=source)


def _financereasoning(row: Mapping[str, Any], number: int) -> Entry:
    family = re.split(r"-(?:test|validation|dev|train)?-?\d", str(row["source"]))[0]
    item = Item(
        id=str(row["source"]),
        instruction=row["question"].strip(),
        input=row["context"].strip(),
        gold=str(row["ground_truth"]),
        topic=f"{family}, {row['level']}",
    )
    return Entry(item, stratum=item.topic, context=item.input)


def _cruxeval(row: Mapping[str, Any], number: int) -> Entry:
    kind = type(ast.literal_eval(row["output"])).__name__
    item = Item(
        id=row["id"],
        instruction=f"What does f({row['input']}) return?",
        input=row["code"],
        gold=row["output"],
        topic=f"returns {kind}",
    )
    return Entry(item, stratum=item.topic, context=item.input)


def _livecodebench(row: Mapping[str, Any], number: int) -> Entry:
    test = json.loads(row["test"]) if isinstance(row["test"], str) else row["test"]
    (case,) = test if isinstance(test, list) else [test]
    arguments = ", ".join(case["input"].splitlines())
    json.loads(case["output"])
    item = Item(
        id=f"{row['question_id']}-{row['test_id']}",
        instruction="Complete the assertion: "
        f"assert {row['function_name']}({arguments}) == # what it returns",
        input=f"{row['question_content'].strip()}\n\n{row['starter_code'].strip()}",
        gold=case["output"],
        topic=str(row["difficulty"]),
        output=f"```python\nassert {row['function_name']}({arguments}) == {_literal(case)}\n```",
    )
    return Entry(item, stratum=item.topic, context=row["question_content"])


def _literal(case: Mapping[str, Any]) -> str:
    return repr(json.loads(case["output"]))


def _table(*benchmarks: Benchmark) -> dict[str, Benchmark]:
    return {benchmark.name: benchmark for benchmark in benchmarks}


BENCHMARKS = _table(
    Benchmark(
        "scibench",
        "College problems of physics, chemistry and mathematics with a number as the answer.",
        "Step by step; the final number, without its unit, stands in \\boxed{}.",
        "scibench",
        "*.json",
        ("xw27/scibench", ("train",)),
        _scibench,
    ),
    Benchmark(
        "financereasoning",
        "Questions about financial texts and tables with a number, or yes or no, as the answer.",
        "Step by step; the solution ends with 'Answer: ' and the number alone.",
        "financereasoning",
        "*.json",
        ("BUPT-Reasoning-Lab/FinanceReasoning", ("easy", "medium", "hard")),
        _financereasoning,
        seed_share=0.5,
    ),
    Benchmark(
        "livecodebench",
        "What a function that solves a programming problem returns for a given input.",
        "The completed assertion in a ```python block; its right side is a Python literal.",
        "livecodebench",
        "test*.jsonl",
        ("livecodebench/test_generation", ("test",)),
        _livecodebench,
    ),
    Benchmark(
        "cruxeval",
        "What a short Python function returns for a given input.",
        "The solution ends with 'Answer: ' and a Python literal.",
        "cruxeval",
        "cruxeval.jsonl",
        ("cruxeval-org/cruxeval", ("test",)),
        _cruxeval,
    ),
)
"""By name: a benchmark is a line here."""


def describe_splits(names: Iterable[str]) -> dict[str, Any]:
    """The manifests of benchmarks that can be read here, for `benchmarks.lock`."""
    found = {name: manifest(split_benchmark(BENCHMARKS[name])) for name in names}
    return {
        name: {part: entry for part, entry in parts.items() if entry["n"]}
        for name, parts in found.items()
    }
