"""Cherry LLM: rows of the pool whose question helps least with the answer."""

from __future__ import annotations

from typing import Any

from dataenv.baselines.fixed import FILTER
from dataenv.baselines.from_pool import Selection, drawn, warm_rows

from dataenv.policy import Briefing

WARM_SHARE = 0.1


class StudentLoss(Selection):
    """Instruction-following difficulty, IFD (Li et al., 2024, "From Quantity to Quality").

    Kept: a first training on few diverse rows; of the student that this makes, the loss of an answer after
    its question over the loss of the answer alone; the highest below 1 are taken. Left out: clusters of
    embeddings, from which the original's diverse rows are drawn; these have few words in common. It never
    looks at the target, as the original.
    """

    name = "student_loss"
    by = "ifd"

    def warm_up(self, briefing: Briefing) -> list[dict[str, Any]]:
        """A training on diverse rows."""
        diverse = {"op": "select", "n": warm_rows(briefing, WARM_SHARE), "by": "diversity"}
        return [*drawn(briefing), FILTER, diverse, {"op": "train"}]
