"""The operation that runs a program of the controller's: it asks the teacher, and prints rows."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dataenv.acceptance import Accepted, accept, parted
from dataenv.attribution import Source
from dataenv.errors import InvalidAction, LimitReached, OutputLimit, TimeLimit
from dataenv.hashing import seed_of
from dataenv.operations.base import Effect, Result, Tools, arg
from dataenv.rows import WorkingSet
from dataenv.sandbox import Finished, run
from dataenv.sandbox.check import require_sandbox
from dataenv.teachers.base import ChatRequest, Completion
from dataenv.teachers.broker import TEACHER

UNCHANGED = "from workbench import emit, rows\nfor row in rows():\n    emit(row)\n"
"""A program that changes nothing."""
TEXT_LIMIT = 2_000
"""Characters of a message or of what was printed."""
PROMPT_LIMIT = 100_000
"""Characters of a prompt."""
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Program:
    """Run a Python program that asks the teacher through `workbench` and prints rows as JSON lines;
    if it ends normally, they become the set."""

    source: str = arg(
        "The program, with the standard library and the module workbench: task(), public(), "
        "seeds(), pool(), rows(), ask(prompts), calls_left(), parse(text), answer_of(text), emit(row).",
        max_length=48_000,
        sample=UNCHANGED,
    )
    calls: int = arg(
        "Teacher calls that it may spend; 0: all that a program may.",
        low=0,
        high=1_000_000,
        default=0,
    )


def program(op: Program, rows: WorkingSet, tools: Tools) -> Result:
    """What fails leaves the set as it was; its calls stay charged."""
    if tools.programs.isolated:
        require_sandbox()
    before, allowed = tools.broker.used, _allowed(op, tools)
    desk = _Desk(tools)
    with tools.broker.capped(allowed):
        done = run(
            op.source,
            _material(rows, tools, allowed),
            dataclasses.replace(tools.programs.limits, seconds=_seconds(tools)),
            desk.answer,
            seed=_seed(tools),
            isolated=tools.programs.isolated,
        )
    lines, talk = parted(done.output)
    failure, message = _verdict(done)
    found = Accepted(WorkingSet(), (), len(lines))
    if not failure:
        earlier = (*tools.evaluated, rows)
        found = accept(
            lines, desk.calls, earlier, tools.task, tools.overlap, tools.max_rows, tools.step
        )
        if len(found.rows) < tools.min_rows:
            failure, message = "insufficient_valid_samples", _shortage(found, tools.min_rows)
    new = rows if failure and failure != "insufficient_valid_samples" else found.rows
    shown = (
        ("failure", failure),
        ("message", message),
        ("printed", _tail(_clean(talk + done.errors))),
        ("valid", len(found.rows)),
        ("rejected", found.rejected),
        ("unaccounted", found.own),
    )
    return new, Effect(
        "program",
        added=len({row.id for row in new} - {row.id for row in rows}),
        dropped=(*found.dropped, *_left_out(rows, new)),
        calls=tools.broker.used - before,
        shown=shown,
        attempt=not failure,
    )


def _left_out(old: WorkingSet, new: WorkingSet) -> Iterator[tuple[str, str]]:
    handed_in = {row.id for row in new}
    return ((r.id, "not handed in by the program") for r in old if r.id not in handed_in)


def _shortage(found: Accepted, needed: int) -> str:
    """What a set that is too small lacks, and the commonest reasons."""
    counts = Counter(reason for _, reason in found.dropped).most_common(3)
    reasons = "; ".join(f"{count} x {reason}" for reason, count in counts)
    return f"{len(found.rows)} valid rows; {needed} are needed. {reasons}".strip()


def _allowed(op: Program, tools: Tools) -> int:
    caps = [cap for cap in (op.calls, tools.programs.calls) if cap]
    return max(0, min([tools.broker.left, *caps]))


def _seconds(tools: Tools) -> float:
    """Of the program, or until the episode's time is up."""
    return max(0.1, min(tools.programs.limits.seconds, tools.programs.seconds_left))


def _seed(tools: Tools) -> int:
    return seed_of("program", tools.key, tools.step)


def _verdict(done: Finished) -> tuple[str, str]:
    """The kind of failure and a message; empty if the program ended normally."""
    if done.refused:
        return "code_extraction_failed", _tail(_clean(done.refused))
    if done.stopped:
        message = f"{type(done.stopped).__name__}: {done.stopped}"
        return _failure_of(done.stopped), message
    if done.code:
        start = max(0, done.errors.rfind("Traceback (most recent call last)"))
        said = _tail(_clean(done.errors[start:]))
        return "runtime_error", said or f"it ended with exit code {done.code}"
    return "", ""


def _failure_of(limit: LimitReached) -> str:
    if isinstance(limit, TimeLimit):
        return "execution_timeout"
    return "output_truncated" if isinstance(limit, OutputLimit) else "other"


def _material(rows: WorkingSet, tools: Tools, allowed: int) -> dict[str, str]:
    """What a program is shown; of public items, no solutions."""
    task = tools.task
    asked = ("id", "instruction", "input", "topic")
    questions = [{name: getattr(item, name) for name in asked} for item in task.seeds]
    public = [
        {**{name: getattr(item, name) for name in asked}, "answer": item.gold}
        for item in task.public
    ]
    about = {
        "name": task.name,
        "description": task.description,
        "answer_format": task.answer_format,
        "topics": task.topics,
        "few_shot": [row.to_entry() for row in task.few_shot],
        "budgets": {
            "calls": allowed,
            "min_rows": tools.min_rows,
            "max_rows": tools.max_rows,
            "row_tokens": tools.max_tokens,
            **asdict(tools.programs.limits),
        },
        "prices": tools.broker.prices if allowed else {},
        "seed": _seed(tools),
    }
    return {
        "task.json": json.dumps(about),
        "public.jsonl": _lines(public),
        "seeds.jsonl": _lines(questions),
        "pool.jsonl": _lines({"id": row.id, **row.to_entry()} for row in task.pool),
        "rows.jsonl": _lines(
            {"id": row.id, **row.to_entry(), "checks": row.provenance.checks} for row in rows
        ),
    }


def _lines(entries: Any) -> str:
    return "".join(json.dumps(each) + "\n" for each in entries)


@dataclass
class _Desk:
    """Answers a program's messages, and remembers what the teacher was asked and said.

    Args:
        tools: With the broker, which alone counts.
    """

    tools: Tools
    calls: list[Source] = field(default_factory=list)

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to a message of `workbench`."""
        if "ask" not in message:
            return {"left": self.tools.broker.left}
        try:
            return {"replies": self._ask(message["ask"], message.get("by", TEACHER))}
        except InvalidAction as error:
            return {"error": str(error)}

    def _ask(self, prompts: Any, by: Any) -> list[str | None]:
        if not isinstance(prompts, list) or not isinstance(by, str):
            raise InvalidAction("ask takes a list of prompts and a name.")
        requests = [ChatRequest(_messages(each)) for each in prompts]
        affordable = self.tools.broker.left // self.tools.broker.price(by)
        sent = requests[:affordable]
        replies = self.tools.broker.complete(sent, by, strangers=True) if sent else []
        texts: list[str | None] = [None] * len(requests)
        for place, (request, reply) in enumerate(zip(sent, replies, strict=True)):
            if isinstance(reply, Completion):
                texts[place] = reply.text
                asked = "\n".join(content for _, content in request.messages)
                self.calls.append(Source(asked, reply.text, (reply.call,)))
        return texts


def _messages(prompt: Any) -> tuple[tuple[str, str], ...]:
    """The messages of a prompt.

    Raises:
        InvalidAction: It is none.
    """
    parts = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(parts, list) or not parts:
        raise InvalidAction("a prompt is a text, or a list of messages.")
    for part in parts:
        if not isinstance(part, dict) or part.get("role") not in ROLES:
            raise InvalidAction(f"a message has a role of {', '.join(ROLES)} and a content.")
        content = part.get("content")
        if not isinstance(content, str) or len(content) > PROMPT_LIMIT or _odd(content):
            raise InvalidAction(f"a content is plain text of at most {PROMPT_LIMIT} characters.")
    return tuple((part["role"], part["content"]) for part in parts)


def _odd(text: str) -> bool:
    return re.search("[\0\ud800-\udfff]", text) is not None


def _clean(text: str) -> str:
    """A text that does nothing to a terminal."""
    return "".join(
        c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def _tail(text: str) -> str:
    """The end of a text."""
    text = text.strip()
    return text if len(text) <= TEXT_LIMIT else f"... {text[-TEXT_LIMIT:]}"
