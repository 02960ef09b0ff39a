"""The worlds are the ones that results were made in."""

import json

import pytest

from dataenv.errors import ConfigError
from dataenv.lock import describe_worlds, locked, name_of_worlds, relocked


@pytest.fixture(scope="module")
def now():
    return json.loads(json.dumps(describe_worlds()))


def test_the_worlds_are_the_locked_ones(now):
    assert relocked(locked(), now) == locked(), "run `python scripts/lock_worlds.py`"
    assert name_of_worlds() == f"{now['version']}-{locked()['digest'][:12]}"


def test_a_changed_knob_is_refused_by_name_until_the_version_is_raised(now, monkeypatch):
    from dataenv.tasks.procedural import targets

    monkeypatch.setattr(targets, "SPECIAL_SHARE", 0.4)
    changed = json.loads(json.dumps(describe_worlds()))
    assert changed["domains"]["code"]["problems"] == now["domains"]["code"]["problems"]
    with pytest.raises(ConfigError, match=r"/domains/code/targets: .* raise dataenv"):
        relocked(locked(), changed)
    newer = relocked(locked(), {**changed, "version": now["version"] + 1})
    assert newer["digest"] != locked()["digest"]


def test_what_is_added_leaves_the_name_as_it_is_and_what_is_gone_does_not(now):
    added = {**now, "students": {**now["students"], "nano-z": "f00"}}
    assert relocked(locked(), added) == {**added, "digest": locked()["digest"]}
    with pytest.raises(ConfigError, match="/students/nano-z: 'f00' -> None"):
        relocked({**added, "digest": "d"}, now)
