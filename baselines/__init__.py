"""Recipes as policies, and references that are no competitors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataenv.baselines.controls import ShuffledFeedback
from dataenv.baselines.fixed import Headroom, Mirror, MirrorSecond, RandomMix
from dataenv.baselines.privileged import Privileged
from dataenv.baselines.program import TopicsProgram
from dataenv.baselines.references import MatchedClean, MatchedTeacher

BASELINES: dict[str, Callable[[], Any]] = {
    "random_mix": RandomMix,
    "mirror": Mirror,
    "mirror_second": MirrorSecond,
    "headroom": Headroom,
    "program": TopicsProgram,
    "feedback_shuffled": ShuffledFeedback,
    "matched_teacher": MatchedTeacher,
    "matched_clean": MatchedClean,
    "privileged": Privileged,
}

REFERENCES = frozenset({"matched_teacher", "matched_clean", "privileged"})
"""They see what no controller sees: rows from the private distribution, or hidden scores."""
