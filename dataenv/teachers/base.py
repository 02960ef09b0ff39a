"""The teacher protocol: chat requests in, one completion or error per request out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dataenv.hashing import digest


@dataclass(frozen=True)
class ChatRequest:
    """One completion to be asked for.

    Args:
        messages: (role, content) pairs.
        temperature: 0 is greedy.
        max_tokens: The reply's limit.
        sample_index: Distinguishes repeated samples of one request.
    """

    messages: tuple[tuple[str, str], ...]
    temperature: float = 0.7
    max_tokens: int = 512
    sample_index: int = 0

    @property
    def key(self) -> str:
        """A hash of the whole request."""
        return digest(self.messages, self.temperature, self.max_tokens, self.sample_index)


@dataclass(frozen=True)
class Completion:
    """A reply. `call` is the key under which the broker counted it."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    call: str = ""


@dataclass(frozen=True)
class CallError:
    """A request that yielded nothing.

    Args:
        kind: ``timeout``, ``rate_limit``, ``server``, ``refused``, ``budget`` or ``malformed``.
        message: For people.
        charged: Whether the call counts as made.
        call: As in `Completion`.
        retry_after: Seconds after which the server wants to be asked again, if it says.
    """

    kind: str
    message: str
    charged: bool
    call: str = ""
    retry_after: float = 0.0


class Teacher(Protocol):
    """A fixed model that writes data."""

    name: str

    def complete(self, requests: Sequence[ChatRequest]) -> list[Completion | CallError]:
        """Answers every request, in order; never raises for a single one."""
        ...
