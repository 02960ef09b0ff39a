"""A language model from a GGUF file: llama.cpp inside this process, by the package xllamacpp."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from dataenv.config import require
from dataenv.errors import ConfigError, TeacherUnavailable

MAGIC = b"GGUF"
"""What such a file begins with."""


class GGUFModel:
    """Answers chat requests; safe to ask from several threads, whose requests share its batches.

    Args:
        path: The file.
        threads: Cores that it computes on.
        context: Tokens of one request, its reply included.
        parallel: Requests decoded together; what comes beyond them waits.

    Raises:
        ConfigError: The file or the package xllamacpp is missing, or the file cannot be used, or a
            number is below 1.
    """

    def __init__(
        self, path: Path, threads: int = 1, context: int = 4096, parallel: int = 4
    ) -> None:
        for name, value in (("threads", threads), ("ctx", context), ("parallel", parallel)):
            require(value >= 1, name, value, "at least 1")
        _require_gguf(path)
        self.name = path.stem
        self._server = _load(path, threads, context, parallel)

    def reply(self, body: dict[str, Any]) -> dict[str, Any]:
        """A chat completion for the body of a request.

        Raises:
            ValueError: The request is refused, e.g. since it is longer than the context.
            TeacherUnavailable: llama.cpp failed.
        """
        try:
            answer = self._server.handle_chat_completions(body)
        except RuntimeError as error:
            raise TeacherUnavailable(f"{self.name}: {error}") from error
        fault = answer.get("error")
        if fault is None:
            return {**answer, "model": self.name}
        if fault["code"] < 500:
            raise ValueError(fault["message"])
        raise TeacherUnavailable(f"{self.name}: {fault['message']}")


def _require_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            begins = file.read(len(MAGIC))
    except OSError as error:
        raise ConfigError(f"cannot read the model {path}: {error.strerror}") from error
    if begins != MAGIC:
        raise ConfigError(f"{path} is no GGUF file: it begins with {begins!r}, not {MAGIC!r}")


def _load(path: Path, threads: int, context: int, parallel: int) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise ConfigError(
            "a GGUF file needs the package xllamacpp: pip install 'dataenv-gym[gguf]'"
        ) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_parallel = parallel
    params.n_ctx = context * parallel  # llama.cpp divides it among them
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity = 1  # errors
    params.ui = False
    # it opens a port of its own, where nobody counts; nobody knows the key
    params.api_keys = [secrets.token_hex(16)]
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ConfigError(f"llama.cpp cannot load {path}: {error}") from error
