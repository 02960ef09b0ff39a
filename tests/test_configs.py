"""Configuration files: those that ship load; a wrong one is refused with the way out."""

from pathlib import Path

import pytest

import dataenv
from dataenv.errors import ConfigError, DataEnvError
from dataenv.presets import FAST
from dataenv.registry import config_from_file

FILES = sorted((Path(dataenv.__file__).parents[1] / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_file_loads(path):
    assert config_from_file(path).public == FAST["public"]


def test_nested_fields_keep_what_the_file_does_not_name(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("task: Science-fast-v0\ntraining: {epochs: 2}\n")
    config = config_from_file(path, ["calls=9"], student="elsewhere")
    assert (config.training.epochs, config.calls, config.student) == (2, 9, "elsewhere")
    assert config.training.batch_size == config_from_file(path).training.batch_size


@pytest.mark.parametrize(
    "text, message",
    [
        ("- a list", "must be a mapping with a task"),
        ("calls: 5", "must be a mapping with a task"),
        ("task: Science-fast-v0\ncals: 5", "unknown key 'cals'.*Did you mean 'calls'"),
        ("task: Science-fast-v0\ntraining: {epoch: 5}", "unknown key 'training.epoch'"),
        ("task: Science-fast-v0\ncalls: many", "calls must be"),
        ("task: Sience-fast-v0", "Did you mean 'dataenv/Science-fast-v0'"),
        ("task: [unclosed", "cannot read"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, message):
    path = tmp_path / "some.yaml"
    path.write_text(text)
    with pytest.raises(DataEnvError, match=message):
        config_from_file(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        config_from_file(tmp_path / "none.yaml")
