"""How much there is to win: the best plan of a search that sees hidden scores.

No competitor: the search plays whole episodes in forks and looks at the hidden reward items as well
as the public ones. It keeps to the budgets of one episode in each fork, so that what it finds could
have been done, had one known. The private items stay unseen, so that its private score is not the
luckiest of many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataenv.errors import ConfigError
from dataenv.evaluation import EvalReport
from dataenv.hashing import seed_of
from dataenv.policy import Briefing, Remembers, more_like_topics

WAYS: dict[str, tuple[str, tuple[dict[str, Any], ...]]] = {
    "plain": ("", ()),
    "asked again": ("teacher", ({"op": "verify"},)),
    "second": ("second", ({"op": "rewrite", "to": "worked", "by": "second"},)),
    "execution": ("execution", ({"op": "verify", "by": "execution"},)),
}
"""Ways to make sure of a topic's rows: who is asked once more for each, and how."""
WAY_ODDS = {"plain": 0.1, "asked again": 0.5, "second": 0.3, "execution": 0.1}
STYLES = {"worked": 0.9, "direct": 0.1}
ORDERS = {"shuffle": 0.6, "short_first": 0.2, "long_first": 0.2}
USUAL = ("worked", "shuffle")
SPARE = 1.3
"""Rows bought for a place in the set: some are dropped."""
MIXING = 0.5
"""How far chances move towards what the best plans chose."""


@dataclass(frozen=True)
class Plan:
    """A recipe in numbers.

    Args:
        logits: Of the topics' shares of the rows.
        ways: Names of `WAYS`, by topic.
        style: How the teacher is to solve.
        order: How the set is ordered.
    """

    logits: tuple[float, ...]
    ways: tuple[str, ...]
    style: str
    order: str

    def actions(self, briefing: Briefing) -> list[dict[str, Any]]:
        """The operations of a whole episode, but for the submission."""
        weights = np.exp(np.array(self.logits) - max(self.logits))
        shares = dict(zip(briefing.task.topics, weights / weights.sum(), strict=True))
        ways = dict(zip(briefing.task.topics, self.ways, strict=True))
        room = SPARE * briefing.limits["max_rows"]
        if briefing.limits["calls"]:
            price = sum(share * _price(ways[topic], briefing) for topic, share in shares.items())
            room = min(room, briefing.limits["calls"] / price)
        actions: list[dict[str, Any]] = []
        for topic, share in sorted(shares.items(), key=lambda pair: -pair[1]):
            writes = more_like_topics({topic: int(share * room)}, briefing)
            if briefing.limits["calls"]:
                writes = [{**write, "style": self.style} for write in writes]
            checks = WAYS[ways[topic]][1] if writes else ()
            # what reads like the topic may be more than was written for it
            bounded = ({**check, "topic": topic, "n": int(share * room)} for check in checks)
            actions += [*writes, *bounded]
        return [*actions, {"op": "dedup"}, {"op": "order", "by": self.order}, {"op": "train"}]


def _price(way: str, briefing: Briefing) -> int:
    """Calls that a row costs, written and made sure of."""
    return 1 + (briefing.prices[WAYS[way][0]] if WAYS[way][0] else 0)


class Chances:
    """Where plans are drawn from; moved towards the best of them.

    Args:
        shares: Of the topics among the public items.
        ways: Names of `WAYS` that the task allows.
        rng: Source of all chance.
    """

    def __init__(
        self, shares: Sequence[float], ways: Sequence[str], rng: np.random.Generator
    ) -> None:
        self.rng = rng
        self.mean, self.spread = np.log(shares), np.full(len(shares), 0.7)
        self.ways = [_normalised({way: WAY_ODDS[way] for way in ways}) for _ in shares]
        self.styles, self.orders = dict(STYLES), dict(ORDERS)

    def draw(self) -> Plan:
        """A plan."""
        logits = self.rng.normal(self.mean, self.spread)
        ways = tuple(self._pick(chances) for chances in self.ways)
        return Plan(tuple(logits), ways, self._pick(self.styles), self._pick(self.orders))

    def follow(self, best: Sequence[Plan]) -> None:
        """Moves towards the best plans so far."""
        logits = np.array([plan.logits for plan in best])
        self.mean, self.spread = logits.mean(0), logits.std(0) + 0.1
        self.ways = [
            _towards(chances, [plan.ways[n] for plan in best])
            for n, chances in enumerate(self.ways)
        ]
        self.styles = _towards(self.styles, [plan.style for plan in best])
        self.orders = _towards(self.orders, [plan.order for plan in best])

    def _pick(self, chances: Mapping[str, float]) -> str:
        return str(self.rng.choice(list(chances), p=list(chances.values())))


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _towards(chances: Mapping[str, float], chosen: Sequence[str]) -> dict[str, float]:
    return {
        name: (1 - MIXING) * chance + MIXING * chosen.count(name) / len(chosen)
        for name, chance in chances.items()
    }


class Privileged(Remembers):
    """The cross-entropy method over allocations, checks, styles and orders, on hidden scores.

    Args:
        population, generations, elite: Plans a generation, how many of them, and how many of the
            best shape the next.
    """

    name = "privileged"
    remembered = ("queue", "cost")

    def __init__(self, population: int = 12, generations: int = 4, elite: int = 4) -> None:
        self.population, self.generations, self.elite = population, generations, elite
        self.cost: dict[str, int] = {}

    def begin(self, briefing: Briefing) -> None:
        """Starts anew."""
        self.briefing = briefing

    def use_reference(self, env: Any) -> None:
        """Searches in forks.

        Raises:
            ConfigError: There are no hidden items to search on.
        """
        if not env.task.reward:
            raise ConfigError("privileged searches on hidden reward items; there are none")
        self.cost = {"episodes": 0, "calls": 0}
        self.queue = [*self._search(env).actions(self.briefing), {"op": "submit"}]

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next operation of the best plan."""
        return self.queue.pop(0)

    def _search(self, env: Any) -> Plan:
        task, prices = self.briefing.task, self.briefing.prices
        counts = [sum(item.topic == topic for item in task.public) for topic in task.topics]
        shares = [count / len(task.public) for count in counts]
        ways = [way for way, (who, _) in WAYS.items() if not who or who in prices]
        rng = np.random.default_rng(seed_of("privileged", self.briefing.seed))
        chances = Chances(shares, ways, rng)
        proportional = [Plan(tuple(np.log(shares)), (w,) * len(shares), *USUAL) for w in ways]
        tried: list[tuple[float, Plan]] = []
        for generation in range(self.generations):
            plans = [] if generation else proportional
            plans = plans + [chances.draw() for _ in range(self.population - len(plans))]
            tried += [(self._score(env, plan), plan) for plan in plans]
            tried.sort(key=lambda pair: -pair[0])
            chances.follow([plan for _, plan in tried[: self.elite]])
        return tried[0][1]

    def _score(self, env: Any, plan: Plan) -> float:
        """The score on public and reward items; -1 for a set that cannot be trained on."""
        fork = env.fork()
        for action in plan.actions(self.briefing):
            if fork.step(action)[3]:
                break  # out of steps
        self.cost["episodes"] += 1
        self.cost["calls"] += fork.broker.used
        if not fork.evaluations:
            return -1.0
        scores = fork.evaluations[-1]
        both = (scores.public, scores.reward)
        return sum(e.score * len(e.correct) for e in both) / sum(len(e.correct) for e in both)
