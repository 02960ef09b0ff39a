"""Every controller that ships plays a whole episode without an invalid action."""

import pytest

from dataenv.policy import run_episode
from dataenv.registry import make_policy, policy_table


@pytest.mark.parametrize("domain", ["science", "code", "finance"])
@pytest.mark.parametrize("name", sorted(policy_table()))
def test_a_controller_plays_a_clean_episode(name, domain, make_env):
    episode = run_episode(make_env(domain), make_policy(name), seed=3)
    assert not any(step["report"]["error"] for step in episode.steps)
    assert episode.outcome.evaluation and episode.outcome.ended == "submitted"


def test_the_same_seed_plays_the_same_episode(make_env):
    one, other = (run_episode(make_env(), make_policy("random"), seed=5) for _ in range(2))
    assert one.steps == other.steps and one.outcome == other.outcome
