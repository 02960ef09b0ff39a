"""The broker: every teacher call passes through it and is counted before it is made."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataenv.errors import BudgetExhausted, InvalidAction, TeacherUnavailable
from dataenv.hashing import digest
from dataenv.teachers.base import CallError, ChatRequest, Completion, Teacher
from dataenv.teachers.ledger import Ledger, MemoryLedger

TEACHER = "teacher"
"""The name of the teacher itself among those who may be asked."""


RETRIED = ("rate_limit", "timeout", "server", "malformed")
"""Kinds of errors after which a request is sent again."""
WRONG_REQUEST = ("HTTP 400", "HTTP 413", "HTTP 422")
"""How the messages of refusals begin that are about the request: it is too long, or not allowed."""


@dataclass(frozen=True)
class Patience:
    """How often and how long a request is tried; seconds.

    Args:
        attempts: Of one request, each of them charged unless it was refused.
        deadline_s: For all requests of one operation.
        first_s, longest_s: The pause before the second attempt, which doubles from then on, and its
            limit; the pause is drawn from zero to that.
    """

    attempts: int = 5
    deadline_s: float = 900.0
    first_s: float = 0.5
    longest_s: float = 30.0

    def pause(self, attempt: int, asked: float) -> float:
        """Seconds before the attempt after this one; at least what the server asked for."""
        if not self.first_s:
            return 0.0  # what is replayed keeps nobody waiting
        return max(asked, random.uniform(0, min(self.longest_s, self.first_s * 2**attempt)))

    def wait(self, attempt: int, errors: Iterable[CallError], ends: float) -> bool:
        """Pauses before the attempt after this one; False, at once, if there is none.

        Args:
            attempt: This one, from 0.
            errors: Of it.
            ends: When the deadline is, by `time.monotonic`.
        """
        pause = self.pause(attempt, max((each.retry_after for each in errors), default=0.0))
        if attempt + 1 == self.attempts or time.monotonic() + pause >= ends:
            return False
        time.sleep(pause)
        return True


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

    An attempt is a call, whatever becomes of it; only those refused before anything was written are
    given back. Equal requests get different samples: the broker numbers them. Threads may ask at once;
    what is left goes to whoever reserves it first.

    Args:
        teacher: Who answers.
        limit: Calls of the episode.
        key: The episode's key, part of every call's key.
        experts: Others who may be asked, by name.
        patience: How often a request is sent again that failed for reasons of the server's.

    `ledger` is the account that is charged; another may take its place before the first call.
    """

    def __init__(
        self,
        teacher: Teacher,
        limit: int,
        key: str,
        experts: Mapping[str, Expert] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.teacher, self.limit, self.key = teacher, limit, key
        self.experts = dict(experts or {})
        self.patience = patience or Patience()
        self.ledger: Ledger = MemoryLedger()
        self.tokens = 0
        self._asked: dict[str, int] = {}
        self._books = threading.RLock()

    @property
    def used(self) -> int:
        """Calls charged."""
        return self.ledger.used

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

    @contextlib.contextmanager
    def capped(self, calls: int) -> Iterator[None]:
        """For a while, no more calls than these."""
        limit = self.limit
        self.limit = min(limit, self.used + calls)
        try:
            yield
        finally:
            self.limit = limit

    def complete(
        self, requests: Sequence[ChatRequest], expert: str = TEACHER, strangers: bool = False
    ) -> list[Completion | CallError]:
        """Makes calls, one per request, and returns replies or errors in the same order.

        Args:
            requests: What is asked.
            expert: Whom.
            strangers: Whether the requests are not our own, so that a server may well find one wrong.

        Raises:
            InvalidAction: There is no such expert.
            BudgetExhausted: Fewer calls are left than requests; nothing was sent.
            TeacherUnavailable: No request was answered, for reasons that are not in the replies.
        """
        price = self.price(expert)
        with self._books:
            self.require(price * len(requests))
            numbered = [self._numbered(request, expert) for request in requests]
        teacher = self.teacher if expert == TEACHER else self.experts[expert].teacher
        keys = [digest(self.key, expert, request.key, size=8) for request in numbered]
        results = self._insist(teacher, numbered, keys, price)
        stamped = [
            dataclasses.replace(result, call=key) for key, result in zip(keys, results, strict=True)
        ]
        with self._books:
            self.tokens += sum(r.completion_tokens for r in stamped if isinstance(r, Completion))
        silent = [r for r in stamped if isinstance(r, CallError) and _is_silence(r, strangers)]
        if stamped and len(silent) == len(stamped):
            raise TeacherUnavailable(f"{teacher.name}: {silent[0].message}")
        return stamped

    def _insist(
        self, teacher: Teacher, requests: Sequence[ChatRequest], keys: Sequence[str], price: int
    ) -> list[Completion | CallError]:
        """Sends requests until all are answered, or patience, time or calls have run out."""
        ends = time.monotonic() + self.patience.deadline_s
        with self._books:
            paid = {place: self.ledger.kept(key) for place, key in enumerate(keys)}
        results: dict[int, Completion | CallError] = {p: r for p, r in paid.items() if r}
        waiting = [place for place in range(len(requests)) if place not in results]
        for attempt in range(self.patience.attempts if waiting else 0):
            with self._books:  # others may have asked meanwhile
                waiting = waiting[: self.left // price] if attempt else waiting
                self.require(price * len(waiting))
                self.ledger.reserve([keys[place] for place in waiting], price)
            replies = teacher.complete([requests[place] for place in waiting])
            settled = dict(zip([keys[place] for place in waiting], replies, strict=True))
            with self._books:
                self.ledger.settle(settled, price)
            results.update(zip(waiting, replies, strict=True))
            errors = {p: r for p in waiting if isinstance(r := results[p], CallError)}
            again = {place: error for place, error in errors.items() if error.kind in RETRIED}
            waiting = list(again)
            if (
                self.left < price
                or not waiting
                or not self.patience.wait(attempt, again.values(), ends)
            ):
                break
        return [results[place] for place in range(len(requests))]

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
        self.ledger.used, self.tokens = state["used"], state["tokens"]
        self._asked = dict(state["asked"])


def _is_silence(error: CallError, strangers: bool) -> bool:
    """Whether an error says that nobody answers, rather than something of the reply or request."""
    wrong = strangers and error.kind == "refused" and error.message.startswith(WRONG_REQUEST)
    return error.kind != "malformed" and not wrong
