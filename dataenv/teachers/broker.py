"""The broker: every teacher call passes through it and is counted before it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from dataenv.errors import BudgetExhausted, TeacherUnavailable
from dataenv.hashing import digest
from dataenv.teachers.base import CallError, ChatRequest, Completion, Teacher


class Broker:
    """Meters a teacher for one episode.

    A completion is a call, whatever becomes of it; only calls refused before they were made are
    given back. Equal requests get different samples: the broker numbers them.

    Args:
        teacher: Who answers.
        limit: Calls of the episode.
        key: The episode's key, part of every call's key.
    """

    def __init__(self, teacher: Teacher, limit: int, key: str) -> None:
        self.teacher, self.limit, self.key = teacher, limit, key
        self.used = 0
        self.tokens = 0
        self._asked: dict[str, int] = {}

    @property
    def left(self) -> int:
        """Calls that can still be made."""
        return self.limit - self.used

    def require(self, calls: int) -> None:
        """Raises `BudgetExhausted` if fewer calls are left."""
        if calls > self.left:
            raise BudgetExhausted(
                f"this needs {calls} teacher calls, {self.left} are left.",
                "Ask for fewer, or train and submit what you have.",
            )

    def complete(self, requests: Sequence[ChatRequest]) -> list[Completion | CallError]:
        """Makes calls, one per request, and returns replies or errors in the same order.

        Raises:
            BudgetExhausted: Fewer calls are left than requests; nothing was sent.
            TeacherUnavailable: No request was answered for reasons of the teacher's.
        """
        self.require(len(requests))
        numbered = [self._numbered(request) for request in requests]
        self.used += len(numbered)
        results = self.teacher.complete(numbered)
        stamped = [
            dataclasses.replace(result, call=digest(self.key, request.key, size=8))
            for request, result in zip(numbered, results, strict=True)
        ]
        self.used -= sum(isinstance(r, CallError) and not r.charged for r in stamped)
        self.tokens += sum(r.completion_tokens for r in stamped if isinstance(r, Completion))
        if stamped and all(isinstance(r, CallError) and r.kind == "server" for r in stamped):
            raise TeacherUnavailable(f"{self.teacher.name}: {stamped[0].message}")  # type: ignore[union-attr]
        return stamped

    def _numbered(self, request: ChatRequest) -> ChatRequest:
        content = digest(request.messages, request.temperature, request.max_tokens, size=8)
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
