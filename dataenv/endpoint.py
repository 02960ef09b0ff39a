"""Asking an OpenAI-compatible endpoint many things at a time.

Everything is sent once; whoever asks decides what is sent again. What is known of an attempt that
failed says whether it may have cost something: a refusal with an answer is free, all that may have
been generated is not.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import openai
from openai import AsyncOpenAI

from dataenv.config import EndpointConfig
from dataenv.errors import ConfigError
from dataenv.gate import Gate
from dataenv.teachers.base import CallError

T = TypeVar("T")
R = TypeVar("R")


class Endpoint:
    """A served model.

    Args:
        config: Where it is and how it is asked.
        field: Its name in the configuration, for messages.
        keyless: Nothing will be sent, so that no key is needed.

    Raises:
        ConfigError: No model is named, or a key is needed and there is none.
    """

    def __init__(self, config: EndpointConfig, field: str, keyless: bool = False) -> None:
        if not config.model:
            raise ConfigError(f"a served model needs a name: set {field}.model")
        key = os.environ.get(config.api_key_env)
        if not key and not config.base_url and not keyless:
            raise ConfigError(
                f"no key in ${config.api_key_env}: set it, or name a server of your own in "
                f"{field}.base_url"
            )
        self.config, self._key = config, key or "none"

    def ask(
        self, send: Callable[[AsyncOpenAI, T], Awaitable[R]], requests: Sequence[T]
    ) -> list[R | CallError]:
        """Sends every request once, and waits for all of them.

        Args:
            send: Sends one; raises ValueError for a reply that is none.
            requests: What is sent.

        Returns:
            What came of each, aligned.
        """
        with ThreadPoolExecutor(1) as thread:  # the caller may be inside an event loop
            return thread.submit(asyncio.run, self._ask_all(send, requests)).result()

    async def _ask_all(
        self, send: Callable[[AsyncOpenAI, T], Awaitable[R]], requests: Sequence[T]
    ) -> list[R | CallError]:
        config = self.config
        deadline = time.monotonic() + config.deadline_s
        gate = Gate(config.concurrency)
        async with AsyncOpenAI(
            base_url=config.base_url or None,
            api_key=self._key,
            max_retries=0,
            timeout=config.timeout_s,
        ) as client:

            def attempt(request: T) -> Awaitable[R]:
                return send(client, request)

            return await asyncio.gather(
                *(self._through(gate, attempt, request, deadline) for request in requests)
            )

    async def _through(
        self, gate: Gate, send: Callable[[T], Awaitable[R]], request: T, deadline: float
    ) -> R | CallError:
        if not await gate.enter(deadline):
            return CallError("server", "not sent: the server failed or kept us waiting", False)
        result: R | CallError = CallError("server", "interrupted", True)
        try:
            result = await self._attempt(send, request, deadline - time.monotonic())
            return result
        finally:
            if isinstance(result, CallError):
                trouble = result.kind if result.kind != "refused" else ""
                await gate.leave(trouble, result.retry_after)
            else:
                await gate.leave()

    async def _attempt(
        self, send: Callable[[T], Awaitable[R]], request: T, seconds: float
    ) -> R | CallError:
        limit = self.config.timeout_s
        try:
            # the client's own limit is for silence; a reply that trickles in would outlast it
            async with asyncio.timeout(min(seconds, limit)):
                return await send(request)
        except openai.APIStatusError as error:
            return _refusal(error)
        except (TimeoutError, openai.APITimeoutError):
            return CallError("timeout", f"no reply in {limit:g} s", True)
        except openai.APIConnectionError as error:
            cause = error.__cause__
            # what was never connected was never sent
            sent = "connect" not in type(cause).__name__.lower()
            return CallError("server", f"connection failed: {cause or error}"[:200], sent)
        except (IndexError, AttributeError, TypeError, ValueError, openai.OpenAIError) as error:
            return CallError("malformed", f"no completion: {error}"[:200], True)


def _refusal(error: openai.APIStatusError) -> CallError:
    message = f"HTTP {error.status_code}: {error.message}"[:200]
    if error.status_code == 429:
        return CallError("rate_limit", message, False, retry_after=_seconds(error))
    if error.status_code in (408, 409) or error.status_code >= 500:
        return CallError("server", message, True, retry_after=_seconds(error))
    return CallError("refused", message, False)


def _seconds(error: openai.APIStatusError) -> float:
    """What ``Retry-After`` asks for; dates and nonsense count as nothing."""
    try:
        return min(120.0, max(0.0, float(error.response.headers.get("retry-after", 0))))
    except ValueError:
        return 0.0
