"""Recipes as policies, and references that are no competitors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataenv.baselines.fixed import Mirror, RandomMix
from dataenv.baselines.references import MatchedClean, MatchedTeacher

BASELINES: dict[str, Callable[[], Any]] = {
    "random_mix": RandomMix,
    "mirror": Mirror,
    "matched_teacher": MatchedTeacher,
    "matched_clean": MatchedClean,
}

REFERENCES = frozenset({"matched_teacher", "matched_clean"})
"""They see what no controller sees: rows from the private distribution."""
