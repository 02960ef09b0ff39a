"""What was said in an episode: by the controller's language model or from outside, by the teacher and
the student.

A line of ``transcript.jsonl`` is one of

``run``         what the episode was started with
``exchange``    a question to the controller's model, and the reply
``call``        a teacher's reply, or error, with what it cost
``evaluation``  a student's answers
``step``        an action and what came of it
``end``         the result

It is written from the run's store when the episode is over, and is enough to replay it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dataenv.agent import Question, Reply
from dataenv.errors import ConfigError
from dataenv.runs.folder import TRANSCRIPT
from dataenv.runs.ledger import StoreLedger
from dataenv.runs.recorder import unpacked_scores
from dataenv.runs.store import Event, RunStore
from dataenv.teachers.base import CallError, Completion

STEP = ("step", "action", "reward", "set", "error")
"""What a line shows of a step."""


class StoreJournal:
    """A journal that survives its process.

    Args:
        store: Where it is kept.
        ledger: Knows which step is being done.
    """

    def __init__(self, store: RunStore, ledger: StoreLedger) -> None:
        self.store, self.ledger = store, ledger
        self._entries = {each.data["number"]: each.data for each in store.events("exchange")}

    def find(self, question: Question, key: str) -> Reply | None:
        """The reply that came before a kill."""
        entry = self._entries.get(question.number)
        return Reply(**entry["reply"]) if entry and entry["key"] == key else None

    def keep(self, question: Question, key: str, reply: Reply) -> None:
        """Takes a reply, in one commit."""
        entry = {
            "number": question.number,
            "step": self.ledger.step,
            "key": key,
            "messages": [list(each) for each in question.messages],
            "form": list(question.form),
            "reply": asdict(reply),
        }
        self.store.append("exchange", entry)
        self._entries[question.number] = entry

    def replies(self) -> list[Reply]:
        """All of them, in order."""
        return [Reply(**entry["reply"]) for _, entry in sorted(self._entries.items())]


@dataclass
class Transcript:
    """A transcript that was read.

    Args:
        source: The file.
        plan: What the episode was started with.
        exchanges: (key, reply) by the number of the question.
        calls: The teacher's lines by their key.
        evaluations: The student's lines, in order.
        steps: Lines of the steps, in order.
        result: Of the episode.
    """

    source: Path
    plan: dict[str, Any] = field(default_factory=dict)
    exchanges: dict[int, tuple[str, Reply]] = field(default_factory=dict)
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)

    def add(self, line: dict[str, Any]) -> None:
        """Takes a line.

        Raises:
            KeyError, TypeError, ValueError: It is none.
        """
        kind = line["kind"]
        if kind == "run":
            self.plan = line["plan"]
        elif kind == "exchange":
            self.exchanges[line["number"]] = (line["key"], Reply(**line["reply"]))
        elif kind == "call":
            self.calls[line["key"]] = line
        elif kind == "evaluation":
            self.evaluations.append(line)
        elif kind == "step":
            self.steps.append({name: line[name] for name in STEP})
        elif kind == "end":
            self.result = line["result"]
        else:
            raise ValueError(f"unknown kind {kind!r}")


def reply_of(line: dict[str, Any]) -> Completion | CallError:
    """The teacher's reply on a line."""
    made = Completion if line["reply"]["kind"] == "reply" else CallError
    return made(**line["reply"]["value"])


def read_transcript(path: Path) -> Transcript:
    """The transcript in a file, or in the folder of a run.

    Raises:
        ConfigError: There is none, or it is not whole.
    """
    file = path / TRANSCRIPT if path.is_dir() else path
    found = Transcript(file)
    try:
        content = file.read_bytes()
        text = gzip.decompress(content) if file.suffix == ".gz" else content
        lines = text.decode("utf-8").splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"there is no transcript to replay: cannot read {file}: {error}; finished runs of "
            "controllers that ask a language model, and those stepped from outside, have one"
        ) from error
    for number, line in enumerate(lines, 1):
        try:
            found.add(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{file}:{number}: not a line of a transcript: {error}") from error
    if not found.plan or not found.result:
        raise ConfigError(f"{file} is not whole: it lacks its first or last line")
    return found


def write_transcript(store: RunStore, path: Path) -> None:
    """Writes the transcript of a finished run."""
    with path.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in _lines(store))


def _lines(store: RunStore) -> Iterator[dict[str, Any]]:
    calls = _calls(store)
    exchanges = {each.data["number"]: each for each in store.events("exchange")}
    kinds = [*store.events("evaluation"), *store.events("step"), *exchanges.values()]
    before: list[list[str]] = []
    yield {"kind": "run", "plan": store.events("run")[-1].data}
    for event in sorted(kinds, key=lambda each: each.seq):
        if event.kind == "exchange":
            shared = _shared(before, event.data["messages"])
            before = event.data["messages"]
            said = {"shared": shared, "messages": before[shared:]}
            yield {"kind": "exchange", **event.data, **said}
        elif event.kind == "evaluation":
            yield {"kind": "evaluation", **_evaluation(store, event)}
        else:
            yield from calls.pop(event.data["step"], [])
            yield {"kind": "step", **_step(event)}
    yield {"kind": "end", "result": store.events("end")[-1].data["result"]}


def _shared(before: list[list[str]], now: list[list[str]]) -> int:
    """How many messages are those of the question before, which are not repeated."""
    places = range(min(len(before), len(now)))
    return next((place for place in places if before[place] != now[place]), len(places))


def _calls(store: RunStore) -> dict[int, list[dict[str, Any]]]:
    """Lines of settled calls by step; those whose outcome is unknown have no reply, but a cost."""
    with store.reading() as db:
        rows = db.execute("SELECT key, step, cost, reply FROM call ORDER BY rowid").fetchall()
    found: dict[int, list[dict[str, Any]]] = {}
    for key, step, cost, reply in rows:
        line = {"kind": "call", "key": key, "step": step, "cost": cost}
        found.setdefault(step, []).append({**line, "reply": json.loads(reply or "null")})
    return found


def _evaluation(store: RunStore, event: Event) -> dict[str, Any]:
    data = event.data
    if "scores" in data:
        return {"scores": unpacked_scores(store, data["scores"])}
    return {"answers": store.get(data["answers"])}


def _step(event: Event) -> dict[str, Any]:
    return step_line({name: event.data[name] for name in ("step", "action", "reward", "report")})


def step_line(record: dict[str, Any]) -> dict[str, Any]:
    """What a transcript keeps of the record of a step."""
    report = record["report"]
    shown = {"set": report["set"]["hash"], "error": report["error"]}
    return {name: record[name] for name in ("step", "action", "reward")} | shown
