"""A teacher behind any OpenAI-compatible endpoint: Chat Completions.

The broker decides what is sent again, since every attempt may be charged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import openai
from openai import AsyncOpenAI

from dataenv.config import EndpointConfig
from dataenv.endpoint import Endpoint
from dataenv.teachers.base import CallError, ChatRequest, Completion


class OpenAITeacher:
    """Asks a served model.

    Args:
        endpoint: Where and how.
        keyless: Nothing will be sent, so that no key is needed.

    Raises:
        ConfigError: No model is named, or a key is needed and there is none.
    """

    def __init__(self, endpoint: EndpointConfig, keyless: bool = False) -> None:
        self._endpoint = Endpoint(endpoint, "endpoint", keyless)
        self.name, self.endpoint = endpoint.model, endpoint

    def complete(self, requests: Sequence[ChatRequest]) -> list[Completion | CallError]:
        """Sends every request once, and waits for all of them."""
        return self._endpoint.ask(self._send, requests)

    async def _send(self, client: AsyncOpenAI, request: ChatRequest) -> Completion:
        endpoint = self.endpoint
        messages: Any = [{"role": role, "content": content} for role, content in request.messages]
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
            raise ValueError("an empty reply")
        used = reply.usage
        return Completion(
            text, used.prompt_tokens if used else 0, used.completion_tokens if used else 0
        )
