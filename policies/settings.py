"""Numbers of a controller that can be tuned: a frozen dataclass whose fields have ranges.

A learner sees a point of a real vector space, one coordinate a field, unbounded; 0 is the middle of the
range. So one search serves every such dataclass.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Generic, TypeVar

import numpy as np

from dataenv.config import from_mapping, require
from dataenv.errors import ConfigError

T = TypeVar("T")
EDGE = 0.01
"""How near to an end of its range, as a share of it, a value counts as inside."""
SWITCH = 1.0
"""Where a bool lies from the middle."""


def tuned(default: Any, low: float, high: float, *, log: bool = False, margin: float = 0.0) -> Any:
    """A field that can be tuned between two ends.

    Args:
        default: To start with.
        low, high: The ends. A whole number is rounded; a bool is whether the point is above the middle.
        log: Whether factors matter, not differences.
        margin: By how much of itself the range is drawn out at both ends for the search, where all that
            lies outside counts as the end: for ends that are choices of their own, as 0 is of a share.
    """
    metadata = {"low": low, "high": high, "log": log, "margin": margin}
    return field(default=default, metadata=metadata)


def switch(default: bool) -> Any:
    """A bool that can be tuned."""
    return tuned(default, 0.0, 1.0)


class Space(Generic[T]):
    """The vectors that stand for the settings of a dataclass.

    Args:
        cls: A frozen dataclass; fields that are not `tuned` keep their defaults.
    """

    def __init__(self, cls: type[T]) -> None:
        self.cls = cls
        self.fields = [f for f in dataclasses.fields(cls) if "low" in f.metadata]  # type: ignore[arg-type]
        self.hints = typing.get_type_hints(cls)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the fields, in the order of the coordinates."""
        return tuple(each.name for each in self.fields)

    def vector(self, settings: T) -> np.ndarray:
        """The point of settings, of shape (fields,); ends of ranges count as just inside."""
        return np.array([self._coordinate(f, getattr(settings, f.name)) for f in self.fields])

    def settings(self, vector: Sequence[float] | np.ndarray) -> T:
        """The settings at a point.

        Raises:
            ConfigError: It has the wrong number of coordinates.
        """
        require(len(vector) == len(self.fields), "vector", list(vector), f"{len(self.fields)} long")
        values = {
            each.name: self._value(each, float(x))
            for each, x in zip(self.fields, vector, strict=True)
        }
        return self.cls(**values)

    def read(self, plain: Mapping[str, Any]) -> T:
        """Settings of plain values, by name.

        Raises:
            UnknownNameError, ConfigError: A name is none of the fields', a value is out of its range.
        """
        settings = from_mapping(self.cls, plain)
        for each in self.fields:
            low, high, value = each.metadata["low"], each.metadata["high"], plain.get(each.name)
            if value is not None and not low <= value <= high:
                raise ConfigError(f"{each.name} must be in {low:g} to {high:g}, got {value!r}")
        return settings

    def _coordinate(self, each: dataclasses.Field, value: Any) -> float:
        if self.hints[each.name] is bool:
            return SWITCH if value else -SWITCH
        low, high = self._range(each)
        at = math.log(value) if each.metadata["log"] else value
        share = min(1 - EDGE, max(EDGE, (at - low) / (high - low)))
        return math.log(share / (1 - share))

    def _value(self, each: dataclasses.Field, x: float) -> Any:
        if self.hints[each.name] is bool:
            return x > 0
        low, high = self._range(each)
        value = low + (high - low) / (1 + math.exp(-min(30.0, max(-30.0, x))))
        value = math.exp(value) if each.metadata["log"] else value
        value = min(each.metadata["high"], max(each.metadata["low"], value))
        return round(value) if self.hints[each.name] is int else value

    def _range(self, each: dataclasses.Field) -> tuple[float, float]:
        """The ends of what is searched."""
        low, high = each.metadata["low"], each.metadata["high"]
        if each.metadata["log"]:
            low, high = math.log(low), math.log(high)
        more = each.metadata["margin"] * (high - low)
        more += (
            0.5 if self.hints[each.name] is int else 0.0
        )  # so that ends are as wide as the others
        return low - more, high + more
