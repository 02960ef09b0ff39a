"""Configuration: frozen dataclasses whose field names are the keys of the YAML files.

An unknown key is an error. ``--set key=value`` overrides one field, with a dot for nested ones:
``--set training.epochs=2``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from dataenv.errors import ConfigError, UnknownNameError

T = TypeVar("T")
TAPE_MODES = ("cache", "record", "replay")
"""cache: only what is not on a tape is asked for; record: all is; replay: nothing is."""


def require(condition: bool, name: str, value: Any, wanted: str) -> None:
    """Raises `ConfigError` naming field, value and what would be right."""
    if not condition:
        raise ConfigError(f"{name} must be {wanted}, got {value!r}")


@dataclass(frozen=True)
class TrainingConfig:
    """How the student is fine-tuned."""

    backend: str = "lean"
    """``lean`` (the in-process loop) or ``trl`` (SFTTrainer with PEFT)."""
    epochs: int = 2
    """Passes over the rows."""
    learning_rate: float = 7e-4
    """Peak; falls to zero along a cosine."""
    warmup: float = 0.1
    """Share of the steps over which the rate rises."""
    batch_size: int = 8
    """Rows per optimiser step."""
    micro_batch: int = 0
    """Rows computed at a time, their gradients summed up; 0: the whole batch."""
    checkpointing: bool = False
    """Whether activations are computed twice to save memory."""
    processes: int = 1
    """Processes that share every batch, e.g. one per GPU; more than 1 needs the backend trl, and are
    launched by accelerate with its own default configuration."""
    weight_decay: float = 0.0
    """AdamW's."""
    gradient_clip: float = 1.0
    """Largest norm of a gradient."""
    lora_rank: int = 0
    """0 trains all weights."""
    lora_alpha: int = 16
    """Scale of the adapter, divided by its rank."""
    max_tokens: int = 256
    """Rows are cut off here."""

    def __post_init__(self) -> None:
        require(self.backend in ("lean", "trl"), "backend", self.backend, "'lean' or 'trl'")
        require(self.epochs >= 1, "epochs", self.epochs, "at least 1")
        require(0 < self.learning_rate < 1, "learning_rate", self.learning_rate, "in (0, 1)")
        require(0 <= self.warmup < 1, "warmup", self.warmup, "in [0, 1)")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        require(self.micro_batch >= 0, "micro_batch", self.micro_batch, "0 or more")
        require(self.processes >= 1, "processes", self.processes, "at least 1")
        require(
            self.processes == 1 or self.backend == "trl",
            "backend",
            self.backend,
            "'trl' for more than one process",
        )
        require(self.lora_rank >= 0, "lora_rank", self.lora_rank, "0 or more")
        require(self.max_tokens >= 8, "max_tokens", self.max_tokens, "at least 8")


@dataclass(frozen=True)
class DecodingConfig:
    """How the student is asked. Decoding is greedy."""

    max_new_tokens: int = 96
    """Longest answer."""
    batch_size: int = 256
    """Prompts decoded together; fewer if they are shared between threads."""

    def __post_init__(self) -> None:
        require(self.max_new_tokens >= 1, "max_new_tokens", self.max_new_tokens, "at least 1")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")


@dataclass(frozen=True)
class EndpointConfig:
    """Where a model is served, and how it is asked."""

    _where: ClassVar[str] = "endpoint"

    model: str = ""
    """The model's name there."""
    base_url: str = ""
    """E.g. http://127.0.0.1:8000/v1; empty: the client's default."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; servers of one's own need none."""
    concurrency: int = 16
    """Requests under way at most."""
    timeout_s: float = 120.0
    """For one attempt."""
    attempts: int = 5
    """For one request; each is charged unless it was refused."""
    deadline_s: float = 900.0
    """For all requests of one operation, with all their attempts."""
    max_tokens: int = 1024
    """Longest reply."""
    temperature: float = 0.7
    seeded: bool = True
    """Whether a seed is sent with every request, by which the samples of one request differ."""
    extra: dict[str, Any] = field(default_factory=dict)
    """More fields of the request's body, e.g. of a server's own."""

    def __post_init__(self) -> None:
        for name in ("concurrency", "attempts", "max_tokens"):
            value = getattr(self, name)
            require(value >= 1, f"{self._where}.{name}", value, "at least 1")
        for name in ("timeout_s", "deadline_s"):
            require(
                getattr(self, name) > 0, f"{self._where}.{name}", getattr(self, name), "above 0"
            )


ANSWER_FORMS = ("auto", "tools", "schema", "text")
"""How a language model names an operation: as a tool call; as JSON that the server constrains to a
schema; as JSON in its text. auto tries them in this order as the server takes them."""


@dataclass(frozen=True)
class AgentConfig(EndpointConfig):
    """The language model of a controller: where it is served, and how it is asked."""

    _where: ClassVar[str] = "agent"

    timeout_s: float = 600.0
    """For one attempt."""
    max_tokens: int = 8192
    """Longest reply."""
    context_chars: int = 60_000
    """Characters of a question at most, its tools included, however long the episode."""
    answers: str = "auto"
    """How operations are named: auto, tools, schema or text; see `ANSWER_FORMS`."""
    operations: tuple[str, ...] = ()
    """Operations that a tool-calling model is offered beside train and submit; none: all."""
    prompts: str = ""
    """A folder with prompts that replace those of the same name; empty: none."""
    omit: tuple[str, ...] = ()
    """Fields of the body that the server refuses: max_tokens, temperature."""
    tape: str = ""
    """A file that keeps the model's replies; empty: none."""
    tape_mode: str = "cache"
    """cache, record, or replay, which needs no server; see `dataenv.teachers.tape`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.context_chars >= 1000, "agent.context_chars", self.context_chars, "1000 or more"
        )
        require(
            self.answers in ANSWER_FORMS, "agent.answers", self.answers, ", ".join(ANSWER_FORMS)
        )
        require(
            self.tape_mode in TAPE_MODES, "agent.tape_mode", self.tape_mode, ", ".join(TAPE_MODES)
        )
        known = ("max_tokens", "temperature")
        for name in self.omit:
            require(name in known, "agent.omit", name, " or ".join(known))


@dataclass(frozen=True)
class ProgramLimits:
    """What one program may use; see ``docs/PROGRAMS.md``."""

    seconds: float = 600.0
    """Wall-clock."""
    memory_mb: int = 1024
    """Of all its processes together."""
    workspace_mb: int = 128
    """Of files in its folder; half as much in /tmp."""
    output_mb: int = 32
    """Of what it prints."""
    processes: int = 64
    """Processes and threads at a time."""

    def __post_init__(self) -> None:
        require(self.seconds > 0, "program.seconds", self.seconds, "above 0")
        require(self.processes >= 4, "program.processes", self.processes, "at least 4")
        for name, low in (("memory_mb", 64), ("workspace_mb", 2), ("output_mb", 1)):
            value = getattr(self, name)
            require(value >= low, f"program.{name}", value, f"at least {low}")


def from_mapping(cls: type[T], data: Mapping[str, Any], path: str = "") -> T:
    """Builds a config dataclass from plain values.

    Raises:
        UnknownNameError: A key is no field.
        ConfigError: A value has the wrong type or range.
    """
    hints = typing.get_type_hints(cls)
    names = [each.name for each in dataclasses.fields(cls)]  # type: ignore[arg-type]
    values = {}
    for key, value in data.items():
        if key not in names:
            raise UnknownNameError(
                f"unknown key {path + key!r} in the configuration{did_you_mean(key, names)}"
            )
        values[key] = _convert(hints[key], value, path + key)
    return cls(**values)


def _convert(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_mapping(hint, value, path + ".")  # type: ignore[arg-type]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        hint = next(each for each in typing.get_args(hint) if each is not type(None))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = typing.get_origin(hint) or hint
    if plain is tuple and isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(plain, type) and (
        not isinstance(value, plain) or (isinstance(value, bool) and plain is not bool)
    ):
        raise ConfigError(f"{path} must be {plain.__name__}, got {value!r}")
    return value


def override(config: T, assignments: Sequence[str], option: str = "--set") -> T:
    """Applies ``key=value`` assignments; values are read as YAML.

    Args:
        config: What is changed, in a copy.
        assignments: The changes.
        option: Where they are from, for messages.

    Raises:
        ConfigError: An assignment has no ``=``, or its value is wrong.
        UnknownNameError: A key is no field.
    """
    import yaml

    changes: dict[tuple[str, ...], Any] = {}
    for assignment in assignments:
        key, mark, text = assignment.partition("=")
        if not mark:
            raise ConfigError(f"{option} needs key=value, got {assignment!r}")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{option} {assignment!r}: the value is no YAML") from error
        if isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
            with contextlib.suppress(ValueError):
                value = float(value)
        changes[tuple(key.strip().split("."))] = value
    return _changed(config, changes)


def _changed(config: T, changes: Mapping[tuple[str, ...], Any], path: str = "") -> T:
    """A configuration with other values, by the names that lead to them; all at once, as some are
    right only together."""
    names = [each.name for each in dataclasses.fields(config)]  # type: ignore[arg-type]
    hints, fields = typing.get_type_hints(type(config)), dict[str, dict[tuple[str, ...], Any]]()
    for keys, value in changes.items():
        nested = dataclasses.is_dataclass(getattr(config, keys[0], None))
        if keys[0] not in names or (len(keys) > 1 and not nested):
            raise UnknownNameError(
                f"unknown key {path + '.'.join(keys)!r}{did_you_mean(keys[0], names)}"
            )
        fields.setdefault(keys[0], {})[keys[1:]] = value
    values: dict[str, Any] = {}
    for name, under in fields.items():
        value = getattr(config, name)
        if () in under:
            value = _convert(hints[name], under.pop(()), path + name)
        values[name] = _changed(value, under, f"{path}{name}.") if under else value
    return dataclasses.replace(config, **values)  # type: ignore[type-var]


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """`. Did you mean 'x'? Known: ...`, to end a message about an unknown name."""
    import difflib

    near = difflib.get_close_matches(str(name), names, n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    return f".{guess} Known: {', '.join(sorted(names))}"
