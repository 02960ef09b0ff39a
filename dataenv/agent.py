"""Controllers that ask a language model: how it is asked, and what is kept of it.

Every reply is kept in a journal under the number of the question. A run that goes on after a kill asks
the same questions again and finds their replies there; so does a replay, which finds them all.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dataenv.config import AgentConfig, from_mapping, require
from dataenv.errors import AgentUnavailable, CacheMiss
from dataenv.hashing import digest
from dataenv.naming import public_name
from dataenv.policy import Briefing, Remembers
from dataenv.prompts import Prompts
from dataenv.teachers.base import CallError
from dataenv.teachers.broker import RETRIED, Patience

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from dataenv.endpoint import Endpoint

Messages = Sequence[tuple[str, str]]
"""(role, content) pairs."""
ABOUT_FORM = ("HTTP 400", "HTTP 422")
"""How the refusals begin that another form of the question may avoid."""


@dataclass(frozen=True)
class Reply:
    """What a language model said.

    Args:
        text: Its words.
        tool, arguments: The first tool that it called, if any, with arguments as it wrote them.
        cut: Whether the limit of tokens cut it off.
        refused: Why the server did not take the question in this form; empty if it did.
        prompt_tokens, completion_tokens: As the server counts them.
        attempts: How often it was asked.
    """

    text: str = ""
    tool: str = ""
    arguments: str = ""
    cut: bool = False
    refused: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    attempts: int = 1


@dataclass(frozen=True)
class Question:
    """What a language model is asked.

    Args:
        messages: (role, content) pairs.
        form: More fields of the request's body: tools, or a response format.
        number: How many were asked before it in the episode; equal questions differ in it.
    """

    messages: tuple[tuple[str, str], ...]
    form: Mapping[str, Any]
    number: int

    @property
    def sample_index(self) -> int:
        """As a tape calls the number."""
        return self.number

    @property
    def key(self) -> str:
        """A hash of all of it."""
        return digest(self.messages, self.form, self.number)


class Journal(Protocol):
    """Where the replies of an episode are kept."""

    def find(self, question: Question, key: str) -> Reply | None:
        """The reply that a question has had already."""
        ...

    def keep(self, question: Question, key: str, reply: Reply) -> None:
        """Takes a reply, which is safe on return."""
        ...

    def replies(self) -> list[Reply]:
        """All that were given in the episode."""
        ...


class MemoryJournal:
    """A journal that ends with its process."""

    def __init__(self) -> None:
        self.entries: dict[int, tuple[str, Reply]] = {}

    def find(self, question: Question, key: str) -> Reply | None:
        """The reply to the question of this number, if it is the same question."""
        known, reply = self.entries.get(question.number, ("", None))
        return reply if known == key else None

    def keep(self, question: Question, key: str, reply: Reply) -> None:
        """Takes a reply."""
        self.entries[question.number] = (key, reply)

    def replies(self) -> list[Reply]:
        """All of them, in order."""
        return [reply for _, (_, reply) in sorted(self.entries.items())]


class Recorded(MemoryJournal):
    """A journal to be replayed: it has every reply, or says which one is missing.

    Args:
        entries: (key, reply) by the number of the question.
        source: Where they are from, for messages.
    """

    def __init__(self, entries: Mapping[int, tuple[str, Reply]], source: str) -> None:
        super().__init__()
        self.source = source
        self._recorded = entries

    def find(self, question: Question, key: str) -> Reply:
        """The recorded reply.

        Raises:
            CacheMiss: There is none to this question.
        """
        known, reply = self._recorded.get(question.number, ("", None))
        if reply is None or known != key:
            text = question.messages[-1][1]
            asked = "another question there" if reply else "no question of that number"
            raise CacheMiss(
                f"{self.source} has no reply to question {question.number + 1}, {text[:120]!r} "
                f"({len(text)} characters): it has {asked}; record the episode anew"
            )
        self.keep(question, key, reply)
        return reply


class LanguageModel:
    """A served language model, asked one question at a time.

    Args:
        config: Where it is and how it is asked.

    `journal` keeps what it says; another may take its place before the first question.
    """

    def __init__(self, config: AgentConfig) -> None:
        self.config, self.name = config, config.model
        self.journal: Journal = MemoryJournal()
        self.asked = 0

    def check(self) -> None:
        """Finds out whether it could be asked, and asks nothing.

        Raises:
            ConfigError: No model is named, or a key or the tape to replay is missing.
        """
        _ = self._source

    def begin(self) -> None:
        """Forgets the last episode."""
        self.asked = 0
        if isinstance(self.journal, MemoryJournal):
            self.journal.entries.clear()

    def ask(
        self, messages: Messages, form: Mapping[str, Any] | None = None, optional: bool = False
    ) -> Reply:
        """The reply to a question.

        Args:
            messages: (role, content) pairs.
            form: More fields of the request's body.
            optional: A refusal of the form is a reply too, with `refused` set.

        Raises:
            AgentUnavailable: There was no reply, after all retries, or it was refused.
            CacheMiss: A replay has none.
        """
        question = Question(tuple(messages), form or {}, self.asked)
        key = digest(self._settings, question.key)
        reply = self.journal.find(question, key)
        if reply is None:
            reply = self._insist(question, optional)
            self.journal.keep(question, key, reply)
        self.asked += 1
        return reply

    def usage(self) -> dict[str, Any]:
        """What the episode has cost so far: replies, attempts and tokens."""
        replies = self.journal.replies()
        counted = ("attempts", "prompt_tokens", "completion_tokens")
        sums = {name: sum(getattr(each, name) for each in replies) for name in counted}
        return {"model": self.name, "replies": len(replies), **sums}

    # -- inside ---------------------------------------------------------------------------------

    @cached_property
    def _settings(self) -> list[Any]:
        """All else that replies depend on."""
        asked = asdict(self.config)
        names = ("model", "base_url", "max_tokens", "temperature", "seeded", "extra", "omit")
        return [asked[name] for name in names]

    @cached_property
    def _source(self) -> Any:
        from dataenv.teachers.tape import Tape

        config = self.config
        served = _Served(config)
        if not config.tape:
            return served
        return Tape(served, Path(config.tape), config.tape_mode, self._settings, Reply)  # type: ignore[arg-type]

    def _insist(self, question: Question, optional: bool) -> Reply:
        config = self.config
        first = 0.0 if config.tape_mode == "replay" else Patience.first_s
        patience = Patience(config.attempts, config.deadline_s, first)
        ends = time.monotonic() + patience.deadline_s
        for attempt in range(patience.attempts):
            (result,) = self._source.complete([question])
            if isinstance(result, Reply):
                return dataclasses.replace(result, attempts=attempt + 1)
            if optional and result.message.startswith(ABOUT_FORM):
                return Reply(refused=result.message, attempts=attempt + 1)
            if result.kind not in RETRIED or not patience.wait(attempt, [result], ends):
                break
        raise AgentUnavailable(f"the agent's model {self.name!r}: {result.message}")


class _Served:
    """Sends questions to the endpoint of a configuration."""

    def __init__(self, config: AgentConfig) -> None:
        from dataenv.endpoint import Endpoint

        self.config, self.name = config, config.model
        keyless = bool(config.tape) and config.tape_mode == "replay"
        self._endpoint: Endpoint = Endpoint(config, "agent", keyless)

    def complete(self, questions: Sequence[Question]) -> list[Reply | CallError]:
        """Sends every question once."""
        return self._endpoint.ask(self._send, questions)

    async def _send(self, client: AsyncOpenAI, question: Question) -> Reply:
        config = self.config
        body: dict[str, Any] = {
            "max_tokens": config.max_tokens,
            "temperature": config.temperature,
            "seed": int(question.key[:7], 16),
        }
        left_out = {*config.omit, *(() if config.seeded else ("seed",))}
        messages: Any = [{"role": role, "content": text} for role, text in question.messages]
        reply = await client.chat.completions.create(
            model=config.model,
            messages=messages,
            **{name: value for name, value in body.items() if name not in left_out},
            **question.form,
            extra_body=config.extra or None,
        )
        choice, used = reply.choices[0], reply.usage
        calls = [each.function for each in choice.message.tool_calls or () if each.function]  # type: ignore[union-attr]
        return Reply(
            text=choice.message.content or "",
            tool=calls[0].name if calls else "",
            arguments=calls[0].arguments if calls else "",
            cut=choice.finish_reason == "length",
            prompt_tokens=used.prompt_tokens if used else 0,
            completion_tokens=used.completion_tokens if used else 0,
        )


class Agent(Remembers):
    """A policy that asks a language model, and goes on after a kill.

    A subclass names what it remembers in `remembered` and the package of its prompts in `package`.

    Args:
        config: Of the model.

    Raises:
        ConfigError: The folder of prompts cannot be used.
    """

    name = "agent"
    made_by: str
    """The name that `make_policy` made it of."""
    package = "dataenv.policies"

    def __init__(self, config: AgentConfig | None = None) -> None:
        self.config = config or AgentConfig()
        self.model = LanguageModel(self.config)
        self.prompts = Prompts(self.package, self.config.prompts)
        self.made_by = self.name
        if self.config.model:  # so that what different models achieve is not taken for the same
            self.name = f"{self.name}({public_name(self.config.model)})"

    def settings(self) -> dict[str, Any]:
        """What decides how it plays, beside its name: a run goes on with the same only."""
        return {"agent": asdict(self.config), "prompts": self.prompts.digest}

    def begin(self, briefing: Briefing) -> None:
        """Forgets the last episode."""
        self.briefing = briefing
        self.model.begin()

    def state_dict(self) -> dict[str, Any]:
        """What it remembers, and how many questions it has asked."""
        return {**super().state_dict(), "asked": self.model.asked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        super().load_state_dict(state)
        self.model.asked = state["asked"]

    def fill(self, name: str, room: int, gaps: Mapping[str, str]) -> str:
        """A prompt of at most `room` characters: long gaps give way, the longest first.

        Raises:
            ConfigError: The prompt does not fit even with empty gaps.
        """
        bare = self.prompts.fill(name, **dict.fromkeys(gaps, ""))
        require(
            len(bare) < room,
            "agent.context_chars",
            self.config.context_chars,
            f"larger: the prompt {name!r} takes {len(bare)} characters before anything is filled in",
        )
        return self.prompts.fill(name, **fitted(gaps, room - len(bare)))


def fitted(texts: Mapping[str, str], room: int) -> dict[str, str]:
    """Texts that take `room` characters together: short ones stay whole, long ones share what is left."""
    left, whole = room, dict[str, str]()
    waiting = sorted(texts, key=lambda name: len(texts[name]))
    for place, name in enumerate(waiting):
        share = left // (len(waiting) - place)
        whole[name] = shortened(texts[name], share)
        left -= len(whole[name])
    return {name: whole[name] for name in texts}


def shortened(text: str, limit: int) -> str:
    """A text of at most `limit` characters, with its middle left out if it has more."""
    if len(text) <= limit:
        return text
    mark = f"\n[{len(text) - limit} characters left out]\n"
    kept = limit - len(mark) - 2  # the mark's number may yet grow by what it takes itself
    if kept < 2:
        return text[:limit]
    mark = f"\n[{len(text) - kept} characters left out]\n"
    head = kept // 2
    return text[:head] + mark + text[len(text) - (kept - head) :]


def agent_of(settings: Mapping[str, Any] | None) -> AgentConfig | None:
    """The configuration that `Agent.settings` gave, from the plan of a run."""
    if not settings or "agent" not in settings:
        return None
    return from_mapping(AgentConfig, settings["agent"])
