"""The broker: every teacher call passes through it and is counted before it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataenv.errors import BudgetExhausted, InvalidAction, TeacherUnavailable
from dataenv.hashing import digest
from dataenv.teachers.base import CallError, ChatRequest, Completion, Teacher

TEACHER = "teacher"
"""The name of the teacher itself among those who may be asked."""


@dataclass(frozen=True)
class Expert:
    """Somebody else to ask, who is dear: a second teacher, or a check by execution.

    Args:
        teacher: Who answers.
        price: Calls that a completion costs.
    """

    teacher: Teacher
    price: int


class Broker:
    """Meters a teacher for one episode.

    A completion is a call, whatever becomes of it; only calls refused before they were made are
    given back. Equal requests get different samples: the broker numbers them.

    Args:
        teacher: Who answers.
        limit: Calls of the episode.
        key: The episode's key, part of every call's key.
        experts: Others who may be asked, by name.
    """

    def __init__(
        self,
        teacher: Teacher,
        limit: int,
        key: str,
        experts: Mapping[str, Expert] | None = None,
    ) -> None:
        self.teacher, self.limit, self.key = teacher, limit, key
        self.experts = dict(experts or {})
        self.used = 0
        self.tokens = 0
        self._asked: dict[str, int] = {}

    @property
    def left(self) -> int:
        """Calls that can still be made."""
        return self.limit - self.used

    @property
    def prices(self) -> dict[str, int]:
        """Calls that a completion costs, by who is asked."""
        return {TEACHER: 1, **{name: each.price for name, each in self.experts.items()}}

    def require(self, calls: int) -> None:
        """Raises `BudgetExhausted` if fewer calls are left."""
        if calls > self.left:
            raise BudgetExhausted(
                f"this needs {calls} teacher calls, {self.left} are left.",
                "Ask for fewer, or train and submit what you have.",
            )

    def price(self, expert: str = TEACHER) -> int:
        """Calls that a completion costs: 1 of the teacher's, more of an expert's.

        Raises:
            InvalidAction: There is no such expert.
        """
        if expert not in self.prices:
            known = ", ".join(self.prices)
            raise InvalidAction(f"this task has no {expert!r} to ask.", f"It has: {known}.")
        return self.prices[expert]

    def complete(
        self, requests: Sequence[ChatRequest], expert: str = TEACHER
    ) -> list[Completion | CallError]:
        """Makes calls, one per request, and returns replies or errors in the same order.

        Args:
            requests: What is asked.
            expert: Whom.

        Raises:
            InvalidAction: There is no such expert.
            BudgetExhausted: Fewer calls are left than requests; nothing was sent.
            TeacherUnavailable: No request was answered for reasons of the teacher's.
        """
        price = self.price(expert)
        self.require(price * len(requests))
        numbered = [self._numbered(request, expert) for request in requests]
        self.used += price * len(numbered)
        teacher = self.teacher if expert == TEACHER else self.experts[expert].teacher
        results = teacher.complete(numbered)
        stamped = [
            dataclasses.replace(result, call=digest(self.key, expert, request.key, size=8))
            for request, result in zip(numbered, results, strict=True)
        ]
        self.used -= price * sum(isinstance(r, CallError) and not r.charged for r in stamped)
        self.tokens += sum(r.completion_tokens for r in stamped if isinstance(r, Completion))
        if stamped and all(isinstance(r, CallError) and r.kind == "server" for r in stamped):
            raise TeacherUnavailable(f"{teacher.name}: {stamped[0].message}")  # type: ignore[union-attr]
        return stamped

    def _numbered(self, request: ChatRequest, expert: str) -> ChatRequest:
        content = digest(expert, request.messages, request.temperature, request.max_tokens, size=8)
        index = self._asked.get(content, 0)
        self._asked[content] = index + 1
        return dataclasses.replace(request, sample_index=index)

    def state(self) -> dict[str, Any]:
        """Counts so far, as plain values."""
        return {"used": self.used, "tokens": self.tokens, "asked": dict(self._asked)}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.used, self.tokens = state["used"], state["tokens"]
        self._asked = dict(state["asked"])
