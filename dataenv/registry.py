"""Finding environments and controllers by name."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataenv.config import AgentConfig, did_you_mean, from_mapping, override
from dataenv.errors import ConfigError, UnknownNameError
from dataenv.presets import PRESETS, EnvConfig
from dataenv.world import folder_fields


def env_config(
    task: str, assignments: tuple[str, ...] | list[str] = (), **fields: Any
) -> EnvConfig:
    """The configuration of a registered id or a task folder, with ``key=value`` overrides.

    Raises:
        UnknownNameError: There is no such id or key.
        ConfigError: A value is wrong, or something in the folder.
    """
    if Path(task).is_dir():
        return override(from_mapping(EnvConfig, {**folder_fields(task), **fields}), assignments)
    name = task if task.startswith("dataenv/") else f"dataenv/{task}"
    if name not in PRESETS:
        raise UnknownNameError(
            f"{task!r} is neither a folder nor a known task{did_you_mean(name, list(PRESETS))}"
        )
    return override(from_mapping(EnvConfig, _over(PRESETS[name], fields)), assignments)


def config_from_file(
    path: Path,
    assignments: tuple[str, ...] | list[str] = (),
    defaults: Mapping[str, Any] | None = None,
    **fields: Any,
) -> EnvConfig:
    """The configuration of a YAML file: ``task``, a registered id, and fields that differ from it.

    ``base`` names a file beside it whose keys hold where this one is silent.

    Args:
        path: The file.
        assignments: ``key=value`` overrides, applied last.
        defaults: Fields for which the file may have others.
        fields: Override those of the file.

    Raises:
        ConfigError: The file or its base cannot be read, it is no mapping, or has a wrong value.
        UnknownNameError: It has an unknown key, or names an unknown task.
    """
    content = read_yaml(path)
    if "base" in content:
        content = _over(_base_of(path, content.pop("base")), content)
    if not isinstance(content.get("task"), str):
        raise ConfigError(f"{path} must be a mapping with a task, e.g. dataenv/Science-fast-v0")
    return env_config(content.pop("task"), assignments, **{**(defaults or {}), **content, **fields})


def config_of(
    task: str,
    assignments: tuple[str, ...] | list[str] = (),
    defaults: Mapping[str, Any] | None = None,
    **fields: Any,
) -> EnvConfig:
    """The configuration of a YAML file, a registered id or a task folder; see `config_from_file`.

    Raises:
        ConfigError, UnknownNameError: As there.
    """
    if task.endswith((".yaml", ".yml")):
        return config_from_file(Path(task), assignments, defaults, **fields)
    return env_config(task, assignments, **{**(defaults or {}), **fields})


def read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {error}") from error
    return content if isinstance(content, dict) else {}


def _base_of(path: Path, name: Any) -> dict[str, Any]:
    """The content of the file that another one is based on."""
    if not isinstance(name, str):
        raise ConfigError(f"{path}: base must be the name of a file beside it, got {name!r}")
    base = path.parent / name
    if not base.is_file():
        raise ConfigError(f"{path}: there is no base {base}; name a file relative to this one")
    content = read_yaml(base)
    if "base" in content:
        raise ConfigError(
            f"{path}: its base {base} has a base itself, {content['base']!r}; only one level is read"
        )
    return content


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Fields over others; of nested ones, those that are not named stay."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and dataclasses.is_dataclass(under):
            under = dataclasses.asdict(under)  # type: ignore[arg-type]
        nested = isinstance(value, Mapping) and isinstance(under, Mapping)
        merged[key] = _over(under, value) if nested else value  # type: ignore[arg-type]
    return merged


def policy_table() -> dict[str, Any]:
    """The controllers that come with the package and need nothing else, by name."""
    from dataenv.baselines import BASELINES
    from dataenv.policies import POLICIES

    return {**POLICIES, **BASELINES}


def agent_table() -> dict[str, Any]:
    """Those that ask a language model, by name."""
    from dataenv.policies import AGENTS

    return dict(AGENTS)


def learner_table() -> dict[str, Any]:
    """What learns to curate, by name."""
    from dataenv.policies.learners import LEARNERS

    return dict(LEARNERS)


def make_learner(name: str, settings: Mapping[str, Any] | None = None, seed: int = 0) -> Any:
    """A learner by name; see `dataenv.runs.learning.Learner`.

    Args:
        name: Of the table.
        settings: Its own; by name.
        seed: Of its chance.

    Raises:
        UnknownNameError, ConfigError: There is no such learner, or a setting of it is wrong.
    """
    table = learner_table()
    if name not in table:
        raise UnknownNameError(f"unknown learner {name!r}{did_you_mean(name, list(table))}")
    return table[name](settings or {}, seed)


def make_policy(
    name: str, assignments: Sequence[str] = (), agent: AgentConfig | None = None
) -> Any:
    """A controller by name; from a file, ``path/to/file.py:ClassName``; that was learned, by the JSON
    file that `dataenv train` has written; or as a YAML file says, which has the keys ``policy``, one of
    the former, and those of `AgentConfig`.

    Args:
        name: Of the controller.
        assignments: ``key=value`` overrides of the language model that it asks.
        agent: The language model, instead of what a YAML file says.

    Raises:
        UnknownNameError: There is no such controller.
        ConfigError: The file or the class in it cannot be used, or it asks no language model.
    """
    if name.endswith(".json"):
        return learned_policy(Path(name))
    if name.endswith((".yaml", ".yml")):
        name, own = _agent_file(Path(name))
        agent = agent or own

    from dataenv.agent import Agent

    made = _named(name)
    if not (isinstance(made, type) and issubclass(made, Agent)):
        if assignments or agent:
            raise ConfigError(f"the policy {name!r} asks no language model; leave out --agent")
        policy = made()
    else:
        policy = made(override(agent or AgentConfig(), assignments, "--agent"))
        policy.made_by = name
    missing = [each for each in ("begin", "act") if not callable(getattr(policy, each, None))]
    if missing:
        raise ConfigError(f"{name} lacks the method {missing[0]!r}; see dataenv.Policy")
    if not hasattr(policy, "name"):
        policy.name = name.rsplit(":", 1)[-1]
    return policy


def learned_policy(path: Path) -> Any:
    """The controller of a file that a learner has written; its key ``policy`` says of which kind.

    Raises:
        ConfigError: It cannot be read, or is no such file.
    """
    from dataenv.policies.learners import LEARNED

    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the learned policy {path}: {error}") from error
    kind = content.get("policy") if isinstance(content, dict) else None
    if kind not in LEARNED:
        raise ConfigError(
            f"{path} holds no learned policy: its policy is {kind!r}{did_you_mean(str(kind), list(LEARNED))}"
        )
    return LEARNED[kind](content)


def _agent_file(path: Path) -> tuple[str, AgentConfig | None]:
    """The name of the policy in a YAML file, and its language model, if it names one."""
    content = read_yaml(path)
    name = content.pop("policy", None)
    if not isinstance(name, str) or name.endswith((".yaml", ".yml")):
        raise ConfigError(f"{path} must be a mapping with a policy, e.g. tool_agent; got {name!r}")
    return name, from_mapping(AgentConfig, content) if content else None


def _named(name: str) -> Any:
    """The class of a controller, or what else makes one."""
    if ":" in name:
        return _from_file(*name.rsplit(":", 1))
    table = {**policy_table(), **agent_table()}
    if name not in table:
        raise UnknownNameError(f"unknown policy {name!r}{did_you_mean(name, list(table))}")
    return table[name]


def _from_file(path: str, attribute: str) -> Any:
    if not Path(path).is_file():
        raise ConfigError(f"there is no file {path!r}; write --policy path/to/file.py:ClassName")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = getattr(module, attribute, None)
    if made is None:
        raise ConfigError(f"{path} defines no {attribute!r}")
    return made
