"""Proximal policy optimisation over the menu, with whole episodes as rollouts (Schulman et al., 2017).

The update is that of sb3-contrib's MaskablePPO. Rollouts are not: a step of this environment takes from
milliseconds to seconds, so environments that step together wait for each other; episodes that are played
apart do not.
"""

from __future__ import annotations

import base64
import contextlib
import io
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from dataenv.policies.slots import SlotNetwork, SlotPolicy, from_text, read_trace, to_text
from gymnasium import spaces

from dataenv.config import from_mapping, require
from dataenv.errors import ConfigError
from dataenv.hashing import seed_of
from dataenv.menu import MENU, OVERALL_FEATURES, RANKS, SLOT_FEATURES
from dataenv.policy import Policy
from dataenv.runs.learning import Asked, Scene


@dataclass(frozen=True)
class PPOSettings:
    """How the method learns. Rewards are not discounted."""

    episodes: int = 24
    """A round."""
    epochs: int = 8
    """Passes over a round's steps."""
    batch: int = 64
    """Steps of a gradient, about."""
    learning_rate: float = 1e-3
    """Adam's."""
    entropy: float = 0.01
    """Weight of the entropy."""
    gae_lambda: float = 0.95
    """Of generalised advantages (Schulman et al., 2016)."""
    clip: float = 0.2
    """Largest change of a ratio of chances that pays."""

    def __post_init__(self) -> None:
        for name in ("episodes", "epochs"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.batch >= 2, "batch", self.batch, "at least 2")
        require(0 < self.learning_rate < 1, "learning_rate", self.learning_rate, "in (0, 1)")
        require(0 < self.gae_lambda <= 1, "gae_lambda", self.gae_lambda, "in (0, 1]")


class PPO:
    """The method.

    Args:
        settings: Fields of `PPOSettings`.
        seed: Of all chance.

    Raises:
        ConfigError: sb3-contrib is not installed.
    """

    kind = "ppo"

    def __init__(self, settings: Mapping[str, Any], seed: int) -> None:
        self.settings, self.seed, self.round = from_mapping(PPOSettings, settings), seed, 0
        self.model = _model(self.settings, seed_of("ppo", seed) % 2**31)

    @property
    def network(self) -> SlotNetwork:
        """What is learned."""
        return self.model.policy.slots

    def ask(self, scenes: Callable[[int], list[Scene]]) -> Asked:
        """Episodes of the policy as it is, each in a scene of its own."""
        weights = to_text(self.network.state_dict())
        return [(scene, [weights]) for scene in scenes(self.settings.episodes)]

    @staticmethod
    def policy(candidate: Any) -> Policy:
        """The policy of some weights, drawing its entries by chance."""
        return SlotPolicy(candidate, traced=True)

    def tell(self, results: Sequence[Sequence[Mapping[str, Any]]]) -> Mapping[str, float]:
        """Learns from the episodes."""
        episodes = [(read_trace(e["trace"]), e["rewards"]) for scene in results for e in scene]
        self.model.rollout_buffer, size = self._rollout(episodes), sum(len(r) for _, r in episodes)
        self.model.batch_size = -(-size // max(1, size // self.settings.batch))
        with own_chance():
            np.random.seed(seed_of("ppo update", self.seed, self.round) % 2**32)  # shuffles batches
            self.model.train()
        self.round += 1
        logged = self.model.logger.name_to_value
        return {
            "return": float(np.mean([sum(rewards) for _, rewards in episodes])),
            "length": size / len(episodes),
            "entropy": -float(logged["train/entropy_loss"]),
            "kl": float(logged["train/approx_kl"]),
            "explained": float(logged["train/explained_variance"]),
        }

    def _rollout(self, episodes: Sequence[tuple[Mapping[str, np.ndarray], Sequence[float]]]) -> Any:
        from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer

        size = sum(len(rewards) for _, rewards in episodes)
        lam, box = self.settings.gae_lambda, (OBSERVATIONS, spaces.Discrete(len(MENU)))
        buffer = MaskableDictRolloutBuffer(size, *box, device="cpu", gae_lambda=lam, gamma=1.0)
        for trace, rewards in episodes:
            for step, reward in enumerate(rewards):
                buffer.add(
                    {name: trace[name][step][None] for name in OBSERVATIONS.spaces},
                    trace["action"][step].reshape(1, 1),
                    np.array([reward]),
                    np.array([float(step == 0)]),
                    torch.tensor([float(trace["value"][step])]),
                    torch.tensor([float(trace["log"][step])]),
                    action_masks=trace["mask"][step],
                )
        buffer.compute_returns_and_advantage(torch.zeros(1), np.ones(1))
        return buffer

    def learned(self) -> dict[str, Any]:
        """The weights."""
        return {"policy": self.kind, "weights": to_text(self.network.state_dict())}

    def begin_with(self, learned: Mapping[str, Any]) -> None:
        """Starts from weights that were learned before, with a fresh optimiser.

        Raises:
            ConfigError: They are of another kind.
        """
        if learned.get("policy") != self.kind:
            raise ConfigError(f"start holds a {learned.get('policy')!r}, not a {self.kind!r}")
        self.network.load_state_dict(from_text(learned["weights"]))

    def state_dict(self) -> dict[str, Any]:
        """Weights, the optimiser's state and the round."""
        packed = io.BytesIO()
        torch.save(self.model.policy.optimizer.state_dict(), packed)
        optimiser = base64.b64encode(packed.getvalue()).decode()
        weights = to_text(self.network.state_dict())
        return {"weights": weights, "optimiser": optimiser, "round": self.round}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.network.load_state_dict(from_text(state["weights"]))
        packed = io.BytesIO(base64.b64decode(state["optimiser"]))
        self.model.policy.optimizer.load_state_dict(torch.load(packed, weights_only=True))
        self.round = state["round"]


OBSERVATIONS = spaces.Dict(
    {
        "slots": spaces.Box(-1.0, 1.0, (RANKS, SLOT_FEATURES), np.float32),
        "overall": spaces.Box(-1.0, 1.0, (OVERALL_FEATURES,), np.float32),
    }
)


@contextlib.contextmanager
def own_chance() -> Iterator[None]:
    """Leaves the random states of the process as they were: sb3 seeds and draws from all of them."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _model(settings: PPOSettings, seed: int) -> Any:
    """sb3-contrib's method around a `SlotNetwork`; it plays nothing itself."""
    try:
        from sb3_contrib import MaskablePPO
        from stable_baselines3.common.logger import Logger
    except ImportError as error:
        raise ConfigError(
            "the learner ppo needs sb3-contrib; install it: pip install 'dataenv-gym[rl]'"
        ) from error
    model: Any = MaskablePPO(
        _policy_class(),
        None,  # type: ignore[arg-type]
        n_steps=2,
        n_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        ent_coef=settings.entropy,
        clip_range=settings.clip,
        gamma=1.0,
        gae_lambda=settings.gae_lambda,
        seed=seed,
        device="cpu",
        _init_setup_model=False,
    )
    model.observation_space, model.action_space = OBSERVATIONS, spaces.Discrete(len(MENU))
    model.n_envs = 1
    with own_chance():
        model._setup_model()  # as its `load` does where there is no environment
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def _policy_class() -> type:
    """`SlotNetwork` as a policy of sb3-contrib, which is imported only where something is learned."""
    from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy

    class MaskableSlotPolicy(MaskableMultiInputActorCriticPolicy):
        def _build(self, lr_schedule: Any) -> None:
            self.slots = SlotNetwork()
            self.optimizer = self.optimizer_class(  # type: ignore[call-arg]
                self.slots.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs
            )

        def evaluate_actions(self, obs, actions, action_masks=None):
            logits, values = self.slots(obs["slots"], obs["overall"])
            chances = self.action_dist.proba_distribution(action_logits=logits)
            chances.apply_masking(action_masks)
            return values, chances.log_prob(actions), chances.entropy()

    return MaskableSlotPolicy
