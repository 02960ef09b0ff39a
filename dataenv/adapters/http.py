"""Serving an ASGI application until it is interrupted."""

from __future__ import annotations

import socket
from typing import Any

from dataenv.errors import ConfigError


def serve_app(app: Any, host: str, port: int, said: str) -> None:
    """Listens, says where, and serves.

    Args:
        app: The application.
        host: Loopback, unless the world is meant to have it.
        port: 0 takes a free one.
        said: Is printed once clients can come; ``{url}`` stands for the address.

    Raises:
        ConfigError: The port cannot be had.
    """
    import uvicorn

    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}; take another port, or 0 for a free one"
        ) from error
    listening.listen()
    shown = f"[{host}]" if ":" in host else host
    print(said.replace("{url}", f"http://{shown}:{listening.getsockname()[1]}"), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
