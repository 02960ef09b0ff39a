"""Data engineering as a decision problem: curating training data as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

__version__ = "0.1.0"

_EXPORTS = {
    "Agent": "dataenv.agent",
    "AgentConfig": "dataenv.config",
    "DataEnv": "dataenv.env",
    "EnvConfig": "dataenv.presets",
    "LanguageModel": "dataenv.agent",
    "OPERATIONS": "dataenv.operations",
    "Policy": "dataenv.policy",
    "env_config": "dataenv.registry",
    "make_policy": "dataenv.registry",
    "run_episode": "dataenv.policy",
    "tool_schemas": "dataenv.operations",
    "DiscreteOperations": "dataenv.wrappers",
    "LogSteps": "dataenv.wrappers",
    "SharedCache": "dataenv.shared_cache",
    "StepLog": "dataenv.runs.steps",
    "TextIO": "dataenv.wrappers",
    "TrackEpisodes": "dataenv.wrappers",
}


def __getattr__(name: str) -> Any:
    """Heavy parts are imported when they are first asked for."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'dataenv' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_EXPORTS[name]), name)


def _register() -> None:
    from dataenv.presets import PRESETS

    for name, fields in PRESETS.items():
        if name not in gym.registry:
            gym.register(name, entry_point="dataenv.env:DataEnv", kwargs=fields)


_register()
