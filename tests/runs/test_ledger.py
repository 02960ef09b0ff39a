"""The ledger against a plain model: whatever is done, killed or reopened, the books are the same."""

import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dataenv.endpoint import EndpointConfig
from dataenv.errors import BudgetExhausted
from dataenv.runs.ledger import StoreLedger
from dataenv.runs.store import RunStore
from dataenv.teachers.base import CallError, ChatRequest, Completion
from dataenv.teachers.broker import Broker, Patience
from dataenv.teachers.ledger import MemoryLedger
from dataenv.teachers.openai import OpenAITeacher

LIMIT = 30
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # thousands of syncs


def reply_of(kind, key):
    if kind == "reply":
        return Completion(f"reply to {key}", 1, 2)
    return CallError("server", "no", charged=kind == "charged")


class Books(RuleBasedStateMachine):
    """A store and its ledger, and what should be in them as plain values."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=MEMORY))
        self.crashes, self.numbers = 0, 0
        self.calls = {}  # key: [state, cost, step, kept reply]
        self.kept = set()
        self.events, self.artifacts, self.step, self.announced = [], [], 0, None
        self.open()

    def open(self):
        self.store = RunStore(self.root / f"life{self.crashes}")
        self.ledger = StoreLedger(self.store, LIMIT, self.step)
        here = [key for key, (state, _, step, _) in self.calls.items() if step == self.step]
        self.kept = {key for key in here if self.calls[key][3]}

    def committed(self):
        if self.announced:
            self.events.append(("act", self.announced))
        self.announced = None

    def charged(self):
        return sum(cost for _, cost, _, _ in self.calls.values())

    @rule(count=st.integers(1, 5), price=st.sampled_from([1, 1, 3]), again=st.booleans())
    def reserve(self, count, price, again):
        failed = [
            k for k, (state, _, step, kept) in self.calls.items() if step == self.step and not kept
        ]
        keys = failed[:count] if again else [f"call{self.numbers + n}" for n in range(count)]
        self.numbers += count
        if self.charged() + price * len(keys) > LIMIT:
            with pytest.raises(BudgetExhausted, match=f"{LIMIT - self.charged()} are left"):
                self.ledger.reserve(keys, price)
            return
        self.ledger.reserve(keys, price)
        for key in keys:
            before = self.calls.get(key, [0, 0, 0, 0])[1]
            self.calls[key] = [price, before + price, self.step, None]
        self.committed()

    @rule(kinds=st.lists(st.sampled_from(["reply", "charged", "refused"]), min_size=1, max_size=5))
    def settle(self, kinds):
        open_calls = [k for k, call in self.calls.items() if call[0] and call[2] == self.step]
        for price in (1, 3):
            keys = [key for key in open_calls if self.calls[key][0] == price][: len(kinds)]
            replies = {k: reply_of(kind, k) for k, kind in zip(keys, kinds, strict=False)}
            self.ledger.settle(replies, price)
            self.committed()
            for (key, reply), kind in zip(replies.items(), kinds, strict=False):
                cost = self.calls[key][1] - price * (kind == "refused")
                kept = reply if kind == "reply" else None
                self.calls[key] = [0, cost, self.step, kept]

    @rule(data=st.data())
    @precondition(lambda self: self.kept)
    def ask_again(self, data):
        key = data.draw(st.sampled_from(sorted(self.kept)))
        assert self.ledger.kept(key) == self.calls[key][3]
        assert self.ledger.kept(key) is None
        self.kept.remove(key)

    @rule(op=st.sampled_from(["train", "verify"]))
    def choose(self, op):
        self.store.announce("act", op)
        self.announced = op

    @rule(number=st.integers(0, 9))
    def train(self, number):
        name = self.store.put(["rows", number])
        self.store.append("evaluation", name)
        self.committed()
        self.events.append(("evaluation", name))
        self.artifacts.append((name, ["rows", number]))

    @rule()
    def end_step(self):
        self.store.forget_announced()
        self.store.append("step", self.step)
        self.ledger.end_step()
        self.announced, self.kept = None, set()
        self.events.append(("step", self.step))
        self.step += 1

    @rule(torn=st.booleans())
    def crash(self, torn):
        """What a kill leaves are the files as they are, perhaps with half a commit."""
        self.store.put("not taken in")
        if torn:
            with pytest.raises(KeyboardInterrupt), self.store.transaction() as db:
                db.execute("INSERT INTO call VALUES ('torn', 0, 'reserved', 9, 9, 1, NULL)")
                raise KeyboardInterrupt
        old = self.store
        self.crashes += 1
        shutil.copytree(old.folder, self.root / f"life{self.crashes}")
        old.close()
        shutil.rmtree(old.folder)
        self.announced = None
        self.open()

    @rule()
    def reopen(self):
        self.store.close()
        self.announced = None
        self.open()

    @invariant()
    def the_books_are_the_same(self):
        waiting = sum(self.calls[key][1] for key in self.kept)
        assert self.ledger.charged == self.charged() <= LIMIT
        assert self.ledger.used == self.charged() - waiting
        found = [e for kind in ("act", "evaluation", "step") for e in self.store.events(kind)]
        found.sort(key=lambda event: event.seq)
        assert [(event.kind, event.data) for event in found] == self.events
        assert all(self.store.get(name) == value for name, value in self.artifacts)

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.root)


class ManyBooks(Books):
    """The same for longer."""


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "stateful_step_count": 20}
TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=200, **COMMON)
TestManyBooks = pytest.mark.slow(ManyBooks.TestCase)
TestManyBooks.settings = settings(max_examples=2000, **COMMON)


class Numbering:
    """Fails the first attempt of every other request, and counts."""

    name = "numbering"

    def __init__(self):
        self.asked = 0

    def complete(self, requests):
        self.asked += len(requests)
        first = self.asked == len(requests)
        return [
            CallError("server", "no", n % 4 == 1)
            if first and n % 2
            else Completion(r.messages[0][1])
            for n, r in enumerate(requests)
        ]


@pytest.mark.parametrize("durable", [False, True])
def test_a_broker_charges_the_same_to_either_ledger(durable, tmp_path):
    requests = [ChatRequest((("user", f"question {n // 2}"),)) for n in range(8)]
    broker = Broker(Numbering(), 20, "e", patience=Patience(3, 30, 0.0))
    with RunStore(tmp_path) as store:
        if durable:
            broker.ledger = StoreLedger(store, 20, 0)
        replies = broker.complete(requests)
        assert [reply.text for reply in replies] == [r.messages[0][1] for r in requests]
        assert len({reply.call for reply in replies}) == 8
        assert (broker.teacher.asked, broker.used, broker.left) == (12, 10, 10)
        with pytest.raises(BudgetExhausted, match="needs 11 teacher calls, 10 are left"):
            broker.complete([requests[0]] * 11)


def test_a_step_that_is_redone_asks_only_for_what_had_not_come(tmp_path):
    requests = [ChatRequest((("user", f"question {n}"),)) for n in range(6)]

    def asked_again(count):
        with RunStore(tmp_path) as store:
            broker = Broker(Numbering(), 20, "e", patience=Patience(1))
            broker.ledger = StoreLedger(store, 20, 0)
            replies = broker.complete(requests[:count])
            return broker.teacher.asked, broker.used, replies

    assert asked_again(4)[:2] == (4, 3)  # one error is charged, one is not
    asked, used, replies = asked_again(6)
    assert (asked, used) == (4, 6)
    assert [isinstance(reply, Completion) for reply in replies] == [1, 1, 1, 0, 1, 0]


def test_only_a_teacher_that_died_with_the_process_gets_open_calls_back(tmp_path):
    with RunStore(tmp_path) as store:
        ledger = StoreLedger(store, 20, 0)
        ledger.reserve(["a", "b"], 3)
        ledger.settle({"a": Completion("there")}, 3)
    with RunStore(tmp_path) as store:
        ledger = StoreLedger(store, 20, 0)
        assert (ledger.charged, ledger.used) == (6, 3)  # the reply that had come is kept
        ledger.void_open()
        assert (ledger.charged, ledger.used) == (3, 0)
        assert ledger.kept("a") == Completion("there") and ledger.used == 3


class SlowLedger(MemoryLedger):
    """Leaves others time to reserve the same calls, if nothing keeps them from it."""

    def reserve(self, keys, price):
        time.sleep(0.01)
        super().reserve(keys, price)


@pytest.mark.parametrize("durable", [False, True])
def test_one_call_left_is_one_call_sent_however_many_ask_at_once(
    durable, tmp_path, procedural_server
):
    where = EndpointConfig(model="any", base_url=procedural_server.url, concurrency=1)
    broker = Broker(OpenAITeacher(where), 5, "e", patience=Patience(3, 30, 0.0))
    with RunStore(tmp_path) as store:
        broker.ledger = StoreLedger(store, 5, 0) if durable else SlowLedger()
        broker.complete([ChatRequest((("user", f"before {n}"),)) for n in range(4)])
        assert broker.left == 1 and procedural_server.completions == 4
        barrier = threading.Barrier(32)

        def ask(number):
            barrier.wait()
            try:
                return broker.complete([ChatRequest((("user", f"question {number}"),))])
            except BudgetExhausted as refused:
                return str(refused)

        with ThreadPoolExecutor(32) as threads:
            found = list(threads.map(ask, range(32)))
        refused = [each for each in found if isinstance(each, str)]
        assert len(refused) == 31 and all("0 are left" in each for each in refused)
        assert procedural_server.completions == 5 and (broker.used, broker.left) == (5, 0)
