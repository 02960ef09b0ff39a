"""Whether served models answer, and can do what will be asked of them."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import openai
from openai import AsyncOpenAI

from dataenv.config import EndpointConfig
from dataenv.doctor.finding import Finding
from dataenv.endpoint import Endpoint
from dataenv.errors import ConfigError
from dataenv.presets import EnvConfig
from dataenv.students.fetch import cache_folder
from dataenv.teachers import SERVED
from dataenv.teachers.base import CallError

R = TypeVar("R")

ANSWER_S = 5.0
"""Seconds that a server has to say what it serves."""
NOWHERE = "dataenv-doctor-no-such-adapter"
"""An adapter that does not exist: a server that loads adapters says so by its name."""


def endpoints(config: EnvConfig) -> dict[str, EndpointConfig]:
    """The endpoints that a run will ask, by their field."""
    found = {}
    if config.teacher == SERVED and config.calls and config.tape_mode != "replay":
        found["endpoint"] = config.endpoint
    if config.student_endpoint.base_url:
        found["student_endpoint"] = config.student_endpoint
    return found


def keys(config: EnvConfig) -> Finding:
    """Whether the keys that endpoints need are in the environment."""
    lacking = {
        field: each
        for field, each in endpoints(config).items()
        if not os.environ.get(each.api_key_env) and not _is_loopback(each.base_url)
    }
    if not lacking:
        return Finding("keys", True, "none needed that is not set")
    needed = [field for field, each in lacking.items() if not each.base_url]
    names = ", ".join(sorted({f"${each.api_key_env}" for each in lacking.values()}))
    fix = f"set {names}, or name the variable in {', '.join(needed or lacking)}.api_key_env"
    return Finding("keys", False if needed else None, f"{names} not set", fix)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def teacher(config: EnvConfig, ask: bool = False) -> Finding:
    """Whether the teacher is served, or lies on a tape.

    Args:
        config: Of the run.
        ask: Whether it is asked for a token too, which may cost something.
    """
    if config.teacher != SERVED or not config.calls:
        detail = f"{config.teacher}, in this process" if config.calls else "none: calls=0"
        return Finding("teacher", True, detail)
    if config.tape_mode == "replay":
        held = Path(config.tape).is_file()
        fix = "" if held else "record it first, or leave tape_mode=replay out"
        return Finding("teacher", held, f"a tape at {config.tape!r}", fix)
    found = _served("teacher", "endpoint", config.endpoint)
    if not ask or found.ok is False:
        return found
    reply = _try(config.endpoint, "endpoint", _one_token)
    if isinstance(reply, CallError):
        return Finding("teacher", False, reply.message, "see what the server says in its log")
    return Finding("teacher", found.ok, f"{found.detail}; answers", found.fix)


def student(config: EnvConfig) -> Finding:
    """Whether the student is served, and its server loads adapters while it runs."""
    endpoint = config.student_endpoint
    if not endpoint.base_url:
        return Finding("student server", True, "none: the student answers in this process")
    if not config.training.lora_rank:
        detail = "all weights are trained, and a server loads adapters only"
        return Finding("student server", False, detail, "set training.lora_rank, e.g. to 8")
    found = _served("student server", "student_endpoint", endpoint)
    return found if found.ok is False else _loads_adapters(endpoint, found)


def _served(name: str, field: str, endpoint: EndpointConfig) -> Finding:
    where = endpoint.base_url or "the client's default address"
    try:
        models = _try(endpoint, field, _list)
    except ConfigError as error:
        return Finding(name, False, str(error), "set it in the YAML file, or by --set")
    if isinstance(models, CallError) and "HTTP 404" in models.message:
        detail = f"{where} answers, but does not list its models"
        return Finding(name, None, detail, "ask it for a token: dataenv doctor --ask")
    if isinstance(models, CallError):
        return Finding(
            name, False, f"{where}: {models.message}", f"start it, or set {field}.base_url"
        )
    if endpoint.model not in models:
        detail = f"{where} serves {', '.join(models) or 'nothing'}, not {endpoint.model}"
        return Finding(name, False, detail, f"set {field}.model, or serve it under that name")
    return Finding(name, True, f"{endpoint.model} at {where}")


def _loads_adapters(endpoint: EndpointConfig, found: Finding) -> Finding:
    """Asks for an adapter that is not there, and looks whether the refusal is about that."""
    said = _try(endpoint, "student_endpoint", _load_nothing)
    if isinstance(said, CallError):
        return Finding(found.name, False, said.message, "see what the server says in its log")
    status, text = said
    if status in (400, 404) and NOWHERE in text:
        detail = f"{found.detail}; loads adapters"
        if _is_loopback(endpoint.base_url):
            return Finding(found.name, found.ok, detail, found.fix)
        shared = cache_folder() / "adapters"
        return Finding(
            found.name, None, f"{detail}, from {shared}", "let the server see that folder"
        )
    if status in (404, 405):
        fix = "start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment"
        return Finding(found.name, False, f"{found.detail}; has no /load_lora_adapter", fix)
    fix = "start it with --enable-lora and a --max-lora-rank not below training.lora_rank"
    return Finding(found.name, False, f"{found.detail}; no adapters: {status} {text[:200]}", fix)


def _try(
    endpoint: EndpointConfig, field: str, send: Callable[[AsyncOpenAI, str], Awaitable[R]]
) -> R | CallError:
    limit = endpoint.timeout_s if send is _one_token else min(endpoint.timeout_s, ANSWER_S)
    quick = dataclasses.replace(endpoint, timeout_s=limit, deadline_s=limit + 1)
    (result,) = Endpoint(quick, field).ask(send, [endpoint.model])
    return result


async def _list(client: AsyncOpenAI, model: str) -> list[str]:
    return [each.id async for each in client.models.list()]


async def _one_token(client: AsyncOpenAI, model: str) -> Any:
    messages: Any = [{"role": "user", "content": "Say yes."}]
    return await client.chat.completions.create(model=model, messages=messages, max_tokens=1)


async def _load_nothing(client: AsyncOpenAI, model: str) -> tuple[int, str]:
    body = {"lora_name": NOWHERE, "lora_path": f"/{NOWHERE}"}
    try:
        await client.post("/load_lora_adapter", cast_to=str, body=body)
    except openai.APIStatusError as error:
        return error.status_code, error.response.text
    return 200, "it claims to have loaded an adapter that does not exist"
