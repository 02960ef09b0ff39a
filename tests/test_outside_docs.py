"""What the pages on one's own controllers show works as it stands there."""

import json
import re
import shlex
from pathlib import Path

import dataenv
from dataenv.cli import main, parser
from tests.conftest import SMALL

DOCS = Path(dataenv.__file__).parents[1] / "docs"
OWN = DOCS / "examples" / "own_policy.py"


def blocks(page, language):
    text = (DOCS / page).read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_policy_on_the_page_is_the_file_and_plays_an_episode(tiny_path, tmp_path):
    assert blocks("OWN_POLICY.md", "python") == [OWN.read_text("utf-8")]
    sizes = {**SMALL, "max_rows": 64, "calls": 200}
    changes = [part for each in sizes.items() for part in ("--set", "=".join(map(str, each)))]
    policy = ["--policy", f"{OWN}:Weakest", "--student", str(tiny_path), "--out", str(tmp_path)]
    assert main(["run", "--task", "Science-fast-v0", *policy, *changes]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["policy"] == "weakest" and result["rows"] > 0
    steps = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert not any(step["report"]["error"] for step in steps)
    assert [step["action"]["op"] for step in steps][-2:] == ["train", "submit"]


def test_the_commands_on_the_page_are_understood():
    (config,) = blocks("OUTSIDE_AGENTS.md", "json")
    server = json.loads(config)["mcpServers"]["dataenv"]
    assert server["command"] == "dataenv"
    lines = re.findall(
        r"^dataenv .*", (DOCS / "OUTSIDE_AGENTS.md").read_text("utf-8"), re.MULTILINE
    )
    commands = [server["args"], *(shlex.split(line, comments=True)[1:] for line in lines)]
    assert len(commands) == 8
    for words in commands:
        parser().parse_args(words)
        for word in words:
            assert not word.startswith("{") or json.loads(word)["op"] in dataenv.OPERATIONS
