"""A language model that follows a script, behind a real endpoint on loopback."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dataenv.config import AgentConfig
from dataenv.serve import ChatServer, serving

Line = str | dict[str, Any] | Callable[[dict[str, Any]], Any]
"""Words; ``{"tool": name, "arguments": ...}``; ``{"text": ..., "cut": True}``; or what makes one of
them of the request's body, and may raise ValueError to refuse it."""


class Scripted(ChatServer):
    """Says its lines in turn, the last one again and again; `bodies` is what it was asked."""

    def __init__(self, lines: Sequence[Line], port: int = 0) -> None:
        super().__init__("scripted", self.say, port)
        self.lines, self.bodies = list(lines), []

    def say(self, body: dict[str, Any]) -> dict[str, Any]:
        line = self.lines[min(len(self.bodies), len(self.lines) - 1)]
        self.bodies.append(body)
        return chat(line(body) if callable(line) else line)

    @property
    def questions(self) -> list[str]:
        """What the user's messages were."""
        return [body["messages"][-1]["content"] for body in self.bodies]

    def size(self, body: dict[str, Any]) -> int:
        """Characters of a question, its tools included."""
        said = sum(len(each["content"]) for each in body["messages"])
        return said + len(json.dumps(body.get("tools", "")))


def chat(line: Any) -> dict[str, Any]:
    line = {"text": line} if isinstance(line, str) else line
    message: dict[str, Any] = {"role": "assistant", "content": line.get("text")}
    if "tool" in line:
        arguments = line["arguments"]
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        call = {"name": line["tool"], "arguments": text}
        message["tool_calls"] = [{"id": "1", "type": "function", "function": call}]
    reason = "length" if line.get("cut") else "stop"
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "finish_reason": reason, "message": message}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
    }


@contextlib.contextmanager
def following(lines: Sequence[Line], **fields: Any) -> Iterator[tuple[Scripted, AgentConfig]]:
    """A server that follows a script, and the configuration of an agent that asks it."""
    with serving(Scripted(lines)) as server:
        yield server, AgentConfig(model="scripted", base_url=server.url, **fields)
