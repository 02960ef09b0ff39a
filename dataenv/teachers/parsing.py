"""Reading what a teacher wrote: JSON wanted, free text tolerated, nothing trusted."""

from __future__ import annotations

import json
import math
from typing import Any

TEXT_LIMIT = 20_000


class BadReply(ValueError):
    """A reply from which no usable object can be read; the message says why."""


def parse_object(text: str, wanted: str = "") -> dict[str, Any]:
    """The first JSON object in a text; if a key is wanted, the last that has it.

    Raises:
        BadReply: There is none, or it holds NaN, infinite or absurdly long numbers, doubled keys or
            lone surrogates, or is nested too deeply.
    """
    if len(text) > TEXT_LIMIT:
        raise BadReply(f"the reply has {len(text)} characters, more than {TEXT_LIMIT}")
    start, found = text.find("{"), None
    while start >= 0:
        try:
            value, end = STRICT.raw_decode(text, start)
        except BadReply:
            raise
        except (ValueError, RecursionError):
            end = start + 1
        else:
            if not wanted:
                return value
            found = value if wanted in value else found
        start = text.find("{", end)
    if found is None:
        what = f" with {wanted!r}" if wanted else ""
        raise BadReply(f"the reply holds no JSON object{what}")
    return found


def text_field(data: dict[str, Any], name: str, *, required: bool = True) -> str:
    """A text field of an object.

    Raises:
        BadReply: It is missing, empty though required, no text, or not encodable.
    """
    value = data.get(name, "")
    if not isinstance(value, str):
        raise BadReply(f"{name} is {type(value).__name__}, not text")
    if required and not value.strip():
        raise BadReply(f"{name} is missing or empty")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadReply(f"{name} holds a lone surrogate") from error
    if "\0" in value:
        raise BadReply(f"{name} holds a NUL character")
    return value.strip()


def _refuse_constant(name: str) -> float:
    raise BadReply(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadReply(f"the number {text[:20]} is not finite")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise BadReply("an object holds a key twice")
    return dict(pairs)


STRICT = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique_keys
)
"""Takes nothing that JSON does not have, and nothing twice; raises `BadReply` for it."""
