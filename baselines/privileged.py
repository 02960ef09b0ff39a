"""How much there is to win: the best that is known, by a search that sees hidden scores.

No competitor: it plays whole episodes in forks, of recipes and of plans that it draws, looks at the
hidden reward items as well as the public ones, and does what went best. Each fork keeps to the budgets
of one episode, so that what it finds could have been done, had one known. The private items stay unseen, so that its private score is not the
luckiest of many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from dataenv.baselines.fixed import REST, Headroom, Mirror, Recipe
from dataenv.policies.feedback import FeedbackPolicy

from dataenv.episode import Scores
from dataenv.errors import ConfigError
from dataenv.evaluation import EvalReport
from dataenv.hashing import seed_of
from dataenv.policy import Briefing, Policy, Remembers, more_like_topics


@dataclass(frozen=True)
class Way:
    """Where a topic's rows come from, and how they are made sure of.

    Args:
        odds: Of its being drawn, at first.
        asked: Who is asked once more for each row; empty: nobody.
        check: How.
        from_pool: Whether the rows are drawn from the pool; otherwise the teacher writes them.
    """

    odds: float
    asked: str = ""
    check: Mapping[str, Any] = field(default_factory=dict)
    from_pool: bool = False


AGAIN: dict[str, Any] = {"op": "verify"}
ANEW: dict[str, Any] = {"op": "rewrite", "to": "worked", "by": "second"}
EXECUTED: dict[str, Any] = {"op": "verify", "by": "execution"}
WAYS = {
    "plain": Way(0.1),
    "asked again": Way(0.4, "teacher", AGAIN),
    "second": Way(0.25, "second", ANEW),
    "execution": Way(0.05, "execution", EXECUTED),
    "pool": Way(0.1, from_pool=True),
    "pool, asked again": Way(0.05, "teacher", AGAIN, from_pool=True),
    "pool, second": Way(0.05, "second", ANEW, from_pool=True),
}
STYLES = {"worked": 0.9, "direct": 0.1}
ORDERS = {"shuffle": 0.6, "short_first": 0.2, "long_first": 0.2}
RESTS = {"second": 0.6, "kept": 0.4}
"""What becomes of calls that are left: solutions of the second teacher, or nothing."""
USUAL = ("worked", "shuffle", "kept")
RIVALS: tuple[Callable[[], Policy], ...] = (Mirror, Headroom, FeedbackPolicy)
"""Who is tried besides the plans: what they do is known, too."""
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
        rest: One of `RESTS`.
    """

    logits: tuple[float, ...]
    ways: tuple[str, ...]
    style: str
    order: str
    rest: str

    def actions(self, briefing: Briefing) -> list[dict[str, Any]]:
        """The operations of a whole episode, but for the submission."""
        weights = np.exp(np.array(self.logits) - max(self.logits))
        shares = dict(zip(briefing.task.topics, weights / weights.sum(), strict=True))
        ways = dict(zip(briefing.task.topics, self.ways, strict=True))
        room = SPARE * briefing.limits["max_rows"]
        if briefing.limits["calls"]:
            price = sum(share * _price(ways[topic], briefing) for topic, share in shares.items())
            room = min(room, briefing.limits["calls"] / price) if price else room
        actions: list[dict[str, Any]] = []
        for topic, share in sorted(shares.items(), key=lambda pair: -pair[1]):
            way, n = WAYS[ways[topic]], int(share * room)
            brought = more_like_topics({topic: n}, briefing, way.from_pool)
            actions += [
                {**each, "style": self.style} if each["op"] == "generate" else each
                for each in brought
            ]
            if brought and way.check:  # what reads like the topic may be more than came in for it
                actions.append({**way.check, "topic": topic, "n": n})
        solve = {"op": "rewrite", "to": "worked", "by": "second", "n": REST}
        rest = [solve] if self.rest == "second" and "second" in briefing.prices else []
        return [
            *actions,
            {"op": "dedup"},
            *rest,
            {"op": "order", "by": self.order},
            {"op": "train"},
        ]


def _price(way: str, briefing: Briefing) -> int:
    """Calls that a row costs, brought in and made sure of."""
    chosen = WAYS[way]
    return (not chosen.from_pool) + (briefing.prices[chosen.asked] if chosen.asked else 0)


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
        self.ways = [_normalised({way: WAYS[way].odds for way in ways}) for _ in shares]
        self.styles, self.orders, self.rests = dict(STYLES), dict(ORDERS), dict(RESTS)

    def draw(self) -> Plan:
        """A plan."""
        logits = self.rng.normal(self.mean, self.spread)
        ways = tuple(self._pick(chances) for chances in self.ways)
        others = (self._pick(each) for each in (self.styles, self.orders, self.rests))
        return Plan(tuple(logits), ways, *others)

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
        self.rests = _towards(self.rests, [plan.rest for plan in best])

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


class Planned(Recipe):
    """A plan as a controller.

    Args:
        written: The plan.
    """

    name = "planned"

    def __init__(self, written: Plan) -> None:
        self.written = written

    def plan(self, briefing: Briefing) -> list[dict[str, Any]]:
        """Its operations."""
        return self.written.actions(briefing)


Tried = tuple[float, list[dict[str, Any]]]
"""A hidden score, and the operations that led to it."""


class Privileged(Remembers):
    """The cross-entropy method over allocations, checks, styles and orders, on hidden scores; or what
    one of `RIVALS` does, if that goes better.

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
        """Plays recipes and plans in forks.

        Raises:
            ConfigError: There are no hidden items to search on.
        """
        if not env.task.reward:
            raise ConfigError("privileged searches on hidden reward items; there are none")
        self.cost = {"episodes": 0, "calls": 0}
        tried = [*(self._play(env, make()) for make in RIVALS), self._search(env)]
        self.queue = [*max(tried, key=lambda each: each[0])[1], {"op": "submit"}]

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next operation of what went best."""
        return self.queue.pop(0)

    def _search(self, env: Any) -> Tried:
        task, prices = self.briefing.task, self.briefing.prices
        counts = [sum(item.topic == topic for item in task.public) for topic in task.topics]
        shares = [count / len(task.public) for count in counts]
        ways = [
            name
            for name, way in WAYS.items()
            if (not way.asked or way.asked in prices) and (task.pool or not way.from_pool)
        ]
        rng = np.random.default_rng(seed_of("privileged", self.briefing.seed))
        chances = Chances(shares, ways, rng)
        proportional = [Plan(tuple(np.log(shares)), (w,) * len(shares), *USUAL) for w in ways]
        tried: list[tuple[Tried, Plan]] = []
        for generation in range(self.generations):
            plans = [] if generation else proportional
            plans = plans + [chances.draw() for _ in range(self.population - len(plans))]
            tried += [(self._play(env, Planned(plan)), plan) for plan in plans]
            tried.sort(key=lambda pair: -pair[0][0])
            chances.follow([plan for _, plan in tried[: self.elite]])
        return tried[0][0]

    def _play(self, env: Any, policy: Policy) -> Tried:
        """What a controller does in a fork, up to its submission."""
        fork, actions, ended = env.fork(), [], False
        policy.begin(self.briefing)
        while not ended:
            action = policy.act({}, fork.report)  # those that are tried read reports only
            if action["op"] == "submit":
                break
            ended = fork.step(action)[3]
            actions.append(action)
        self.cost["episodes"] += 1
        self.cost["calls"] += fork.broker.used
        return _hidden_score(fork.evaluations), actions


def _hidden_score(evaluations: Sequence[Scores]) -> float:
    """The score on public and reward items of what would be submitted, the best by public score; -1
    if nothing was trained."""
    if not evaluations:
        return -1.0
    best = max(evaluations, key=lambda each: each.public.score)
    both = (best.public, best.reward)
    return sum(e.score * len(e.correct) for e in both) / sum(len(e.correct) for e in both)
