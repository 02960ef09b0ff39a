"""The episodes of an outside agent that ship: they replay, and their table is right."""

import json
import re
from pathlib import Path

import pytest

import dataenv
from dataenv.runs.replay import replay
from dataenv.runs.transcript import read_transcript

ROOT = Path(dataenv.__file__).parents[1]
SHIPPED = sorted((ROOT / "records" / "coding_agent").glob("*.jsonl.gz"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name.partition(".")[0])
def test_an_episode_of_an_agent_replays(path):
    result = replay(read_transcript(path))
    assert result["policy"] == "coding-agent" and result["flags"] == []


def test_the_table_of_the_agents_episodes_is_that_of_the_records():
    lines = (ROOT / "records" / "coding_agent.jsonl").read_text().splitlines()
    page = (ROOT / "docs" / "OUTSIDE_AGENTS.md").read_text()
    rows = re.findall(r"^\| (\w+) \| (\d) \| .* \| ([\d.]+) \|$", page, flags=re.M)
    told = {(task, int(seed)): float(score) for task, seed, score in rows}
    found = {(r["task"], r["seed"]): r["final"]["private"] for r in map(json.loads, lines)}
    assert len(SHIPPED) == 5 and len(found) == 6
    assert told == pytest.approx(found, abs=0.0006)
