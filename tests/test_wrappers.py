"""Text in and out, and the discrete menu."""

import json

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gym_check
from stable_baselines3.common.env_checker import check_env as sb3_check

from dataenv.menu import MENU, SUBMIT, TRAIN, Entry
from dataenv.operations import OPERATIONS, tool_schemas
from dataenv.wrappers import DiscreteOperations, TextIO


def test_text_goes_in_and_the_report_comes_out(make_env):
    env = TextIO(make_env())
    text, _ = env.reset(seed=1)
    assert env.observation_space.contains(text) and "public score" in text
    text, *_ = env.step(json.dumps({"op": "generate", "brief": "easy problems", "n": 4}))
    assert "added 4" in text
    text, reward, *_ = env.step("{not json")
    assert "an action is a dict" in text and reward < 0


def test_sb3_accepts_the_discrete_menu(make_env):
    sb3_check(DiscreteOperations(make_env(steps=12)), warn=False)


def test_the_menu_is_small_and_submit_is_masked_until_half_the_trainings_are_used(make_env):
    env = DiscreteOperations(make_env(trainings=2))
    env.reset(seed=1)
    assert len(MENU) <= 64 and not env.action_masks()[SUBMIT]
    env.step(MENU.index(Entry("write", 24, 0)))
    env.step(TRAIN)
    assert env.unwrapped.evaluations and env.action_masks()[SUBMIT]


def test_unmasked_menu_entries_are_valid_operations(make_env):
    env = DiscreteOperations(make_env(steps=60, calls=400))
    env.reset(seed=2)
    rng = np.random.default_rng(0)
    for _ in range(40):
        action = int(rng.choice(np.flatnonzero(env.action_masks())))
        *_, terminated, truncated, info = env.step(action)
        assert info["report"].error == "", MENU[action]
        if terminated or truncated:
            env.reset()


def test_a_topic_of_which_the_pool_has_no_more_is_not_drawn_from_again(make_env):
    env = DiscreteOperations(make_env(steps=60, pool=20))
    env.reset(seed=2)
    draw = MENU.index(Entry("draw", 8, 0))
    for _ in range(20):
        if not env.action_masks()[draw]:
            break
        *_, info = env.step(draw)
    assert info["report"].error or not dict(info["report"].effect)["added"]
    assert not env.action_masks()[draw]


def test_maskable_ppo_learns_for_256_steps(make_env):
    from sb3_contrib import MaskablePPO

    env = DiscreteOperations(make_env(steps=10, trainings=2, score_private=False))
    model = MaskablePPO("MultiInputPolicy", env, n_steps=64, batch_size=32, n_epochs=1, seed=0)
    model.learn(256)
    assert model.num_timesteps >= 256


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_has_a_described_closed_schema(name):
    schema = OPERATIONS[name].schema()
    assert OPERATIONS[name].description and schema["additionalProperties"] is False
    assert all(each["description"] for each in schema["properties"].values())
    assert any(tool["function"]["name"] == name for tool in tool_schemas())


def test_gymnasium_accepts_the_discrete_menu(make_env):
    gym_check(DiscreteOperations(make_env(steps=12)), skip_render_check=True)
