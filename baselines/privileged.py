"""How much there is to win: the best plan of a search that may see the private score.

No competitor: the search plays whole episodes in forks and looks at their outcomes. It keeps to the
budgets of one episode in each of them, so that what it finds could have been done, had one known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataenv.errors import ConfigError
from dataenv.evaluation import EvalReport
from dataenv.hashing import seed_of
from dataenv.policy import Briefing, affordable_rows, more_like_topics

CHECKS = {"none": 0, "teacher": 1, "second": 3, "execution": 4}
"""Ways to check a row, and the calls that each costs."""
ORDERS = ("shuffle", "short_first", "long_first")


@dataclass(frozen=True)
class Plan:
    """A recipe in numbers.

    Args:
        shares: Of the rows, by topic.
        check: A name of `CHECKS`.
        order: A way to order the set.
    """

    shares: Mapping[str, float]
    check: str
    order: str

    def actions(self, briefing: Briefing) -> list[dict[str, Any]]:
        """The operations of a whole episode."""
        rows = affordable_rows(briefing, CHECKS[self.check])
        ranked = sorted(self.shares.items(), key=lambda pair: -pair[1])
        actions = more_like_topics({t: round(share * rows) for t, share in ranked}, briefing)
        if CHECKS[self.check]:
            actions.append({"op": "verify", "by": self.check})
        if self.order != "shuffle":
            actions.append({"op": "order", "by": self.order})
        return [*actions, {"op": "dedup"}, {"op": "train"}, {"op": "submit"}]


class Privileged:
    """The cross-entropy method over allocations, checks and orders, on the private score.

    Args:
        population, generations, elite: Plans a generation, how many of them, and how many of the
            best shape the next.
    """

    name = "privileged"

    def __init__(self, population: int = 12, generations: int = 4, elite: int = 4) -> None:
        self.population, self.generations, self.elite = population, generations, elite
        self.cost: dict[str, int] = {}

    def begin(self, briefing: Briefing) -> None:
        """Starts anew."""
        self.briefing = briefing

    def use_reference(self, env: Any) -> None:
        """Searches in forks.

        Raises:
            ConfigError: Private items are not scored.
        """
        if not env.config.score_private:
            raise ConfigError("privileged looks at the private score; set score_private=True")
        self.cost = {"episodes": 0, "calls": 0}
        self.queue = self._search(env).actions(self.briefing)

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next operation of the best plan."""
        return self.queue.pop(0)

    def _search(self, env: Any) -> Plan:
        rng = np.random.default_rng(seed_of("privileged", self.briefing.seed))
        topics = self.briefing.task.topics
        known = (
            ("none", "teacher", *env.broker.experts) if self.briefing.limits["calls"] else ("none",)
        )
        env.prepare_private()  # once for all forks
        mean = np.log([sum(i.topic == t for i in self.briefing.task.public) for t in topics])
        spread = np.ones(len(topics))
        checks = np.full(len(known), 1 / len(known))
        orders = np.array([0.6, 0.2, 0.2])
        tried: list[tuple[float, np.ndarray, int, int]] = []
        for _ in range(self.generations):
            for _ in range(self.population):
                logits = rng.normal(mean, spread)
                check, order = rng.choice(len(known), p=checks), rng.choice(len(ORDERS), p=orders)
                plan = self._plan(topics, logits, known[check], ORDERS[order])
                tried.append((self._private_score(env, plan), logits, check, order))
            best = sorted(tried, key=lambda each: -each[0])[: self.elite]
            chosen = np.array([logits for _, logits, _, _ in best])
            mean, spread = chosen.mean(0), chosen.std(0) + 0.15
            checks = _towards(checks, [each[2] for each in best])
            orders = _towards(orders, [each[3] for each in best])
        _, logits, check, order = best[0]
        return self._plan(topics, logits, known[check], ORDERS[order])

    @staticmethod
    def _plan(topics: tuple[str, ...], logits: np.ndarray, check: str, order: str) -> Plan:
        weights = np.exp(logits - logits.max())
        return Plan(dict(zip(topics, weights / weights.sum(), strict=True)), check, order)

    def _private_score(self, env: Any, plan: Plan) -> float:
        fork = env.fork()
        for action in plan.actions(self.briefing):
            fork.step(action)
        self.cost["episodes"] += 1
        self.cost["calls"] += fork.broker.used
        return fork.outcome.final[1]


def _towards(chances: np.ndarray, chosen: list[int]) -> np.ndarray:
    """Chances half-way to the frequencies of what was chosen."""
    frequencies = np.bincount(chosen, minlength=len(chances)) / len(chosen)
    return (chances + frequencies) / 2
