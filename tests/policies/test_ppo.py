"""The network over the menu, and its learning from whole episodes."""

import numpy as np
import pytest
import torch
from dataenv.policies.ppo import OBSERVATIONS, PPO
from dataenv.policies.slots import SlotNetwork, SlotPolicy, from_text, read_trace, to_text

from dataenv.env import DataEnv
from dataenv.errors import ConfigError
from dataenv.menu import MENU, RANKS, SUBMIT, TOPIC_KINDS, Entry
from dataenv.policy import run_episode
from dataenv.wrappers import DiscreteOperations

WRITE = MENU.index(Entry("write", 24, 0))


def test_every_rank_is_treated_alike():
    torch.manual_seed(0)
    network = SlotNetwork()
    for head in (network.of_topic, network.of_none):
        torch.nn.init.normal_(head.weight)
    seen = {name: torch.from_numpy(box.sample())[None] for name, box in OBSERVATIONS.items()}
    seen["slots"][..., 0] = torch.tensor([1.0] * 4 + [0.0] * (RANKS - 4))
    turned = torch.tensor([2, 0, 3, 1, 4, 5])
    logits, value = network(**seen)
    moved, same = network(seen["slots"][:, turned], seen["overall"])
    topics = logits[0, : RANKS * len(TOPIC_KINDS)].reshape(-1, RANKS)
    assert torch.allclose(
        moved[0, : topics.numel()].reshape(-1, RANKS), topics[:, turned], atol=1e-5
    )
    assert torch.allclose(moved[0, topics.numel() :], logits[0, topics.numel() :], atol=1e-5)
    assert torch.allclose(value, same, atol=1e-5)
    elsewhere = seen["slots"].clone()
    elsewhere[:, 4:, 1:] = 0.7  # where there is no topic nothing is read
    assert torch.allclose(network(elsewhere, seen["overall"])[1], value, atol=1e-5)


def test_the_policy_sees_and_does_what_the_wrapper_shows(make_env):
    torch.manual_seed(1)
    policy = SlotPolicy(to_text(SlotNetwork().state_dict()), traced=True)
    fields = {"pool": 40, "steps": 25, "calls": 300}
    episode = run_episode(make_env(**fields), policy, seed=5)
    trace, env = read_trace(policy.trace()), DiscreteOperations(make_env(**fields))
    seen, _ = env.reset(seed=5)
    rewards = []
    for step, number in enumerate(trace["action"]):
        assert (env.action_masks() == trace["mask"][step]).all() and trace["mask"][step][number]
        assert all((seen[name] == trace[name][step]).all() for name in seen)
        assert env.observation_space.contains(seen)
        seen, reward, *_ = env.step(number)
        rewards.append(reward)
    assert rewards == [step["reward"] for step in episode.steps]


def test_weights_survive_as_text_and_others_are_refused():
    network = SlotNetwork()
    again = from_text(to_text(network.state_dict()))
    assert all(torch.equal(again[name], each) for name, each in network.state_dict().items())
    with pytest.raises(ConfigError, match="no weights"):
        from_text("bm90aGluZw==")
    with pytest.raises(ConfigError, match="another network"):
        SlotPolicy(to_text({"slot.0.weight": torch.zeros(2, 2)}))


def test_what_pays_is_chosen_more_often():
    """Bandit episodes of one step: writing about the weakest topic pays, all else does not."""
    learner = PPO({"episodes": 48, "learning_rate": 3e-3, "batch": 24}, seed=0)
    seen = {name: np.full(box.shape, 0.3, np.float32) for name, box in OBSERVATIONS.items()}
    seen["slots"][0, 1] = -1.0
    mask, rng = np.ones(len(MENU), bool), np.random.default_rng(0)
    before = _chance(learner, seen, mask)
    for _ in range(12):
        learner.ask(lambda n: [None] * n)
        results = []
        for _ in range(48):
            policy = learner.policy(to_text(learner.network.state_dict()))
            chances, value = policy._chances(seen, mask)
            number = int(rng.choice(len(MENU), p=chances))
            log = float(np.log(chances[number]))
            step = {**seen, "mask": mask, "action": number, "log": log, "value": value}
            policy.taken = [step]
            results.append([{"trace": policy.trace(), "rewards": [float(number == WRITE)]}])
        said = learner.tell(results)
    assert _chance(learner, seen, mask) > 5 * before and np.isfinite(said["kl"])


def _chance(learner, seen, mask):
    return SlotPolicy(to_text(learner.network.state_dict()))._chances(seen, mask)[0][WRITE]


def test_learning_leaves_the_chance_of_the_process_alone():
    np.random.seed(3)
    torch.manual_seed(3)
    expected = np.random.random(), torch.rand(1)
    np.random.seed(3)
    torch.manual_seed(3)
    PPO({}, seed=9)
    assert (np.random.random(), torch.rand(1)) == expected


def test_a_learner_that_is_kept_learns_on_the_same(make_env):
    config = make_env(score_private=False).config
    env = DataEnv(config=config, student=make_env().student)

    def a_round(learner, seed):
        (_, (weights,)), *_ = learner.ask(lambda n: [None] * n)
        policy = learner.policy(weights)
        episode = run_episode(env, policy, seed)
        rewards = [step["reward"] for step in episode.steps]
        learner.tell([[{"trace": policy.trace(), "rewards": rewards}]])

    one = PPO({"episodes": 1}, seed=2)
    a_round(one, 0)
    other = PPO({"episodes": 1}, seed=2)
    other.load_state_dict(one.state_dict())
    for learner in (one, other):
        a_round(learner, 1)
    assert one.learned() == other.learned()
    assert one.state_dict()["optimiser"] == other.state_dict()["optimiser"]


def test_what_is_learned_plays_and_ends(make_env):
    learned = PPO({}, seed=1).learned()
    policies = [SlotPolicy.of(learned) for _ in range(2)]
    one, other = (run_episode(make_env(steps=12), policy, seed=2) for policy in policies)
    assert [s["action"] for s in one.steps] == [s["action"] for s in other.steps]
    assert one.outcome.ended in ("submitted", "steps") and not policies[0].taken
    assert len(MENU) - 1 == SUBMIT
