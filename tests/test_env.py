"""The environment's contract."""

import json
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from dataenv.policies.random_policy import RandomPolicy
from gymnasium.utils.env_checker import check_env

import dataenv
from dataenv.errors import ConfigError
from dataenv.policy import run_episode
from dataenv.presets import OFFLINE, PRESETS, SURROGATE

SMALL = {
    "public": 8,
    "reward": 8,
    "private": 8,
    "seeds": 8,
    "retention": 2,
    "min_rows": 4,
    "max_rows": 8,
    "calls": 400,
    "trainings": 3,
}
PLAN = [
    {"op": "generate", "brief": "easy problems", "n": 24},
    {"op": "verify"},
    {"op": "train"},
    {"op": "label", "n": 6},
    {"op": "train"},
    {"op": "submit"},
]


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def play(env, actions):
    """All that is visible after each action."""
    return [env.step(action) for action in actions]


@pytest.mark.parametrize("domain", ["science", "code", "finance"])
def test_check_env_accepts_every_domain(domain, make_env):
    check_env(make_env(domain), skip_render_check=True)


@pytest.mark.parametrize("name", [n for n, f in PRESETS.items() if f["domain"] in OFFLINE])
def test_random_rollout_of_200_steps_on_every_id_never_raises(name, tiny_path):
    surrogate = PRESETS[name].get("laboratory") == SURROGATE  # of its own student alone
    student = {} if surrogate else {"student": str(tiny_path)}
    env = gym.make(name, **student, **SMALL, steps=400, disable_env_checker=True)
    env.reset(seed=1)
    env.action_space.seed(1)
    for step in range(200):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation) and np.isfinite(reward)
        if terminated or truncated:
            assert info["outcome"].ended
            env.reset(seed=step)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vector_environments_deliver_whole_reports_and_outcomes(mode, tiny_path):
    envs = gym.make_vec(
        "dataenv/Science-fast-v0",
        num_envs=2,
        vectorization_mode=mode,
        student=str(tiny_path),
        **SMALL,
    )
    try:
        _, infos = envs.reset(seed=3)
        assert [report.n for report in infos["report"]] == [8, 8]
        _, _, terminated, _, infos = envs.step(({"op": "submit"}, {"op": "submit"}))
        assert terminated.all()
        assert [outcome.flags for outcome in infos["outcome"]] == [("no_submission",)] * 2
    finally:
        envs.close()


def test_same_seed_gives_the_same_everything(make_env):
    one, other = make_env(), make_env()
    (first, info), (second, other_info) = one.reset(seed=5), other.reset(seed=5)
    assert same(first, second) and info["report"] == other_info["report"]
    for mine, theirs in zip(play(one, PLAN), play(other, PLAN), strict=True):
        assert same(mine[0], theirs[0]) and mine[1:4] == theirs[1:4] and mine[4] == theirs[4]
    assert one.submission().digest == other.submission().digest


def test_another_seed_is_another_target(make_env):
    env = make_env()
    env.reset(seed=1)
    first = env.task.target
    env.reset(seed=2)
    assert env.task.target != first


def test_a_snapshot_restored_in_a_new_process_continues_identically(make_env, tiny_path, tmp_path):
    env = make_env()
    env.reset(seed=7)
    play(env, PLAN[:3])
    (tmp_path / "snapshot.json").write_text(json.dumps(env.snapshot()))
    rest = play(env, PLAN[3:])
    script = f"""
import json, sys
from dataenv.config import from_mapping
from dataenv.env import DataEnv
from dataenv.presets import EnvConfig
from dataenv.students.local import LocalStudent
snapshot = json.load(open({str(tmp_path / "snapshot.json")!r}))
env = DataEnv(config=from_mapping(EnvConfig, snapshot["config"]),
              student=LocalStudent({str(tiny_path)!r}, "tiny"))
env.restore(snapshot)
steps = [env.step(action) for action in {PLAN[3:]!r}]
print(json.dumps([[s[1], s[4]["report"].to_dict(), {{k: v.tolist() for k, v in s[0].items()}}]
                  for s in steps] + [env.submission().digest, env.outcome.to_dict()]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    wanted = [
        [s[1], s[4]["report"].to_dict(), {k: v.tolist() for k, v in s[0].items()}] for s in rest
    ]
    wanted += [env.submission().digest, env.outcome.to_dict()]
    assert found == json.loads(json.dumps(wanted))


def test_a_snapshot_of_the_end_knows_which_set_was_submitted(make_env):
    env, other = make_env(), make_env()
    env.reset(seed=7)
    play(env, [*PLAN[:3], PLAN[0], {"op": "train"}, {"op": "submit", "evaluation": 2}])
    other.restore(json.loads(json.dumps(env.snapshot())))
    assert env.evaluations[0].rows.digest != env.submission().digest == other.submission().digest


def test_a_fork_does_not_touch_its_parent(make_env):
    env = make_env()
    env.reset(seed=2)
    play(env, PLAN[:1])
    before = json.dumps(env.snapshot(), default=str)
    twin = env.fork()
    assert twin.working_set.digest == env.working_set.digest
    play(twin, PLAN[1:])
    assert json.dumps(env.snapshot(), default=str) == before
    assert [s[1] for s in play(env, PLAN[1:])] == [entry["reward"] for entry in twin.log[1:]]


def test_the_return_is_the_hidden_improvement_of_the_submission(make_env):
    env = make_env()
    env.reset(seed=4)
    rewards = [step[1] for step in play(env, PLAN)]
    best = env.evaluations[env.outcome.evaluation - 1]
    assert sum(rewards) == pytest.approx(best.reward.score - env._base.reward.score)


def test_final_mode_pays_the_same_sum_at_the_end(make_env):
    dense, final = make_env(), make_env(reward_mode="final")
    for env in (dense, final):
        env.reset(seed=4)
    rewards = [step[1] for step in play(final, PLAN)]
    assert rewards[:-1] == [0.0] * 5
    assert rewards[-1] == pytest.approx(sum(step[1] for step in play(dense, PLAN)))


def test_using_up_the_steps_truncates_and_still_scores(make_env):
    env = make_env(steps=2)
    env.reset(seed=1)
    steps = play(env, PLAN[:2])
    assert [s[2:4] for s in steps] == [(False, False), (False, True)]
    outcome = steps[-1][4]["outcome"]
    assert outcome.ended == "steps" and outcome.final[1] is not None and outcome.evaluation is None


def test_exhausted_budgets_mask_operations_and_do_not_end_the_episode(make_env):
    env = make_env(calls=24, trainings=1)
    env.reset(seed=1)
    steps = play(env, [PLAN[0], PLAN[0], PLAN[2], PLAN[2]])
    assert not any(s[2] or s[3] for s in steps)
    assert "24 teacher calls, 0 are left" in steps[1][4]["report"].error
    assert "no training is left" in steps[3][4]["report"].error
    assert not env.operation_mask()["generate"] and not env.operation_mask()["train"]


def test_too_small_a_set_is_an_unsuccessful_attempt_and_costs_no_training(make_env):
    env = make_env()
    env.reset(seed=1)
    step = play(env, [{"op": "train"}, *PLAN])[0]
    assert "0 rows; 8 are needed" in step[4]["report"].error
    assert (env.outcome.attempts, env.outcome.successful, env.outcome.mats) == (3, 2, 1.5)


BAD = [
    ({"op": "generat", "n": 1}, "Did you mean 'generate'"),
    ({"op": "select"}, "needs the argument 'n'"),
    ({"op": "generate", "brief": "x", "n": "many"}, "must be a whole number"),
    ({"op": "generate", "brief": "x", "n": 10**9}, "It must be 1 to 256"),
    ({"op": "dedup", "level": "near", "threshold": float("nan")}, "It must be 0.5 to 1.0"),
    ({"op": "generate", "brief": "x" * 10**6}, "has 1000000 characters"),
    ({"op": "generate", "brief": "x", "skill": "ohm"}, "has no argument 'skill'"),
    ({"op": "generate", "brief": "", "examples": ["nobody"]}, "no public item, seed or row"),
    ({"op": "rewrite", "to": "latin"}, "Choose one of: worked, direct, rephrase"),
    ({"op": ["train"]}, "unknown operation"),
    ({"op": "drop", "topic": "nonsense"}, "Topics:"),
    ({"op": "revert"}, "train first"),
    ({"op": "submit", "evaluation": 9}, "0 have been made"),
    ({}, "unknown operation"),
    ("train", "an action is a dict"),
    (None, "an action is a dict"),
    (float("nan"), "an action is a dict"),
    ("x" * 10**6, "an action is a dict"),
]


@pytest.mark.parametrize("action,message", BAD, ids=range(len(BAD)))
def test_a_bad_action_leaves_the_state_and_says_how_to_mend_it(action, message, make_env):
    env = make_env()
    env.reset(seed=1)
    play(env, PLAN[:1])
    before = env.working_set.digest, env.broker.used, len(env.evaluations)
    _, reward, terminated, truncated, info = env.step(action)
    assert message in info["report"].error
    assert reward == -env.config.invalid_penalty and not terminated and not truncated
    assert (env.working_set.digest, env.broker.used, len(env.evaluations)) == before
    assert len(info["report"].error) < 600


def test_hidden_items_show_up_nowhere_in_what_a_controller_sees(make_env):
    env = make_env()
    env.reset(seed=6)
    hidden = {item.prompt for item in (*env.task.reward, *env.task.private)}
    briefed = []

    class Spy(RandomPolicy):
        def begin(self, briefing):
            super().begin(briefing)
            briefed.append(briefing.task)

    episode = run_episode(env, Spy(), seed=6)
    hidden = {item.prompt for item in (*env.task.reward, *env.task.private)}
    seen = json.dumps([step["report"] for step in episode.steps])
    assert not any(json.dumps(prompt)[1:-1] in seen for prompt in hidden)
    assert briefed[0].private == briefed[0].reward == () and briefed[0].reference is None


def test_rows_that_repeat_public_items_never_reach_training(make_env):
    env = make_env()
    env.reset(seed=3)
    play(env, PLAN[:1])
    stolen = [env.task.public[0], env.task.public[1]]
    from dataenv.rows import Row

    env._state.rows = env.working_set.extended(
        Row(i.instruction, i.input, f"Answer: {i.gold}") for i in stolen
    )
    report = play(env, [{"op": "train"}])[0][4]["report"]
    assert dict(report.set)["contaminated_in_training"] >= 2


def test_unknown_configuration_keys_and_options_are_refused(make_env):
    with pytest.raises(ConfigError, match="Did you mean 'public'"):
        dataenv.DataEnv(publik=3)
    with pytest.raises(ConfigError, match="known: split, target, teacher"):
        make_env().reset(seed=1, options={"skill": "ohm"})


def test_a_snapshot_of_another_configuration_is_refused_with_the_difference(make_env):
    env = make_env()
    env.reset(seed=1)
    with pytest.raises(ConfigError, match="calls 200 instead of 99"):
        make_env(calls=99).restore(env.snapshot())


def test_private_scores_of_all_sets_are_told_at_the_end_only(make_env):
    env = make_env()
    env.reset(seed=4)
    write = {"op": "generate", "brief": "problems", "n": 10}
    for action in (write, {"op": "train"}, write, {"op": "train"}):
        env.step(action)
    with pytest.raises(ConfigError, match="submit first"):
        env.private_scores()
    outcome = env.step({"op": "submit"})[4]["outcome"]
    scores = env.private_scores()
    assert len(scores) == 2 and scores[outcome.evaluation - 1] == outcome.final[1]
