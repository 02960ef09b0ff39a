"""A network over the menu that treats every rank alike, and a controller that acts by it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from dataenv.errors import ConfigError
from dataenv.evaluation import EvalReport
from dataenv.hashing import seed_of
from dataenv.menu import MENU, OTHER_KINDS, OVERALL_FEATURES, SLOT_FEATURES, TOPIC_KINDS, Menu
from dataenv.policy import Briefing

WIDTH = 32


class SlotNetwork(nn.Module):
    """Logits of all entries and a value, of ``slots`` and ``overall``.

    Each topic is read by the same weights, together with what is true of the episode as a whole; what is
    done about no topic, and the value, are read off the mean of the topics.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slot = _layers(SLOT_FEATURES + OVERALL_FEATURES, WIDTH)
        self.pooled = _layers(WIDTH + OVERALL_FEATURES, WIDTH)
        self.of_topic = nn.Linear(2 * WIDTH, len(TOPIC_KINDS))
        self.of_none = nn.Linear(WIDTH, len(OTHER_KINDS))
        self.value = nn.Linear(WIDTH, 1)
        for head in (self.of_topic, self.of_none):  # near to even at first
            nn.init.orthogonal_(head.weight, 0.01)
            nn.init.zeros_(head.bias)

    def forward(self, slots: torch.Tensor, overall: torch.Tensor):
        """Logits, of shape (batch, entries), and values, of shape (batch, 1)."""
        there = slots[..., :1]  # 0 where there is no topic
        beside = overall.unsqueeze(-2).expand(*slots.shape[:-1], -1)
        read = self.slot(torch.cat([slots, beside], -1)) * there
        mean = read.sum(-2) / there.sum(-2).clamp(min=1.0)
        pooled = self.pooled(torch.cat([mean, overall], -1))
        around = pooled.unsqueeze(-2).expand(*slots.shape[:-1], -1)
        topics = self.of_topic(torch.cat([read, around], -1))  # (batch, ranks, kinds)
        flat = topics.transpose(-1, -2).flatten(-2)  # kind by kind, as on the menu
        return torch.cat([flat, self.of_none(pooled)], -1), self.value(pooled)


def _layers(inputs: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())


def _packed(arrays: dict[str, Any]) -> str:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return base64.b64encode(file.getvalue()).decode()


def to_text(state: Mapping[str, torch.Tensor]) -> str:
    """Weights as text, for a file of JSON."""
    return _packed({name: each.numpy(force=True) for name, each in state.items()})


def from_text(text: str) -> dict[str, torch.Tensor]:
    """The inverse of `to_text`; nothing in the text is run.

    Raises:
        ConfigError: It holds no weights.
    """
    try:
        with np.load(io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False) as held:
            return {name: torch.from_numpy(held[name].copy()) for name in held.files}
    except (ValueError, OSError, KeyError) as error:
        raise ConfigError(f"these are no weights: {error}") from error


class SlotPolicy:
    """Chooses from the menu by a network.

    Args:
        weights: Of a `SlotNetwork`, as text.
        traced: Whether what it saw and did is kept, for a learner. Entries are drawn by their chances in
            any case: that is the policy that was trained, and the likeliest entry each time is another.

    Raises:
        ConfigError: The weights are not of this network.
    """

    name = "ppo"

    def __init__(self, weights: str, traced: bool = False) -> None:
        self.network, self.traced = SlotNetwork(), traced
        try:
            self.network.load_state_dict(from_text(weights))
        except RuntimeError as error:
            raise ConfigError(f"these weights are of another network: {error}") from error

    @classmethod
    def of(cls, learned: Mapping[str, Any]) -> SlotPolicy:
        """The policy that a learner has written."""
        return cls(learned["weights"])

    def begin(self, briefing: Briefing) -> None:
        """Forgets the last episode."""
        self.menu = Menu(briefing)
        self.random = np.random.default_rng(seed_of("slots", briefing.seed))
        self.taken: list[dict[str, Any]] = []

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The operation of an entry that is of use now."""
        self.menu.see(report)
        seen, mask = self.menu.view(report), self.menu.mask(report)
        chances, value = self._chances(seen, mask)
        number = int(self.random.choice(len(MENU), p=chances))
        if self.traced:
            log = float(np.log(chances[number]))
            self.taken.append({**seen, "mask": mask, "action": number, "log": log, "value": value})
        return self.menu.operation(number, report)

    def observe(
        self, observation: Mapping[str, Any], report: EvalReport, action: Mapping[str, Any]
    ) -> None:
        """Is told of what it did before a kill."""
        self.act(observation, report)

    def trace(self) -> str:
        """What was seen and done, for a learner; see `read_trace`."""
        names = self.taken[0] if self.taken else ()
        return _packed({name: np.array([each[name] for each in self.taken]) for name in names})

    @torch.no_grad()
    def _chances(
        self, seen: Mapping[str, np.ndarray], mask: np.ndarray
    ) -> tuple[np.ndarray, float]:
        tensors = {name: torch.from_numpy(each)[None] for name, each in seen.items()}
        logits, value = self.network(**tensors)
        logits = logits[0].masked_fill(~torch.from_numpy(mask), -torch.inf).double()
        return torch.softmax(logits, -1).numpy(), float(value)


def read_trace(text: str) -> dict[str, np.ndarray]:
    """Columns of a trace, a row a step: slots, overall, mask, action, log (of its chance), value."""
    with np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False) as held:
        return {name: held[name] for name in held.files}
