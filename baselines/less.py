"""LESS: rows of the pool that pull the student where the public items do."""

from __future__ import annotations

from typing import Any

from dataenv.baselines.from_pool import Selection, warm_rows

from dataenv.policy import Briefing, request_sizes

WARM_SHARE = 0.05
"""As in the original."""


class Less(Selection):
    """Low-rank gradient similarity search, LESS (Xia et al., 2024).

    Kept: a first training on a twentieth of the pool, drawn at random; of the student that this makes, the
    cosine of a row's gradient with that of a group of target items, the largest over the groups, which are
    the topics. Left out: Adam's second moments, random projection, and the sum over the checkpoints of
    several epochs; gradients are plain and of the last checkpoint.
    """

    name = "less"
    by = "gradient"

    def warm_up(self, briefing: Briefing) -> list[dict[str, Any]]:
        """A training on random rows."""
        sizes = request_sizes(warm_rows(briefing, WARM_SHARE))
        return [*({"op": "draw", "n": n} for n in sizes), {"op": "train"}]
