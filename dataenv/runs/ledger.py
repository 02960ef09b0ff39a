"""The account of teacher calls on disk: nobody is asked before it is written that they will be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from dataenv.errors import BudgetExhausted
from dataenv.runs.files import reach
from dataenv.runs.store import RunStore
from dataenv.teachers.base import Completion
from dataenv.teachers.ledger import Reply, is_refund

RESERVE = """INSERT INTO call VALUES (:key, :step, 'reserved', :price, :price, 1, NULL)
    ON CONFLICT (key) DO UPDATE SET state = 'reserved', price = :price, cost = cost + :price,
    attempts = attempts + 1"""
SETTLE = (
    "UPDATE call SET state = ?, cost = cost - ?, reply = ? WHERE key = ? AND state = 'reserved'"
)


class StoreLedger:
    """An account that survives its process.

    A call whose outcome a kill has made unknown stays charged. A reply that had come is kept for the
    step that is redone, and counts as used when that step asks for it again; what it does not ask
    for is charged when the step is over.

    Args:
        store: Where it is kept.
        limit: Calls that may be charged.
        step: What is being done: 0 until the episode has begun, then the number of the step.
    """

    def __init__(self, store: RunStore, limit: int, step: int) -> None:
        self.store, self.limit, self.step = store, limit, step
        with store.reading() as db:
            rows = db.execute(
                "SELECT key, cost, reply FROM call WHERE state = 'settled' AND step = ?", (step,)
            ).fetchall()
        replies = [(key, cost, json.loads(reply)) for key, cost, reply in rows]
        self._kept = {
            key: (cost, Completion(**reply["value"]))
            for key, cost, reply in replies
            if reply["kind"] == "reply"
        }
        self.used = self.charged - sum(cost for cost, _ in self._kept.values())

    @property
    def charged(self) -> int:
        """All that is charged, kept replies included."""
        with self.store.reading() as db:
            return db.execute("SELECT COALESCE(SUM(cost), 0) FROM call").fetchone()[0]

    def kept(self, key: str) -> Completion | None:
        """The reply of a call of this step that was paid for before a kill."""
        cost, reply = self._kept.pop(key, (0, None))
        self.used += cost
        return reply

    def reserve(self, keys: Sequence[str], price: int) -> None:
        """Charges calls, in one commit.

        Raises:
            BudgetExhausted: The limit does not allow it.
            StoreFault: It could not be written; nothing is charged.
        """
        calls = [{"key": key, "step": self.step, "price": price} for key in keys]
        with self.store.transaction() as db:
            (charged,) = db.execute("SELECT COALESCE(SUM(cost), 0) FROM call").fetchone()
            if charged + price * len(keys) > self.limit:
                raise BudgetExhausted(
                    f"this needs {price * len(keys)} teacher calls, {self.limit - charged} are left.",
                    "Ask for fewer, or train and submit what you have.",
                )
            db.executemany(RESERVE, calls)
        self.used += price * len(keys)
        reach("after_reserve")

    def settle(self, replies: Mapping[str, Reply], price: int) -> None:
        """Notes what came, in one commit.

        Raises:
            StoreFault: It could not be written; the calls stay charged.
        """
        reach("before_settle")
        rows = []
        for key, reply in replies.items():
            kind = "reply" if isinstance(reply, Completion) else "error"
            text = json.dumps({"kind": kind, "value": asdict(reply)})
            refund = is_refund(reply)
            rows.append(("refunded" if refund else "settled", price * refund, text, key))
        with self.store.transaction() as db:
            db.executemany(SETTLE, rows)
        self.used -= sum(refund for _, refund, _, _ in rows)
        reach("after_settle")

    def void_open(self) -> None:
        """Gives open calls back: of a teacher that died with the process, which nobody else counts."""
        with self.store.transaction() as db:
            db.execute(
                "UPDATE call SET state = 'refunded', cost = cost - price WHERE state = 'reserved'"
            )
        self.used = self.charged - sum(cost for cost, _ in self._kept.values())

    def end_step(self) -> None:
        """The next step begins; replies that were kept for this one are charged."""
        self.step += 1
        self.used += sum(cost for cost, _ in self._kept.values())
        self._kept = {}
