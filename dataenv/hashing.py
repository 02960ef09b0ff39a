"""Hashes that every draw, key and content address is made of."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any


def digest(*parts: Any, size: int = 16) -> str:
    """A stable hash of JSON-like parts, as `2 * size` hex characters."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def rng_of(*parts: Any) -> random.Random:
    """A random source that depends on nothing but the parts."""
    return random.Random(int(digest(*parts), 16))


def seed_of(*parts: Any) -> int:
    """A seed below 2**63 that depends on nothing but the parts."""
    return int(digest(*parts, size=8), 16) >> 1


def rng_state(rng: random.Random) -> list[Any]:
    """Where a random source stands, as plain values."""
    version, words, gauss = rng.getstate()
    return [version, list(words), gauss]


def set_rng_state(rng: random.Random, state: list[Any]) -> None:
    """The inverse of `rng_state`."""
    version, words, gauss = state
    rng.setstate((version, tuple(words), gauss))
