"""What may be shown to others of names and configurations: nothing that belongs to one machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from dataenv.config import EndpointConfig
from dataenv.presets import EnvConfig

_PATHS = ("domain", "student")
_MACHINE = ("tape", "tape_mode", "unsafe_no_sandbox")


def public_name(name: str) -> str:
    """A name without the place that it has on this machine."""
    path = Path(name)
    return path.name if path.is_absolute() or path.is_dir() else name


def public_config(config: EnvConfig) -> dict[str, Any]:
    """A configuration without paths, tapes and addresses."""
    plain = {name: value for name, value in asdict(config).items() if name not in _MACHINE}
    plain |= {name: public_name(plain[name]) for name in _PATHS}
    plain |= {name: _public_value(getattr(config, name), plain[name]) for name in plain}
    return {name: value for name, value in plain.items() if value is not None}


def _public_value(value: Any, plain: Any) -> Any:
    """Of an endpoint, what may shape its replies; None if it names no model."""
    if not isinstance(value, EndpointConfig):
        return plain
    asked = {"temperature": value.temperature, "max_tokens": value.max_tokens}
    return {"model": public_name(value.model), **asked} if value.model else None
