"""Settings as points of a vector space, and the search over them."""

import dataclasses

import numpy as np
import pytest
from dataenv.baselines.open_loop import OpenLoop, RecipeSearch, RecipeSettings
from dataenv.policies.belief import Settings
from dataenv.policies.cem import FeedbackSearch
from dataenv.policies.feedback import FeedbackPolicy
from dataenv.policies.settings import Space

from dataenv.errors import ConfigError, UnknownNameError
from dataenv.policy import run_episode


@pytest.mark.parametrize("cls", [Settings, RecipeSettings])
def test_defaults_and_any_point_survive_the_way_to_a_vector_and_back(cls):
    space, rng = Space(cls), np.random.default_rng(0)
    found = dataclasses.asdict(space.settings(space.vector(cls())))
    assert found == pytest.approx(dataclasses.asdict(cls()))
    for point in rng.normal(0, 2, (50, len(space.names))):
        settings = space.settings(point)
        again = space.settings(space.vector(settings))
        assert dataclasses.asdict(again) == pytest.approx(
            dataclasses.asdict(settings), abs=0.02, rel=0.03
        )
        assert space.read(dataclasses.asdict(settings)) == settings


def test_a_step_of_one_reaches_every_choice():
    """Ends that are choices of their own are not out of the search's reach."""
    space, rng = Space(RecipeSettings), np.random.default_rng(1)
    start = space.vector(RecipeSettings())
    drawn = [space.settings(start + rng.normal(0, 0.7, len(start))) for _ in range(300)]
    for name in ("solved", "pool", "direct"):
        zeros = sum(getattr(each, name) == 0 for each in drawn) / len(drawn)
        assert 0.1 < zeros < 0.9, name
    assert {each.votes for each in drawn} >= {0, 1, 2}
    assert {each.pool_checked for each in drawn} == {each.rest for each in drawn} == {True, False}


def test_values_out_of_their_range_and_unknown_names_are_refused():
    with pytest.raises(ConfigError, match=r"trust must be in 0\.1 to 1\.5, got 9"):
        Space(Settings).read({"trust": 9.0})
    with pytest.raises(UnknownNameError, match="'trsut'"):
        Space(Settings).read({"trsut": 0.3})
    with pytest.raises(ConfigError, match="vector"):
        Space(Settings).settings([0.0])


@pytest.mark.parametrize("search", [FeedbackSearch, RecipeSearch])
def test_the_method_finds_the_best_of_a_noisy_bowl(search):
    learner = search({"population": 24, "elite": 6, "scenes": 4, "spread": 1.0}, seed=3)
    rng = np.random.default_rng(4)
    goal = learner.mean + rng.normal(0, 1.0, len(learner.mean))

    def worth(x):
        return -float(np.mean((np.array(x) - goal) ** 2))

    before = worth(learner.mean)
    for _ in range(25):
        asked = learner.ask(lambda n: list(range(n)))
        results = [
            [{"return": worth(c) + rng.normal(0, 0.02) + scene} for c in candidates]
            for scene, candidates in asked
        ]
        said = learner.tell(results)
    assert worth(learner.mean) > 0.25 * before  # both are negative
    assert said["ahead"] > 0 and said["return"] > said["ahead"]


@pytest.mark.parametrize("domain", ["science", "code"])
@pytest.mark.parametrize(
    "fields", [{"pool": 60}, {"pool": 0, "calls": 120}, {"calls": 0, "pool": 60}]
)
def test_any_recipe_of_the_search_plays_a_clean_episode(domain, fields, make_env):
    rng, space = np.random.default_rng(5), RecipeSearch.space
    for point in rng.normal(0, 1.5, (6, len(space.names))):
        policy = OpenLoop(space.settings(point))
        episode = run_episode(make_env(domain, **fields), policy, seed=2)
        assert not [s["report"]["error"] for s in episode.steps if s["report"]["error"]], (
            policy.tuning
        )
        assert episode.outcome.evaluation, policy.tuning


@pytest.mark.parametrize("domain", ["science", "code"])
def test_any_closed_loop_of_the_search_plays_a_clean_episode(domain, make_env):
    rng, space = np.random.default_rng(6), FeedbackSearch.space
    for point in rng.normal(0, 1.5, (8, len(space.names))):
        policy = FeedbackPolicy(space.settings(point))
        episode = run_episode(make_env(domain, pool=60), policy, seed=3)
        assert not [s["report"]["error"] for s in episode.steps if s["report"]["error"]], (
            policy.tuning
        )
        assert episode.outcome.evaluation, policy.tuning


def test_unchecked_and_pool_rows_are_counted_by_topic(make_env):
    env = make_env(pool=200, calls=120, max_rows=64)
    policy = FeedbackPolicy(Settings(unchecked=True, pool=6, pool_price=0.3))
    run_episode(env, policy, seed=4)
    loose = env.submission()
    drawn = sum(row.provenance.operation == "pool" for row in loose)
    assert 0 < drawn <= 6 * len(env.task.topics)
    plain = FeedbackPolicy()
    run_episode(env, plain, seed=4)
    strict = env.submission()
    assert not any(plain.counts["pool"].values()) and not any(
        r.provenance.operation == "pool" for r in strict
    )
    assert _unchecked(loose) > _unchecked(strict)


def _unchecked(rows):
    written = [row for row in rows if row.provenance.operation == "generate"]
    return sum(not row.verified for row in written) / len(written)
