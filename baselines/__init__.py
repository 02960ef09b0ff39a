"""Recipes as policies, and references that are no competitors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataenv.baselines.controls import ShuffledFeedback
from dataenv.baselines.evol_instruct import EvolInstruct
from dataenv.baselines.fixed import Headroom, Mirror, MirrorSecond, RandomMix
from dataenv.baselines.importance import Importance
from dataenv.baselines.less import Less
from dataenv.baselines.pipeline import Pipeline
from dataenv.baselines.privileged import Privileged
from dataenv.baselines.program import TopicsProgram
from dataenv.baselines.rds import Rds
from dataenv.baselines.references import MatchedClean, MatchedTeacher
from dataenv.baselines.seed_only import SeedOnly
from dataenv.baselines.self_instruct import SelfInstruct
from dataenv.baselines.skill_tree import SkillTree
from dataenv.baselines.stratified import Stratified
from dataenv.baselines.student_loss import StudentLoss

BASELINES: dict[str, Callable[[], Any]] = {
    "random_mix": RandomMix,
    "mirror": Mirror,
    "mirror_second": MirrorSecond,
    "headroom": Headroom,
    "stratified": Stratified,
    "seed_only": SeedOnly,
    "self_instruct": SelfInstruct,
    "evol_instruct": EvolInstruct,
    "pipeline": Pipeline,
    "skill_tree": SkillTree,
    "importance": Importance,
    "student_loss": StudentLoss,
    "less": Less,
    "rds": Rds,
    "program": TopicsProgram,
    "feedback_shuffled": ShuffledFeedback,
    "matched_teacher": MatchedTeacher,
    "matched_clean": MatchedClean,
    "privileged": Privileged,
}

REFERENCES = frozenset({"matched_teacher", "matched_clean", "privileged"})
"""They see what no controller sees: rows from the private distribution, or hidden scores."""
