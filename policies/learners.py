"""What learns to curate, and what reads the policies that it writes: a file, a line here, a test.

Apart from the table of policies, since these import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataenv.baselines.open_loop import OpenLoop, RecipeSearch
from dataenv.policies.cem import ClosedLoop, FeedbackSearch
from dataenv.policies.ppo import PPO
from dataenv.policies.slots import SlotPolicy

LEARNERS: dict[str, Any] = {"cem": FeedbackSearch, "open_loop": RecipeSearch, "ppo": PPO}
"""Classes that `dataenv train` runs; see `dataenv.runs.learning.Learner`."""
LEARNED: dict[str, Callable[..., Any]] = {
    "cem": ClosedLoop,
    "open_loop": OpenLoop.of,
    "ppo": SlotPolicy.of,
}
"""What makes a policy of the content of a file."""
