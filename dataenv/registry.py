"""Finding environments and controllers by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataenv.config import did_you_mean, from_mapping, override
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
    return override(from_mapping(EnvConfig, {**PRESETS[name], **fields}), assignments)


def config_from_file(
    path: Path,
    assignments: tuple[str, ...] | list[str] = (),
    defaults: Mapping[str, Any] | None = None,
    **fields: Any,
) -> EnvConfig:
    """The configuration of a YAML file: ``task``, a registered id, and fields that differ from it.

    Args:
        path: The file.
        assignments: ``key=value`` overrides, applied last.
        defaults: Fields for which the file may have others.
        fields: Override those of the file.

    Raises:
        ConfigError: The file cannot be read, is no mapping, or has a wrong value.
        UnknownNameError: It has an unknown key, or names an unknown task.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("task"), str):
        raise ConfigError(f"{path} must be a mapping with a task, e.g. dataenv/Science-fast-v0")
    return env_config(content.pop("task"), assignments, **{**(defaults or {}), **content, **fields})


def policy_table() -> dict[str, Any]:
    """All controllers that come with the package, by name."""
    from dataenv.baselines import BASELINES
    from dataenv.policies import POLICIES

    return {**POLICIES, **BASELINES}


def make_policy(name: str) -> Any:
    """A controller by name, or from a file: ``path/to/file.py:ClassName``.

    Raises:
        UnknownNameError: There is no such controller.
        ConfigError: The file or the class in it cannot be used.
    """
    if ":" in name:
        return _from_file(*name.rsplit(":", 1))
    table = policy_table()
    if name not in table:
        raise UnknownNameError(f"unknown policy {name!r}{did_you_mean(name, list(table))}")
    return table[name]()


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
    policy = made()
    missing = [each for each in ("begin", "act") if not callable(getattr(policy, each, None))]
    if missing:
        raise ConfigError(
            f"{attribute} in {path} lacks the method {missing[0]!r}; see dataenv.Policy"
        )
    if not hasattr(policy, "name"):
        policy.name = attribute
    return policy
