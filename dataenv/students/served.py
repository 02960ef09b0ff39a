"""A student that is trained here and answers behind an endpoint.

The endpoint is any OpenAI-compatible server of the base that loads LoRA adapters while it runs, such
as vLLM with ``--enable-lora`` and ``VLLM_ALLOW_RUNTIME_LORA_UPDATING=True``. It must see the folder
that adapters are written to (`dataenv.students.fetch.cache_folder`).
"""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from openai import AsyncOpenAI, BadRequestError

from dataenv.config import DecodingConfig, EndpointConfig, TrainingConfig
from dataenv.endpoint import Endpoint
from dataenv.errors import ConfigError, StudentUnavailable
from dataenv.hashing import digest
from dataenv.rows import WorkingSet
from dataenv.students.adapter import Adapter
from dataenv.students.base import Generation, Trained
from dataenv.students.fetch import cache_folder
from dataenv.students.local import LocalStudent
from dataenv.teachers.base import CallError
from dataenv.teachers.broker import RETRIED, Patience


class ServedStudent:
    """Trains as a local student does, and lets a server answer.

    Args:
        local: The base, for training and likelihoods.
        endpoint: Where the same base is served; `model` is its name there. Answers are greedy.

    Raises:
        ConfigError: The endpoint names no model.
    """

    def __init__(self, local: LocalStudent, endpoint: EndpointConfig) -> None:
        self.local, self.endpoint, self.name = local, endpoint, local.name
        self.placement = f"{local.placement}; answers from {endpoint.base_url}"
        self._endpoint = Endpoint(endpoint, "student_endpoint")
        self.log_likelihood = local.log_likelihood
        self.influences = local.influences
        self.hidden_states = local.hidden_states
        self.count_tokens = local.count_tokens
        self.save = local.save

    @property
    def fingerprint(self) -> str:
        """A hash of the local base and of where answers come from."""
        return digest(self.local.fingerprint, self.endpoint.base_url, self.endpoint.model)

    def train(self, rows: WorkingSet, config: TrainingConfig, key: str) -> Trained:
        """Fine-tunes the base on rows. See `dataenv.students.base.Student.train`.

        Raises:
            ConfigError: All weights would be trained: a server loads adapters only.
        """
        if not config.lora_rank:
            raise ConfigError("training.lora_rank must be above 0: a server loads adapters only")
        return self.local.train(rows, config, key)

    def answer(
        self, trained: Trained, prompts: Sequence[str], config: DecodingConfig
    ) -> list[Generation]:
        """Greedy answers. See `dataenv.students.base.Student.answer`.

        Raises:
            StudentUnavailable: The server did not load the adapter, or left a prompt unanswered.
        """
        ids = [self.local.format.prompt_ids(prompt) for prompt in prompts]
        with self._served(trained) as model:
            return self._insist(partial(self._complete, model, config), ids)

    @contextlib.contextmanager
    def _served(self, trained: Trained) -> Iterator[str]:
        """The name by which the server knows a trained student, while it has it."""
        if not isinstance(trained.weights, Adapter):
            yield self.endpoint.model
            return
        name = f"dataenv-{uuid.uuid4().hex[:16]}"
        folder = (cache_folder() / "adapters" / name).absolute()  # the server has its own place
        self.local.save(trained, folder)
        try:
            self._tell("/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
            yield name
        finally:
            with contextlib.suppress(StudentUnavailable):  # a server that is gone has forgotten it
                self._tell("/unload_lora_adapter", {"lora_name": name})
            shutil.rmtree(folder)

    def _tell(self, path: str, body: dict[str, Any]) -> None:
        async def post(client: AsyncOpenAI, body: dict[str, Any]) -> str:
            try:
                return await client.post(path, cast_to=str, body=body)
            except BadRequestError as error:
                if "already" in str(error):  # an earlier attempt, whose answer was lost
                    return str(error)
                raise

        self._insist(post, [body])

    async def _complete(
        self, model: str, config: DecodingConfig, client: AsyncOpenAI, ids: list[int]
    ) -> Generation:
        """One answer; the prompt goes as ids, so that it is the one that was trained on."""
        ends = {"stop_token_ids": list(self.local.format.end_ids)}
        reply = await client.completions.create(
            model=model,
            prompt=ids,
            max_tokens=config.max_new_tokens,
            temperature=0.0,
            extra_body={**ends, **self.endpoint.extra},
        )
        choice = reply.choices[0]
        if not isinstance(choice.text, str):
            raise ValueError("a choice without text")
        return Generation(choice.text.strip(), choice.finish_reason == "length")

    def _insist(self, send: Any, requests: Sequence[Any]) -> list[Any]:
        """Asks until everything is answered, or patience has run out."""
        patience = Patience(self.endpoint.attempts, self.endpoint.deadline_s)
        ends = time.monotonic() + patience.deadline_s
        results: dict[int, Any] = {}
        waiting = list(range(len(requests)))
        for attempt in range(patience.attempts):
            found = self._endpoint.ask(send, [requests[place] for place in waiting])
            results.update(zip(waiting, found, strict=True))
            waiting = [place for place in waiting if isinstance(results[place], CallError)]
            errors = [results[place] for place in waiting]
            if not errors:
                break
            final = any(each.kind not in RETRIED for each in errors)
            if final or not patience.wait(attempt, errors, ends):
                raise StudentUnavailable(
                    f"{self.endpoint.base_url} left {len(errors)} of {len(requests)} requests "
                    f"unanswered: {errors[0].message}"
                )
        return [results[place] for place in range(len(requests))]
