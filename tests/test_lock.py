"""The worlds are the ones that results were made in."""

import json

import lock_worlds
import pytest

from dataenv.lock import describe_worlds, locked, name_of_worlds


def test_the_worlds_are_the_locked_ones():
    now = json.loads(json.dumps(describe_worlds()))
    assert now == locked(), (
        "a world has changed: see `python scripts/lock_worlds.py --check`, raise "
        "dataenv.lock.VERSION and run `python scripts/lock_worlds.py`"
    )


def test_a_changed_knob_changes_the_hash(monkeypatch):
    from dataenv.tasks.procedural import targets

    before = describe_worlds()
    monkeypatch.setattr(targets, "SPECIAL_SHARE", 0.4)
    after = describe_worlds()
    assert after["digest"] != before["digest"]
    assert after["domains"]["code"]["problems"] == before["domains"]["code"]["problems"]
    assert name_of_worlds().startswith(f"{before['version']}-")


def test_a_student_may_be_added_to_a_locked_world_and_nothing_changed(tmp_path, monkeypatch):
    path = tmp_path / "worlds.lock"
    old = {**locked(), "students": {}}
    path.write_text(json.dumps(old))
    monkeypatch.setattr("sys.argv", ["lock_worlds"])
    monkeypatch.setattr(lock_worlds, "LOCK", path)
    lock_worlds.main()
    assert json.loads(path.read_text()) == locked()
    path.write_text(json.dumps({**old, "students": {"nano-a": "other"}}))
    with pytest.raises(SystemExit, match="this world is locked already"):
        lock_worlds.main()
