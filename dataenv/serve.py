"""Serving a teacher or a model on loopback as an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dataenv.errors import ConfigError, TeacherUnavailable
from dataenv.teachers.base import CallError, ChatRequest, Teacher

LARGEST_BODY = 4_000_000


class ChatServer(ThreadingHTTPServer):
    """Answers ``POST /v1/chat/completions``, and counts what it answers.

    Args:
        name: The model's.
        reply: A chat completion for a request's body, asked from many threads at once. A ValueError
            or TypeError refuses the request, which is then not counted.
        port: 0 takes a free one; see `url`.
        host: Loopback, unless the world is meant to have it.

    Raises:
        ConfigError: The port cannot be had.
    """

    daemon_threads = True
    request_queue_size = 128  # five, the default, refuses connections of a busy client

    def __init__(
        self,
        name: str,
        reply: Callable[[dict[str, Any]], dict[str, Any]],
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {host}:{port}: {error.strerror}; take another port, or 0 for a "
                "free one"
            ) from error
        self.name, self._reply = name, reply
        self.completions = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """What clients call the base URL."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/v1"

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """A chat completion, counted from its beginning, since a client that leaves is charged too.

        Raises:
            ValueError, TypeError: The request is none.
            TeacherUnavailable: The model failed; counted, since it may have written something.
        """
        if body.get("stream") or (body.get("n") or 1) != 1:
            raise ValueError("one reply in one piece is what there is: leave out stream and n")
        self._count(1)
        try:
            return self._reply(body)
        except (ValueError, TypeError):
            self._count(-1)
            raise

    def _count(self, change: int) -> None:
        with self._lock:
            self.completions += change


class TeacherServer(ChatServer):
    """Serves a teacher.

    Args:
        teacher: Who answers. It must be safe to ask from several threads.
        port, host: As of `ChatServer`.
    """

    def __init__(self, teacher: Teacher, port: int = 0, host: str = "127.0.0.1") -> None:
        super().__init__(teacher.name, partial(_chat, teacher), port, host)
        self.teacher = teacher


def _chat(teacher: Teacher, body: dict[str, Any]) -> dict[str, Any]:
    request = _read(body)
    (reply,) = teacher.complete([request])
    if isinstance(reply, CallError):
        raise ValueError(reply.message)
    return {
        "id": f"chatcmpl-{request.key[:16]}",
        "object": "chat.completion",
        "created": 0,
        "model": teacher.name,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": reply.text},
            }
        ],
        "usage": {
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        },
    }


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[ThreadingHTTPServer]:
    """Serves in a thread of its own until the block ends."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _read(body: dict[str, Any]) -> ChatRequest:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list of messages")
    pairs = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise ValueError("a message has a role and its content as text")
        pairs.append((str(message.get("role")), message["content"]))
    temperature, tokens = body.get("temperature", 0.7), body.get("max_tokens", 512)
    return ChatRequest(tuple(pairs), float(temperature), int(tokens), int(body.get("seed") or 0))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def do_GET(self) -> None:
        if self.path.rstrip("/") == "/v1/models":
            models = [{"id": self.server.name, "object": "model", "owned_by": "dataenv"}]
            self._send(200, {"object": "list", "data": models})
        elif self.path.rstrip("/") == "/health":
            self._send(200, {"status": "ok", "completions": self.server.completions})
        else:
            self._send(404, _error(f"there is no {self.path}"))

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        if size > LARGEST_BODY:
            self.close_connection = True
            self._send(413, _error(f"the body has {size} bytes; {LARGEST_BODY} are read"))
            return
        text = self.rfile.read(size)
        if self.path.rstrip("/") != "/v1/chat/completions":
            self._send(404, _error(f"there is no {self.path}"))
            return
        try:
            body = json.loads(text)
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            self._send(200, self.server.answer(body))
        except (ValueError, TypeError) as error:
            self._send(400, _error(str(error)))
        except TeacherUnavailable as error:
            self._send(503, _error(str(error), "server_error"))

    def _send(self, status: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        with suppress(BrokenPipeError, ConnectionResetError):  # the client gave up waiting
            self.end_headers()
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _error(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind}}
