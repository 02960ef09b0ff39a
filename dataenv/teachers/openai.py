"""A teacher behind any OpenAI-compatible endpoint: Chat Completions, many at a time.

Every request is sent once; the broker decides what is sent again, since every attempt may be
charged. What is known of an attempt that failed decides whether it is: a refusal with an answer is
free, all that may have been generated is not.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
from openai import AsyncOpenAI

from dataenv.config import EndpointConfig
from dataenv.errors import ConfigError
from dataenv.teachers.base import CallError, ChatRequest, Completion
from dataenv.teachers.gate import Gate


class OpenAITeacher:
    """Asks a served model.

    Args:
        endpoint: Where and how.
        keyless: Nothing will be sent, so that no key is needed.

    Raises:
        ConfigError: No model is named, or a key is needed and there is none.
    """

    def __init__(self, endpoint: EndpointConfig, keyless: bool = False) -> None:
        if not endpoint.model:
            raise ConfigError("the teacher 'openai' needs a model: set endpoint.model")
        key = os.environ.get(endpoint.api_key_env)
        if not key and not endpoint.base_url and not keyless:
            raise ConfigError(
                f"no key in ${endpoint.api_key_env}: set it, or name a server of your own in "
                "endpoint.base_url"
            )
        self.name, self.endpoint, self._key = endpoint.model, endpoint, key or "none"

    def complete(self, requests: Sequence[ChatRequest]) -> list[Completion | CallError]:
        """Sends every request once, and waits for all of them."""
        with ThreadPoolExecutor(1) as thread:  # the caller may be inside an event loop
            return thread.submit(asyncio.run, self._complete(requests)).result()

    async def _complete(self, requests: Sequence[ChatRequest]) -> list[Completion | CallError]:
        endpoint = self.endpoint
        deadline = time.monotonic() + endpoint.deadline_s
        gate = Gate(endpoint.concurrency)
        async with AsyncOpenAI(
            base_url=endpoint.base_url or None,
            api_key=self._key,
            max_retries=0,
            timeout=endpoint.timeout_s,
        ) as client:
            return await asyncio.gather(
                *(self._through(gate, client, request, deadline) for request in requests)
            )

    async def _through(
        self, gate: Gate, client: AsyncOpenAI, request: ChatRequest, deadline: float
    ) -> Completion | CallError:
        if not await gate.enter(deadline):
            return CallError("server", "not sent: the server failed or kept us waiting", False)
        result: Completion | CallError = CallError("server", "interrupted", True)
        try:
            result = await self._ask(client, request, deadline - time.monotonic())
            return result
        finally:
            if isinstance(result, CallError):
                trouble = result.kind if result.kind != "refused" else ""
                await gate.leave(trouble, result.retry_after)
            else:
                await gate.leave()

    async def _ask(
        self, client: AsyncOpenAI, request: ChatRequest, seconds: float
    ) -> Completion | CallError:
        endpoint = self.endpoint
        messages: Any = [{"role": role, "content": content} for role, content in request.messages]
        try:
            # the client's own limit is for silence; a reply that trickles in would outlast it
            async with asyncio.timeout(min(seconds, endpoint.timeout_s)):
                reply = await client.chat.completions.create(
                    model=endpoint.model,
                    messages=messages,
                    max_tokens=endpoint.max_tokens,
                    temperature=endpoint.temperature,
                    seed=int(request.key[:7], 16) if endpoint.seeded else openai.omit,
                    extra_body=endpoint.extra or None,
                )
            text = reply.choices[0].message.content
            if not isinstance(text, str) or not text.strip():
                return CallError("malformed", "an empty reply", True)
            used = reply.usage
            return Completion(
                text,
                used.prompt_tokens if used else 0,
                used.completion_tokens if used else 0,
            )
        except openai.APIStatusError as error:
            return _refusal(error)
        except (TimeoutError, openai.APITimeoutError):
            return CallError("timeout", f"no reply in {endpoint.timeout_s:g} s", True)
        except openai.APIConnectionError as error:
            cause = error.__cause__
            # what was never connected was never sent
            sent = "connect" not in type(cause).__name__.lower()
            return CallError("server", f"connection failed: {cause or error}"[:200], sent)
        except (IndexError, AttributeError, TypeError, ValueError, openai.OpenAIError) as error:
            return CallError("malformed", f"no chat completion: {error}"[:200], True)


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
