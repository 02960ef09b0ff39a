"""The README's example runs as it stands there."""

import re
from pathlib import Path

import dataenv

README = Path(dataenv.__file__).parents[1] / "README.md"


def test_the_readme_loop_runs(capsys):
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL).group(1)
    assert len(code.strip().splitlines()) <= 12
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:4]] == ["generate", "verify", "train", "submit"]


def test_every_place_in_the_tree_exists():
    for line in README.read_text().split("```")[-2].splitlines():
        name = line.split()[0] if line.strip() else ""
        roots = [README.parent, README.parent / "dataenv"]
        assert not name or any((root / name).exists() for root in roots), name
