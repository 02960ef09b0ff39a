"""How many requests are under way at once: fewer when the server says so.

Additive increase, multiplicative decrease, as TCP does it: a refusal for too many requests narrows
the gate, failures of the server only keep it from growing. After too many failures in a row nothing
more is sent.
"""

from __future__ import annotations

import asyncio
import time

NARROWING = 0.8
COOLDOWN_S = 15.0
"""For so long after trouble the gate does not grow, and does not narrow twice."""
FAILURES = 8
"""In a row, after which the server is taken to be down."""


class Gate:
    """Lets requests through.

    Args:
        width: Requests under way at most.
    """

    def __init__(self, width: int) -> None:
        self.widest, self.width = width, float(width)
        self.running = self.failures = 0
        self._resume_at = self._calm_at = 0.0
        self._changed = asyncio.Condition()

    @property
    def broken(self) -> bool:
        """Whether the server seems to be down."""
        return self.failures >= FAILURES

    async def enter(self, deadline: float) -> bool:
        """Waits for a place; False if there is none before the deadline, or nothing is sent any more."""
        async with self._changed:
            while True:
                now = time.monotonic()
                if self.broken or max(now, self._resume_at) >= deadline:
                    return False
                if self.running < max(1, int(self.width)) and now >= self._resume_at:
                    self.running += 1
                    return True
                wait = max(self._resume_at - now, 0.0) or deadline - now
                try:
                    await asyncio.wait_for(self._changed.wait(), wait)
                except TimeoutError:
                    continue

    async def leave(self, trouble: str = "", retry_after: float = 0.0) -> None:
        """Gives a place back.

        Args:
            trouble: Empty, ``rate_limit``, or a failure of the server's.
            retry_after: Seconds for which the server wants to hear nothing.
        """
        now = time.monotonic()
        async with self._changed:
            self.running -= 1
            if trouble == "rate_limit":
                if now >= self._calm_at:
                    self.width = max(1.0, self.width * NARROWING)
                self._resume_at = max(self._resume_at, now + retry_after)
            self.failures = self.failures + 1 if trouble and trouble != "rate_limit" else 0
            if trouble:
                self._calm_at = now + COOLDOWN_S
            elif now >= self._calm_at:
                self.width = min(self.widest, self.width + 1 / self.width)
            self._changed.notify_all()
