"""The one way out of a program: a Unix socket, over which it asks and is answered."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

LONGEST_MESSAGE = 8 << 20
"""Bytes."""
CONNECTIONS = 16
"""At a time; more are turned away."""
PATIENCE_S = 10.0
"""How long a program may take to read a reply."""

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Door:
    """Serves a program's messages, one JSON object a line, in the thread that calls `serve`.

    Args:
        path: Of the socket.
        answer: What is said to a message.
    """

    def __init__(self, path: Path, answer: Answer) -> None:
        self._answer = answer
        self._heard: dict[socket.socket, bytearray] = {}
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(path))
        path.chmod(0o666)
        self._listening.listen(CONNECTIONS)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)

    def __enter__(self) -> Door:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in list(self._heard):
            self._hang_up(each)
        self._selector.close()
        self._listening.close()

    def serve(self, seconds: float) -> None:
        """Answers what comes, and waits so long for it."""
        for key, _ in self._selector.select(seconds):
            one = key.fileobj
            assert isinstance(one, socket.socket)
            if one is self._listening:
                self._let_in()
            else:
                self._hear(one)

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):
            one, _ = self._listening.accept()
            if len(self._heard) >= CONNECTIONS:
                one.close()
                return
            one.settimeout(PATIENCE_S)
            self._heard[one] = bytearray()
            self._selector.register(one, selectors.EVENT_READ)

    def _hear(self, one: socket.socket) -> None:
        try:
            new = one.recv(1 << 18)
        except OSError:
            new = b""
        held = self._heard[one]
        held += new
        if not new or len(held) > LONGEST_MESSAGE:
            self._hang_up(one)
            return
        while (end := held.find(b"\n")) >= 0:
            line = bytes(held[:end])
            del held[: end + 1]
            try:
                one.sendall(json.dumps(self._reply(line)).encode() + b"\n")
            except OSError:
                self._hang_up(one)
                return

    def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        return self._answer(message) if isinstance(message, dict) else {"error": "no JSON object"}

    def _hang_up(self, one: socket.socket) -> None:
        del self._heard[one]
        self._selector.unregister(one)
        one.close()
