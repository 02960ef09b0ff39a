"""The account of teacher calls: reserved before they are sent, settled when it is known what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from dataenv.teachers.base import CallError, Completion

Reply = Completion | CallError


class Ledger(Protocol):
    """Who is charged for what. What becomes of a reserved call may stay unknown: it stays charged."""

    used: int
    """Calls charged."""

    def kept(self, key: str) -> Reply | None:
        """What came of a call that was paid for before, charged now; None if there is nothing."""
        ...

    def reserve(self, keys: Sequence[str], price: int) -> None:
        """Charges calls, before they are sent."""
        ...

    def settle(self, replies: Mapping[str, Reply], price: int) -> None:
        """Notes what came of reserved calls, by key, and gives back what was refused."""
        ...


class MemoryLedger:
    """An account that ends with its process."""

    def __init__(self) -> None:
        self.used = 0

    def kept(self, key: str) -> Reply | None:
        """None: no kill is survived."""
        return None

    def reserve(self, keys: Sequence[str], price: int) -> None:
        """Charges calls."""
        self.used += price * len(keys)

    def settle(self, replies: Mapping[str, Reply], price: int) -> None:
        """Gives back what was refused."""
        self.used -= price * sum(is_refund(reply) for reply in replies.values())


def is_refund(reply: Reply) -> bool:
    """Whether a call was refused before anything was written, so that it is not charged."""
    return isinstance(reply, CallError) and not reply.charged
