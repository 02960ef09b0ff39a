"""The action space: its samples are valid operations."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Sequence
from typing import Any

from gymnasium.spaces import Space

from dataenv.errors import InvalidAction
from dataenv.operations import OPERATIONS, parse_action

SAMPLE_AMOUNT = 32  # counts are sampled below this, so that a random controller lives a while
BRIEFS = ("easy problems", "typical problems", "hard problems", "problems of every kind")


class OperationSpace(Space[dict[str, Any]]):
    """Actions ``{"op": name, **arguments}``.

    Args:
        briefs: What sampled requests ask for; the environment puts the task's topics here.
        seed: Of the space's own random source.
    """

    def __init__(self, briefs: Sequence[str] = BRIEFS, seed: int | None = None) -> None:
        self.briefs = tuple(briefs)
        super().__init__(shape=None, dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """Operations have no fixed size."""
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> dict[str, Any]:
        """A valid operation, drawn uniformly by name.

        Args:
            mask: Names of the operations to draw from; None means all but ``program``, as there is
                no telling what a random program would be. Asked for, it is one that changes nothing.
            probability: Not supported.

        Raises:
            ValueError: `probability` is given, or the mask names no operation.
        """
        if probability is not None:
            raise ValueError("OperationSpace.sample takes no probability; give a mask of names")
        names = [
            name
            for name, entry in OPERATIONS.items()
            if (entry.sampled if mask is None else name in mask)
        ]
        if not names:
            raise ValueError(
                f"the mask {mask!r} names no operation; known: {', '.join(OPERATIONS)}"
            )
        name = names[int(self.np_random.integers(len(names)))]
        cls = OPERATIONS[name].arguments
        hints = typing.get_type_hints(cls)
        action: dict[str, Any] = {"op": name}
        for each in dataclasses.fields(cls):
            value = self._sample_field(hints[each.name], each)
            if value is not None:
                action[each.name] = value
        return action

    def _sample_field(self, hint: Any, each: dataclasses.Field) -> Any:
        meta = each.metadata
        if meta["sample"] is not None:
            return meta["sample"]
        optional = typing.get_origin(hint) in (types.UnionType, typing.Union)
        if optional or typing.get_origin(hint) is tuple:
            return None  # ids belong to an episode; the default is always valid
        if hint is str:
            choices = meta["choices"] or (self.briefs if each.name == "brief" else ("",))
            return str(choices[int(self.np_random.integers(len(choices)))])
        high = min(meta["high"], max(meta["low"], SAMPLE_AMOUNT))
        if hint is int:
            return int(self.np_random.integers(int(meta["low"]), int(high) + 1))
        return float(self.np_random.uniform(meta["low"], high))

    def contains(self, x: Any) -> bool:
        """Whether an action names an operation with arguments of the right kind and range."""
        try:
            parse_action(x, OPERATIONS)
        except InvalidAction:
            return False
        return True

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, OperationSpace)

    def __hash__(self) -> int:
        return hash(OperationSpace)

    def __repr__(self) -> str:
        return f"OperationSpace({', '.join(OPERATIONS)})"
