"""Episodes held by name: closed when there are many, reopened when they go on, silent about faults."""

import pytest

from dataenv.errors import StoreFault
from dataenv.registry import env_config
from dataenv.runs import hosting
from dataenv.runs.hosting import Host, Mistake, told_error
from dataenv.runs.store import RunStore
from tests.conftest import SMALL


@pytest.fixture
def config(tiny_path):
    assignments = [f"{key}={value}" for key, value in SMALL.items()]
    return env_config("Science-fast-v0", assignments, student=str(tiny_path))


def test_episodes_that_rest_are_closed_and_go_on_when_they_are_used(config, tmp_path, monkeypatch):
    monkeypatch.setattr(hosting, "OPEN", 1)
    host = Host(tmp_path, "test")
    first, second = host.begin(config, 1), host.begin(config, 1)
    with RunStore(tmp_path / first):  # nobody else has it
        pass
    with pytest.raises(StoreFault, match="is being written by process"):
        RunStore(tmp_path / second)
    assert host.step(first, {"op": "generate", "brief": "easy", "n": 5}).step == 1
    assert host.use(second, lambda run: run.look()).step == 0
    assert host.step(first, {"op": "submit"}).outcome
    host.close()
    with RunStore(tmp_path / first), RunStore(tmp_path / second):
        pass


def test_a_failed_step_is_told_without_places_and_can_be_tried_again(config, tmp_path, capsys):
    host = Host(tmp_path, "test")
    name = host.begin(config, 1)
    host.release(name)
    with RunStore(tmp_path / name), pytest.raises(StoreFault) as caught:
        host.step(name, {"op": "dedup"})
    said = told_error(caught.value, name)
    assert str(tmp_path) not in said and "the environment failed (StoreFault)" in said
    assert str(tmp_path) in capsys.readouterr().err
    assert host.step(name, {"op": "dedup"}).step == 1
    host.close()


@pytest.mark.parametrize("name", ["", "..", "a/b", "science-1", None, 7])
def test_names_that_are_none_reach_nothing(name, tmp_path):
    with pytest.raises(Mistake, match="there is no episode"):
        Host(tmp_path, "test").use(name, lambda run: run.look())


@pytest.mark.parametrize("seed", [-1, 1.5, "3", True])
def test_seeds_that_are_none_are_refused(seed, config, tmp_path):
    with pytest.raises(Mistake, match="seed must be a whole number"):
        Host(tmp_path, "test").begin(config, seed)
