"""Controllers that decide. Each is handed in by name: a file, a line here, a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataenv.policies.bandit import Bandit
from dataenv.policies.feedback import FeedbackPolicy
from dataenv.policies.iterative import Iterative
from dataenv.policies.one_shot import OneShot
from dataenv.policies.random_policy import RandomPolicy
from dataenv.policies.tool_agent import ToolAgent

POLICIES: dict[str, Callable[[], Any]] = {
    "random": RandomPolicy,
    "feedback": FeedbackPolicy,
    "bandit": Bandit,
}
AGENTS: dict[str, Callable[..., Any]] = {
    "one_shot": OneShot,
    "iterative": Iterative,
    "tool_agent": ToolAgent,
}
"""Those that ask a language model, which they are handed as an `AgentConfig`."""
