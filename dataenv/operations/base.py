"""What an operation is: a frozen dataclass of typed, bounded arguments and a pure function.

The docstring of the dataclass is the description that tools and docs show; `arg` describes a field.
One table (`dataenv.operations.OPERATIONS`) feeds the action space, JSON schemas, the discrete menu
and the command line.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataenv.config import ProgramLimits, did_you_mean
from dataenv.contamination import OverlapIndex
from dataenv.errors import InvalidAction
from dataenv.evaluation import EvalReport, Evaluation
from dataenv.rows import Row, WorkingSet
from dataenv.tasks.base import Task
from dataenv.teachers.broker import Broker
from dataenv.topics import TopicModel

MAX_ACTION_CHARS = 200_000
DROPS_SHOWN = 20


def arg(
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    max_length: int = 500,
    max_items: int = 512,
    default: Any = dataclasses.MISSING,
    sample: Any = None,
) -> Any:
    """A field of an operation: what it means and what it may be; `sample`: what a sampled one is."""
    metadata = {
        "description": description,
        "low": low,
        "high": high,
        "choices": tuple(choices),
        "max_length": max_length,
        "max_items": max_items,
        "sample": sample,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Effect:
    """What an operation did.

    Args:
        operation: Its name.
        added: Rows that came in.
        dropped: (row id, reason) of every row that went, and of every draft that never came in.
        calls: Teacher calls charged.
        trains: Whether the set is to be trained on and evaluated now.
        submits: Whether the episode ends; `choice` then names an evaluation, or None for the best.
        choice: See `submits`.
        shown: What `inspect` shows, as (name, value) pairs.
        attempt: Whether an attempt at a valid set has succeeded; None: it was none.
    """

    operation: str
    added: int = 0
    dropped: tuple[tuple[str, str], ...] = ()
    calls: int = 0
    trains: bool = False
    submits: bool = False
    choice: int | None = None
    shown: tuple[tuple[str, Any], ...] = ()
    attempt: bool | None = None

    def to_pairs(self) -> tuple[tuple[str, Any], ...]:
        """Plain (name, value) pairs for a report; long lists are cut, counts are not."""
        reasons: dict[str, int] = {}
        for _, reason in self.dropped:
            reasons[reason] = reasons.get(reason, 0) + 1
        return (
            ("operation", self.operation),
            ("added", self.added),
            ("dropped", len(self.dropped)),
            ("reasons", tuple(sorted(reasons.items()))),
            ("dropped_rows", self.dropped[:DROPS_SHOWN]),
            ("calls", self.calls),
            *self.shown,
        )


@dataclass(frozen=True)
class Programs:
    """How programs are run.

    Args:
        limits: Of each.
        calls: That one may spend; 0: all that are left.
        seconds_left: Until the episode's time is up.
        isolated: Whether in the sandbox.
    """

    limits: ProgramLimits
    calls: int = 0
    seconds_left: float = math.inf
    isolated: bool = True


@dataclass(frozen=True)
class Tools:
    """What an operation may use besides the working set.

    Args:
        task: Public items and seeds; operations do not touch the hidden items.
        broker: The way to the teacher.
        topics: Tells which topic a row reads like.
        overlap: Finds rows that repeat public items.
        report: The newest report.
        newest: The newest student's answers to the public items.
        evaluated: The sets evaluated so far, oldest first.
        best: Index into `evaluated` of the best by public score, or None.
        row_losses: Loss of the newest student per row of a set; trains nothing.
        row_influences: How far a step on each row would take the newest student towards the public
            items; see `dataenv.students.base.Student.influences`.
        row_ifd: How little each question helps the newest student with its answer, as a ratio of losses.
        row_likeness: Cosine of each row and the public item nearest to it, in the newest student's
            hidden states.
        trainings_left: How often `train` is still possible.
        min_rows, max_rows: Bounds of a valid set.
        max_tokens: Rows longer than this are cut off in training.
        count_tokens: Tokens of a text, by the student's tokenizer.
        key: The episode's key.
        step: Number of the step.
        programs: How programs are run.
    """

    task: Task
    broker: Broker
    topics: TopicModel
    overlap: OverlapIndex
    report: EvalReport
    newest: Evaluation
    evaluated: tuple[WorkingSet, ...]
    best: int | None
    row_losses: Callable[[WorkingSet], list[float]]
    row_influences: Callable[[WorkingSet], list[float]]
    row_ifd: Callable[[WorkingSet], list[float]]
    row_likeness: Callable[[WorkingSet], list[float]]
    trainings_left: int
    min_rows: int
    max_rows: int
    max_tokens: int
    count_tokens: Callable[[str], int]
    key: str
    step: int
    programs: Programs


Result = tuple[WorkingSet, Effect]


def reads_like(topic: str, tools: Tools) -> Callable[[Row], bool]:
    """Tells whether a row reads like a topic of the report; any row does where the name is empty.

    Raises:
        InvalidAction: The task has no such topic.
    """
    if not topic:
        return lambda row: True
    if topic not in tools.task.topics:
        known = ", ".join(tools.task.topics)
        raise InvalidAction(f"there is no topic {topic[:60]!r}.", f"Topics: {known}.")
    return lambda row: tools.topics.topic_of(row.prompt) == topic


@dataclass(frozen=True)
class Operation:
    """An entry of the table.

    Args:
        name: As in ``{"op": name}``.
        arguments: The dataclass.
        run: ``run(arguments, working_set, tools) -> (working_set, effect)``.
        sampled: Whether the action space draws it without being asked for it by name.
    """

    name: str
    arguments: type
    run: Callable[[Any, WorkingSet, Tools], Result]
    sampled: bool = True

    @property
    def description(self) -> str:
        """The first paragraph of the dataclass's docstring, on one line."""
        return " ".join((self.arguments.__doc__ or "").split("\n\n")[0].split())

    def schema(self) -> dict[str, Any]:
        """JSON schema of the arguments, with ``additionalProperties`` off."""
        fields = dataclasses.fields(self.arguments)
        return {
            "type": "object",
            "properties": {each.name: _field_schema(self.arguments, each) for each in fields},
            "required": [f.name for f in fields if f.default is dataclasses.MISSING],
            "additionalProperties": False,
        }


def parse_action(action: Any, table: Mapping[str, Operation]) -> tuple[Operation, Any]:
    """Reads an action as an operation and its arguments.

    Raises:
        InvalidAction: Anything is wrong with it; says what and how to mend it.
    """
    if not isinstance(action, Mapping):
        raise InvalidAction(
            f"an action is a dict, got {type(action).__name__}.",
            'Write {"op": name, ...arguments}.',
        )
    name = action.get("op")
    if not isinstance(name, str) or name not in table:
        shown = repr(name)[:60]
        raise InvalidAction(f"unknown operation {shown}{did_you_mean(str(name)[:60], list(table))}")
    operation = table[name]
    fields = {each.name: each for each in dataclasses.fields(operation.arguments)}
    unknown = [key for key in action if key != "op" and key not in fields]
    if unknown:
        key = str(unknown[0])[:60]
        raise InvalidAction(f"{name} has no argument {key!r}{did_you_mean(key, list(fields))}")
    missing = [
        each.name
        for each in fields.values()
        if each.default is dataclasses.MISSING and each.name not in action
    ]
    if missing:
        hint = fields[missing[0]].metadata["description"]
        raise InvalidAction(f"{name} needs the argument {missing[0]!r}.", f"It is: {hint}")
    hints = typing.get_type_hints(operation.arguments)
    values = {
        key: _check(f"{name}.{key}", value, hints[key], fields[key].metadata)
        for key, value in action.items()
        if key != "op"
    }
    return operation, operation.arguments(**values)


def _check(path: str, value: Any, hint: Any, bounds: Mapping[str, Any]) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        hint = next(each for each in typing.get_args(hint) if each is not type(None))
    if typing.get_origin(hint) is tuple:
        return _check_list(path, value, bounds)
    if hint is str:
        return _check_text(path, value, bounds)
    return _check_number(path, value, hint, bounds)


def _check_list(path: str, value: Any, bounds: Mapping[str, Any]) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise InvalidAction(f"{path} must be a list of ids, got {_shown(value)}.")
    if len(value) > bounds["max_items"]:
        raise InvalidAction(f"{path} holds {len(value)} ids.", f"At most {bounds['max_items']}.")
    return tuple(value)


def _check_text(path: str, value: Any, bounds: Mapping[str, Any]) -> str:
    if not isinstance(value, str):
        raise InvalidAction(f"{path} must be text, got {_shown(value)}.")
    if bounds["choices"] and value not in bounds["choices"]:
        known = ", ".join(bounds["choices"])
        raise InvalidAction(f"{path} is {_shown(value)}.", f"Choose one of: {known}.")
    if len(value) > bounds["max_length"]:
        raise InvalidAction(
            f"{path} has {len(value)} characters.", f"At most {bounds['max_length']}."
        )
    if any((ord(c) < 32 and c not in "\n\t") or 0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise InvalidAction(f"{path} holds control characters.", "Send plain text.")
    return value


def _check_number(path: str, value: Any, hint: type, bounds: Mapping[str, Any]) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()  # a numpy scalar
    wanted = "a whole number" if hint is int else "a number"
    if isinstance(value, bool) or not isinstance(value, int if hint is int else int | float):
        raise InvalidAction(f"{path} must be {wanted}, got {_shown(value)}.")
    if not math.isfinite(value) or not bounds["low"] <= value <= bounds["high"]:
        raise InvalidAction(
            f"{path} is {_shown(value)}.", f"It must be {bounds['low']} to {bounds['high']}."
        )
    return hint(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _field_schema(cls: type, each: dataclasses.Field) -> dict[str, Any]:
    hint = typing.get_type_hints(cls)[each.name]
    meta = each.metadata
    schema: dict[str, Any] = {"description": meta["description"]}
    optional = typing.get_origin(hint) in (types.UnionType, typing.Union)
    if optional:
        hint = next(h for h in typing.get_args(hint) if h is not type(None))
    if typing.get_origin(hint) is tuple:
        schema |= {"type": "array", "items": {"type": "string"}, "maxItems": meta["max_items"]}
    elif hint is str:
        schema |= {"type": "string"}
        schema |= (
            {"enum": list(meta["choices"])}
            if meta["choices"]
            else {"maxLength": meta["max_length"]}
        )
    else:
        kind = "integer" if hint is int else "number"
        schema |= {"type": kind, "minimum": meta["low"], "maximum": meta["high"]}
    if optional:
        schema["type"] = [schema["type"], "null"]
    if each.default is not dataclasses.MISSING:
        default = each.default
        schema["default"] = list(default) if isinstance(default, tuple) else default
    return schema
