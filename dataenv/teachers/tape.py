"""Replies on file: asked once, or recorded and played back without a server.

A line of the file is a request's key, which covers the whole request, the sample's number, the model
and its settings, and what came of it.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dataenv.errors import CacheMiss, ConfigError
from dataenv.hashing import digest
from dataenv.teachers.base import CallError, ChatRequest, Completion, Teacher


class Tape:
    """A teacher whose replies are kept.

    Args:
        teacher: Who is asked.
        path: The file; made when the first reply comes.
        mode: One of `TAPE_MODES`. Errors are recorded and replayed like replies, in their order, but never
            taken for a reply in the mode `cache`.
        settings: All else that replies depend on, part of every key.
        reply: What a reply is.

    Raises:
        ConfigError: There is nothing to replay, or the file is damaged.
    """

    def __init__(
        self,
        teacher: Teacher,
        path: Path,
        mode: str,
        settings: object = None,
        reply: type[Any] = Completion,
    ) -> None:
        self.teacher, self.path, self.mode, self.settings = teacher, path, mode, settings
        self.name, self._reply = teacher.name, reply
        if mode == "replay" and not path.exists():
            raise ConfigError(f"there is no tape {str(path)!r} to replay; record one first")
        if mode != "replay":
            _end_where_a_kill_cut(path)
        self._kept: dict[str, deque[Completion | CallError]] = defaultdict(deque)
        for number, line in enumerate(
            path.read_text("utf-8").splitlines() if path.exists() else [], 1
        ):
            try:
                entry = json.loads(line)
                made = reply if entry["kind"] == "reply" else CallError
                self._kept[entry["key"]].append(made(**entry["value"]))
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(f"{path}:{number}: not a line of a tape: {error}") from error

    def complete(self, requests: Sequence[ChatRequest]) -> list[Completion | CallError]:
        """Replies from the file, and from the teacher where the mode allows it.

        Raises:
            CacheMiss: A request of a replay was never recorded.
        """
        found = {place: self._find(request) for place, request in enumerate(requests)}
        missing = [place for place, reply in found.items() if reply is None]
        if missing:
            asked = [requests[place] for place in missing]
            for place, reply in zip(missing, self.teacher.complete(asked), strict=True):
                found[place] = reply
            self._keep(asked, [found[place] for place in missing])
        return [reply for reply in found.values() if reply is not None]

    def _key(self, request: ChatRequest) -> str:
        return digest(self.name, self.settings, request.key)

    def _find(self, request: ChatRequest) -> Completion | CallError | None:
        kept = self._kept.get(self._key(request))
        if self.mode == "replay":
            if not kept:
                text = request.messages[-1][1]
                raise CacheMiss(
                    f"{self.path} has no reply to sample {request.sample_index} of the request "
                    f"{text[:120]!r} ({len(text)} characters); record it first"
                )
            return kept.popleft() if len(kept) > 1 else kept[0]
        if self.mode == "cache":
            return next((reply for reply in kept or () if isinstance(reply, self._reply)), None)
        return None

    def _keep(
        self, requests: Sequence[ChatRequest], replies: Sequence[Completion | CallError | None]
    ) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as out:
            for request, reply in zip(requests, replies, strict=True):
                assert reply is not None
                kind = "reply" if isinstance(reply, self._reply) else "error"
                self._kept[self._key(request)].append(reply)
                line = {"key": self._key(request), "kind": kind, "value": asdict(reply)}
                out.write(json.dumps(line) + "\n")


def _end_where_a_kill_cut(path: Path) -> None:
    """Takes away a last line that was not written to its end."""
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        with path.open("r+b") as out:
            out.truncate(content.rfind(b"\n") + 1)
