"""A real language model as the controller: SmolLM2 through llama.cpp, and the shipped replay."""

from pathlib import Path

import pytest
from local_agent import EPISODES, play

import dataenv
from dataenv.cli import main
from dataenv.runs.replay import replay
from dataenv.runs.resumable import read_records
from dataenv.runs.transcript import read_transcript

ROOT = Path(dataenv.__file__).parents[1]
DEMO = ROOT / "docs" / "examples" / "agent.jsonl"


@pytest.mark.slow
def test_a_small_model_plays_an_episode(tiny_path, tmp_path):
    sizes = (
        *("public=20", "reward=20", "private=20", "seeds=8", "pool=60", "retention=2"),
        *("calls=60", "min_rows=2", "max_rows=32", "trainings=1", "steps=5"),
        *("training.epochs=1", "decoding.max_new_tokens=8"),
    )
    (record,) = play(("Science", 0), tmp_path, sizes, str(tiny_path), port=0)
    assert record["agent"]["model"].startswith("SmolLM2") and record["agent"]["replies"] >= 3
    assert record["gain_points"] is not None
    replay(read_transcript(tmp_path / "science-0"))


def test_the_records_are_of_every_episode_each_with_an_evaluation():
    found = read_records(ROOT / "records" / "local_agent.jsonl")
    assert sorted((each["domain"], each["seed"]) for each in found) == sorted(EPISODES)
    assert all(each["budget"]["trainings"]["used"] >= 1 for each in found)


def test_the_shipped_episode_is_replayed_without_key_or_model(monkeypatch, capsys):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["run", "--replay", str(DEMO)]) == 0
    said = capsys.readouterr().out
    assert "tool_agent(SmolLM2" in said and "no model was asked" in said
    assert DEMO.stat().st_size < 200_000
