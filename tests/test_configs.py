"""Configuration files: those that ship load; a wrong one is refused with the way out."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import dataenv
from dataenv.errors import ConfigError, DataEnvError, UnknownNameError
from dataenv.presets import BENCHMARK_IDS, FAST, OFFLINE, PAPER
from dataenv.registry import config_from_file, env_config, make_policy

CONFIGS = Path(dataenv.__file__).parents[1] / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))
AGENTS = sorted((CONFIGS / "agents").glob("*.yaml"))
CASES = sorted((CONFIGS / "paper").glob("*-*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_file_loads(path):
    config, said = config_from_file(path), yaml.safe_load(path.read_text())
    assert config.domain in OFFLINE and config.public == said.get("public", FAST["public"])


@pytest.mark.parametrize("path", AGENTS, ids=[path.stem for path in AGENTS])
def test_every_file_of_an_agent_loads(path):
    policy = make_policy(str(path))
    assert policy.config.model == yaml.safe_load(path.read_text())["model"]


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_the_papers_cases_are_its_preset_with_servers_and_a_clock(path):
    config = config_from_file(path)
    same = {name: getattr(config, name) for name in PAPER if name != "seeds"}
    assert same == {name: value for name, value in PAPER.items() if name != "seeds"}
    assert config.seeds == {"scratch": 0, "seed": 1000}[path.stem.split("-")[1]]
    assert config.domain in BENCHMARK_IDS.values() and config.wall_clock_s == 12 * 3600
    assert (config.calls_per_program, config.program.seconds) == (5_000, 3 * 3600)
    assert (config.endpoint.model, config.endpoint.concurrency) == ("Qwen/Qwen3-30B-A3B", 80)
    assert config.student_endpoint.model == config.student and config.student_endpoint.base_url


def test_the_paper_has_three_tasks_with_and_without_seeds():
    assert len(CASES) == 6
    assert len({(config.domain, config.seeds) for config in map(config_from_file, CASES)}) == 6


def test_the_page_about_the_papers_setting_names_files_that_exist():
    page = (CONFIGS.parent / "docs" / "PAPER_SETTING.md").read_text()
    named = set(re.findall(r"(?:configs|docs|dataenv)/[\w/-]+\.\w+", page))
    assert len(named) >= 3 and all((CONFIGS.parent / name).exists() for name in named), named


def test_nested_fields_keep_what_the_file_does_not_name(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("task: Science-fast-v0\ntraining: {epochs: 2}\n")
    config = config_from_file(path, ["calls=9"], student="elsewhere")
    assert (config.training.epochs, config.calls, config.student) == (2, 9, "elsewhere")
    assert config.training.batch_size == config_from_file(path).training.batch_size


def test_nested_fields_keep_the_presets_too(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("task: SciBench-v0\ntraining: {epochs: 1}\n")
    assert config_from_file(path).training == replace(PAPER["training"], epochs=1)


def test_a_base_holds_where_the_file_is_silent(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "task: Science-fast-v0\ncalls: 7\ntrainings: 2\ntraining: {epochs: 5, lora_rank: 4}\n"
    )
    path = tmp_path / "some.yaml"
    path.write_text("base: base.yaml\ncalls: 9\ntraining: {epochs: 3}\n")
    config = config_from_file(path)
    assert (config.calls, config.trainings) == (9, 2)
    assert (config.training.epochs, config.training.lora_rank) == (3, 4)


@pytest.mark.parametrize(
    "base, message",
    [
        ("none.yaml", "there is no base .*none.yaml"),
        ("some.yaml", "has a base itself, 'some.yaml'"),
        ("deep.yaml", "has a base itself, 'common.yaml'"),
        ("[a, b]", "base must be the name of a file"),
        ("broken.yaml", "cannot read the configuration .*broken.yaml"),
    ],
)
def test_a_wrong_base_is_refused(tmp_path, base, message):
    (tmp_path / "deep.yaml").write_text("base: common.yaml\ntask: Science-fast-v0\n")
    (tmp_path / "broken.yaml").write_text("task: [unclosed")
    path = tmp_path / "some.yaml"
    path.write_text(f"base: {base}\ntask: Science-fast-v0\n")
    with pytest.raises(ConfigError, match=message):
        config_from_file(path)


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


def test_overrides_hold_together_in_any_order_and_wrong_names_are_named():
    for pair in (["max_rows=16", "min_rows=4"], ["min_rows=200", "max_rows=400"]):
        for changes in (pair, pair[::-1]):
            config = env_config("Science-fast-v0", changes)
            assert {f"max_rows={config.max_rows}", f"min_rows={config.min_rows}"} == set(pair)
    config = env_config("Science-fast-v0", ["training.learning_rate=0.5", "training.epochs=3"])
    assert (config.training.epochs, config.training.learning_rate) == (3, 0.5)
    with pytest.raises(ConfigError, match="max_rows must be at least min_rows"):
        env_config("Science-fast-v0", ["max_rows=4", "min_rows=16"])
    for wrong in ("calls.more=1", "training.epoch=1", "call=1"):
        with pytest.raises(UnknownNameError, match=f"unknown key '{wrong[:-2]}'"):
            env_config("Science-fast-v0", [wrong])
