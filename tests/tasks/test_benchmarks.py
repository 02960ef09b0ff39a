"""Benchmarks in their own file formats become tasks; their splits share nothing."""

import json
import random

import gymnasium as gym
import pytest

import dataenv
from dataenv.config import EndpointConfig
from dataenv.errors import ConfigError, UnknownNameError
from dataenv.tasks import benchmarks
from dataenv.tasks.base import Item
from dataenv.tasks.benchmarks import BENCHMARKS, load_benchmark, read_benchmark, split_benchmark
from dataenv.tasks.graders import GRADERS
from dataenv.tasks.splits import Entry, overlaps, split

ALL = {"public": 10_000, "private": 10_000, "seeds": 10_000, "retention": 3}


def scibench(n):
    return {
        "problem_text": f"A cart of mass {n} rolls down a slope. How fast is it?",
        "answer_number": "1,234.5" if n % 2 else "3.1",
        "unit": " $10^{-6} \\mathrm{~m}$" if n % 3 == 0 else " $\\mathrm{m}$",
        "source": "fund" if n % 4 else "thermo",
        "problemid": f" {n}.1",
    }


def finance(n):
    return {
        "question": f"What was revenue {n} less cost {n}?",
        "context": f"Report {n // 2} " + " ".join(f"word{n // 2}x{k}" for k in range(40)),
        "ground_truth": n % 7 == 0 or n + 0.5,
        "source": f"CodeFinQA-test-{n}",
        "python_solution": "answer = 1",
    }


def crux(n):
    code = f"def f(x):\n    return x + {n}"
    return {"code": code, "input": "1", "output": repr(n + 1), "id": f"sample_{n}"}


def live(n):
    return {
        "question_content": " ".join(f"word{n // 3}x{k}" for k in range(20)),
        "starter_code": "class Solution:\n    def total(self, a, b):\n        ",
        "function_name": "total",
        "question_id": n // 3,
        "test_id": n % 3,
        "difficulty": "easy" if n % 2 else "hard",
        "test": json.dumps([{"input": f"[1, {n}]\n[2]", "output": "[true]", "testtype": "f"}]),
    }


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with small files of every benchmark's form."""
    monkeypatch.setenv(benchmarks.DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr(benchmarks, "LOCK", tmp_path / "splits.lock")
    (tmp_path / "splits.lock").write_text("{}")
    for folder, rows in {
        "scibench/fund.json": [scibench(n) for n in range(40)],
        "financereasoning/easy.json": [finance(n) for n in range(40)],
        "financereasoning/hard.json": [finance(n) for n in range(40, 60)],
        "cruxeval/cruxeval.jsonl": [crux(n) for n in range(40)],
        "livecodebench/test.jsonl": [live(n) for n in range(60)],
    }.items():
        path = tmp_path / folder
        path.parent.mkdir(exist_ok=True)
        lines = "\n".join(map(json.dumps, rows))
        path.write_text(lines if path.suffix == ".jsonl" else json.dumps(rows))
    return tmp_path


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_every_benchmark_is_read_split_one_to_three_and_shares_nothing(name, data):
    benchmark = BENCHMARKS[name]
    entries = {entry.item.id: entry for entry in read_benchmark(benchmark)}
    parts = split_benchmark(benchmark)
    assert sum(map(len, parts.values())) == len(entries)
    assert abs(3 * len(parts["public"]) - len(parts["private"])) <= 6
    back = {part: [entries[item.id] for item in items] for part, items in parts.items()}
    assert overlaps(back) == []
    assert split_benchmark(benchmark) == parts
    task = load_benchmark(name, ALL)
    grader = GRADERS[task.grader]
    assert all(grader.grade(item.solution, item.gold).correct for item in task.public)
    assert not any(grader.grade("\\boxed{77}\nAnswer: 77", i.gold).correct for i in task.public)
    assert task.reward == () and all(item.gold == "" for item in task.seeds)


def test_half_of_finance_is_seeds_and_rows_of_a_context_stay_together(data):
    parts = split_benchmark(BENCHMARKS["financereasoning"])
    assert len(parts["seeds"]) == 30
    home = {item.input: part for part, items in parts.items() for item in items}
    assert all(home[item.input] == part for part, items in parts.items() for item in items)


def test_a_power_of_ten_in_the_unit_belongs_to_the_number(data):
    items = {entry.item.id: entry.item for entry in read_benchmark(BENCHMARKS["scibench"])}
    scaled, plain = items["thermo-0.1-0"], items["fund-1.1-1"]
    assert scaled.gold == "3.1e-6" and plain.gold == "1234.5"
    assert scaled.instruction.endswith("The unit of the answer is $\\mathrm{~m}$.")


def test_seeds_beside_a_benchmark_lose_what_it_holds_too(data):
    rows = [
        {"instruction": scibench(3)["problem_text"] + " The unit of the answer is $\\mathrm{~m}$."}
    ]
    rows += [{"instruction": f"How heavy is stone {n}?"} for n in range(5)]
    (data / "scibench" / "seed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    seeds = load_benchmark("scibench", ALL).seeds
    assert [seed.id for seed in seeds] == [f"seed-{n}" for n in range(1, 6)]


def test_sizes_are_upper_bounds(data):
    task = load_benchmark("cruxeval", {"public": 4, "private": 9, "seeds": 0, "retention": 0})
    whole = load_benchmark("cruxeval", ALL)
    assert task.public == whole.public[:4] and task.private == whole.private[:9]


def test_another_copy_of_the_data_is_noticed(data):
    path = data / "splits.lock"
    path.write_text(json.dumps(benchmarks.describe_splits(["cruxeval"])))
    load_benchmark("cruxeval", ALL)
    with (data / "cruxeval" / "cruxeval.jsonl").open("a") as out:
        out.write("\n" + json.dumps(crux(99)))
    with pytest.warns(UserWarning, match="this copy of cruxeval is not the one"):
        load_benchmark("cruxeval", ALL)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("cruxeval", '{"code": "x"}', "row 1: this is no row of cruxeval: KeyError"),
        ("cruxeval", "{", "cannot read"),
        ("livecodebench", json.dumps({**live(1), "test": "[]"}), "no row of livecodebench"),
    ],
)
def test_a_file_of_another_form_is_named(name, text, said, data):
    (path,) = (data / name).glob("*.jsonl")
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_benchmark(name, ALL)


def test_without_data_the_message_says_where_to_put_it(data, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv(benchmarks.DATA_VARIABLE, str(data / "nowhere"))
    with pytest.raises(ConfigError, match="put its files"):
        load_benchmark("cruxeval", ALL)
    with pytest.raises(UnknownNameError, match="Did you mean"):
        load_benchmark("cruxevl", ALL)


def test_a_benchmark_is_an_environment(data, tiny_path, procedural_server):
    small = {"student": str(tiny_path), "decoding": {"max_new_tokens": 8}, "training": {}}
    few = {"public": 6, "private": 8, "retention": 2, "min_rows": 2, "max_rows": 8, "calls": 10}
    endpoint = EndpointConfig(model="m", base_url=procedural_server.url)
    env = gym.make("dataenv/SciBench-v0", **small, **few, endpoint=endpoint)
    _, info = env.reset(seed=0)
    assert info["report"].n == 6 and info["report"].reward_split == "public"
    report = env.step({"op": "generate", "brief": "problems about motion", "n": 6})[4]["report"]
    assert report.error == "" and procedural_server.completions == 6
    env.step({"op": "train"})
    outcome = env.step({"op": "submit"})[4]["outcome"]
    assert len(env.unwrapped.task.private) == 8
    assert outcome.rows == len(env.unwrapped.submission()) > 0


def test_a_teacher_that_knows_no_benchmark_is_refused(data):
    config = dataenv.env_config("CRUXEval-v0", teacher="procedural")
    with pytest.raises(ConfigError, match="take the teacher 'openai'"):
        dataenv.DataEnv(config=config).reset(seed=0)


def test_splits_hold_the_same_share_of_every_stratum():
    entries = [
        Entry(Item(str(n), f"Question number {n}?", "", "1", "t"), stratum="ab"[n % 5 == 0])
        for n in range(200)
    ]
    parts = split("x", entries, {"public": 1, "private": 3})
    rare = {part: sum(int(i.id) % 5 == 0 for i in items) for part, items in parts.items()}
    assert rare == {"public": 10, "private": 30}
    assert [i.id for i in parts["public"]] != sorted((i.id for i in parts["public"]), key=int)
    random.Random(0).shuffle(entries)
    assert split("x", entries, {"public": 1, "private": 3}) == parts
    assert split("y", entries, {"public": 1, "private": 3}) != parts


def test_nearly_the_same_context_is_the_same():
    words = [f"w{n}" for n in range(100)]
    texts = [" ".join(words), " ".join([*words[:70], *(f"v{n}" for n in range(30))]), "other text"]
    entries = [Entry(Item(str(n), f"Q{n}?", t, "1", "t"), context=t) for n, t in enumerate(texts)]
    assert overlaps({"one": entries[:1], "two": entries[1:]}) == [("one", "0", "two", "1")]
    assert overlaps({"one": entries[:2], "two": entries[2:]}) == []
