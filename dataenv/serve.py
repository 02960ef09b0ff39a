"""Serving a teacher on loopback as an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dataenv.teachers.base import CallError, ChatRequest, Teacher

LARGEST_BODY = 4_000_000


class TeacherServer(ThreadingHTTPServer):
    """Answers ``POST /v1/chat/completions`` with a teacher's replies.

    Args:
        teacher: Who answers. It must be safe to ask from several threads.
        port: 0 takes a free one; see `url`.
        host: Loopback, unless the world is meant to have it.
    """

    daemon_threads = True
    request_queue_size = 128  # five, the default, refuses connections of a busy client

    def __init__(self, teacher: Teacher, port: int = 0, host: str = "127.0.0.1") -> None:
        super().__init__((host, port), _Handler)
        self.teacher = teacher
        self.completions = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """What clients call the base URL."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/v1"

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """A chat completion.

        Raises:
            ValueError: The request is none.
        """
        request = _read(body)
        with self._lock:
            self.completions += 1
        (reply,) = self.teacher.complete([request])
        if isinstance(reply, CallError):
            raise ValueError(reply.message)
        return {
            "id": f"chatcmpl-{request.key[:16]}",
            "object": "chat.completion",
            "created": 0,
            "model": self.teacher.name,
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
    server: TeacherServer

    def do_GET(self) -> None:
        if self.path.rstrip("/") == "/v1/models":
            models = [{"id": self.server.teacher.name, "object": "model", "owned_by": "dataenv"}]
            self._send(200, {"object": "list", "data": models})
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

    def _send(self, status: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"}}
