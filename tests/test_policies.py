"""Every controller that ships plays a whole episode without an invalid action."""

import dataclasses

import pytest
from dataenv.baselines import REFERENCES
from dataenv.baselines.controls import shuffled, unsliced
from dataenv.baselines.fixed import Recipe
from dataenv.baselines.privileged import RIVALS, Plan, Privileged
from dataenv.policies.belief import Belief, Held, Settings
from dataenv.policies.feedback import FeedbackPolicy

from dataenv.env import DataEnv
from dataenv.policy import briefing_of, run_episode
from dataenv.registry import env_config, make_policy, policy_table


@pytest.mark.parametrize("domain", ["science", "code", "finance"])
@pytest.mark.parametrize("name", sorted(policy_table()))
def test_a_controller_plays_a_clean_episode(name, domain, make_env):
    episode = run_episode(make_env(domain), make_policy(name), seed=3)
    assert not any(step["report"]["error"] for step in episode.steps)
    assert episode.outcome.evaluation and episode.outcome.ended == "submitted"


def test_what_sees_too_much_is_marked(make_env):
    for name in policy_table():
        outcome = run_episode(make_env(), make_policy(name), seed=1).outcome
        assert ("privileged" in outcome.flags) == (name in REFERENCES), name


@pytest.mark.parametrize("name", ["mirror", "mirror_second", "headroom", "feedback"])
def test_recipes_fill_and_check_a_set_of_many_rows(name, make_env):
    env = make_env(min_rows=560, max_rows=700, calls=8000, trainings=3)
    outcome = run_episode(env, make_policy(name), seed=0).outcome
    assert "no_submission" not in outcome.flags and outcome.rows >= 560
    checked = [row.verified for row in env.submission()]
    assert sum(checked) >= 0.95 * len(checked)  # what drifted into another topic may go unchecked


RECIPES = sorted(
    name
    for name, made in policy_table().items()
    if isinstance(made, type) and issubclass(made, Recipe) and name != "program"
)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_ask_for_no_more_than_an_operation_takes(name, make_env):
    env = make_env(min_rows=10, max_rows=40, calls=50_000, steps=60)
    steps = run_episode(env, make_policy(name), seed=0).steps
    rich = [step["action"] for step in steps if step["action"].get("by") == "second"]
    assert not any(step["report"]["error"] for step in steps)
    assert all(action["n"] <= 4096 for action in rich) and len(rich) == (name != "random_mix")


def test_shuffled_feedback_reads_every_topic_as_another(make_env):
    env = make_env()
    report = env.reset(seed=2)[1]["report"]
    slices = tuple(
        dataclasses.replace(each, score=place / 10) for place, each in enumerate(report.slices)
    )
    policy = make_policy("feedback_shuffled")
    policy.begin(briefing_of(env, 2))
    shuffled = policy.shuffled(dataclasses.replace(report, slices=slices))
    assert [s.name for s in shuffled.slices] == [s.name for s in slices]
    assert all(a.score != b.score for a, b in zip(shuffled.slices, slices, strict=True))
    assert sorted(s.score for s in shuffled.slices) == sorted(s.score for s in slices)


class Watcher:
    """Keeps the reports that it is told."""

    name = "watcher"

    def begin(self, briefing):
        self.seen = []

    def act(self, observation, report):
        self.seen.append(report)
        return {"op": "submit"}


@pytest.mark.parametrize("control", [shuffled, unsliced])
def test_controls_tell_any_controller_something_else(control, make_env):
    env = make_env(min_rows=1)
    report = env.reset(seed=2)[1]["report"]
    scores = [0.1, 0.2, 0.5, 0.9, 0.95][: len(report.slices)]
    slices = tuple(
        dataclasses.replace(each, score=score)
        for each, score in zip(report.slices, scores, strict=True)
    )
    report = dataclasses.replace(report, slices=slices)
    watcher = Watcher()
    policy = control(watcher)
    policy.begin(briefing_of(env, 2))
    policy.act({}, report)
    (told,) = watcher.seen
    truth = {each.name: each.score for each in slices}
    assert report.bad_cases and not told.bad_cases and told.score == report.score
    assert all(each.score != truth[each.name] for each in told.slices)
    if control is unsliced:
        assert {each.score for each in told.slices} == {report.score}
    else:
        assert [each.score for each in told.slices] == scores  # ranked by what is told
    assert {each.name: each.rows for each in told.slices} == {e.name: e.rows for e in slices}


def test_the_settings_of_a_shuffled_feedback_are_its_own(make_env):
    policy = shuffled(FeedbackPolicy(Settings(weak=0.7)))
    assert policy.tuning.weak == 0.7 and policy.name == "feedback_shuffled"
    assert run_episode(make_env(), policy, seed=1).outcome.ended == "submitted"


def test_the_same_seed_plays_the_same_episode(make_env):
    one, other = (run_episode(make_env(), make_policy("random"), seed=5) for _ in range(2))
    assert one.steps == other.steps and one.outcome == other.outcome


def test_a_briefing_tells_no_solutions_and_no_identities(make_env):
    env = make_env()
    env.reset(seed=1)
    briefing = briefing_of(env, 1)
    assert all(item.gold and not item.output for item in briefing.task.public)
    assert briefing.task.identify(env.task.public[0].prompt) is None
    assert briefing.prices == {"teacher": 1, "second": 8}
    assert briefing_of(make_calm(make_env), 1).prices == {}


def make_calm(make_env):
    env = make_env(calls=0)
    env.reset(seed=1)
    return env


def test_a_bandit_asks_for_more_where_rows_have_helped(make_env):
    env = make_env(calls=400, trainings=4)
    report = env.reset(seed=3)[1]["report"]
    policy = make_policy("bandit")
    policy.begin(briefing_of(env, 3))
    policy.act({}, report)
    good, *others = [each.name for each in report.slices]
    later = [
        dataclasses.replace(each, score=0.8 if each.name == good else each.score, n=10, rows=12)
        for each in report.slices
    ]
    policy._learn(dataclasses.replace(report, evaluation=1, slices=tuple(later)))
    even = [dataclasses.replace(each, score=0.3) for each in later]
    worth = {each.name: policy._worth(each, report) for each in even}
    assert worth[good] > 2 * max(worth[name] for name in others)


def test_a_bandit_leaves_no_calls_that_pay_for_a_solution():
    env = DataEnv(config=env_config("Science-surrogate-v0", score_private=False))
    episode = run_episode(env, make_policy("bandit"), 11, {"target": 11})  # full after two rounds
    used, limit = {axis: (used, limit) for axis, used, limit in episode.outcome.budget}["calls"]
    assert limit - used < 8 and not any(step["report"]["error"] for step in episode.steps)


@pytest.mark.parametrize("fields", [{"calls": 20}, {"calls": 0}, {"trainings": 1}, {"steps": 12}])
def test_a_bandit_keeps_to_any_budget(fields, make_env):
    env = make_env(**{"pool": 60, "min_rows": 4, **fields})
    episode = run_episode(env, make_policy("bandit"), seed=2)
    assert not any(step["report"]["error"] for step in episode.steps)
    assert episode.outcome.ended == "submitted" and episode.outcome.evaluation


def test_a_belief_tells_slow_topics_weak_teachers_and_the_hopeless_apart():
    start = Belief(0.0, 20)
    few, many = Held(plain=5), Held(plain=20)
    assert 0 < start.expected(few) < start.expected(many) < 0.8
    assert start.expected(Held(solved=10)) > start.expected(Held(plain=10))
    taught, poor, dead = Belief(0.0, 20), Belief(0.0, 20), Belief(0.0, 20)
    taught.see(many, 0.9)
    poor.see(many, 0.3)
    poor.see(Held(plain=8, solved=12), 0.7)
    dead.see(Held(plain=8, solved=12), 0.0)
    assert taught.weak() < 0.1 < 0.6 < poor.weak()
    assert dead.never() > 0.95 > 0.05 > taught.never()
    sound, unsound = Belief(0.0, 20), Belief(0.0, 20)
    sound.see_check(18, 20)
    unsound.see_check(12, 20)
    assert sound.weak() < 0.15 < 0.8 < unsound.weak()
    assert sound.never() == pytest.approx(start.never())  # a check tells nothing of learning


@pytest.mark.parametrize("fields", [{"calls": 20}, {"calls": 50}, {"max_rows": 12}, {"calls": 0}])
def test_feedback_keeps_to_any_budget(fields, make_env):
    env = make_env(**{"pool": 60, **fields})
    errors = []

    def watch(step):
        errors.append(step["report"]["error"])

    run_episode(env, make_policy("feedback"), seed=2, on_step=watch)
    assert sum(map(bool, errors)) <= 1 and len(errors) < env.config.steps


FREE = [name for name in RECIPES if "a teacher" not in policy_table()[name].lives_on]


@pytest.mark.parametrize("calls, name", [*((0, each) for each in FREE), *((8, e) for e in RECIPES)])
def test_recipes_do_without_what_they_cannot_pay(calls, name, make_env):
    env = make_env(calls=calls, pool=60, min_rows=2)
    episode = run_episode(env, make_policy(name), seed=2)
    assert episode.outcome.rows >= 2 and not episode.outcome.flags
    assert not any(step["report"]["error"] for step in episode.steps)


def test_privileged_keeps_to_its_steps(make_env):
    env = make_env(steps=6)
    policy = Privileged(population=8, generations=1, elite=2)
    assert run_episode(env, policy, seed=1).outcome.flags[0] == "privileged"
    assert policy.cost["episodes"] == 8 + len(RIVALS)


def test_privileged_does_what_a_rival_did_if_that_went_better(make_env, monkeypatch):
    """With no plans of its own that can be trained on, the best of the rivals is left."""
    env = make_env(min_rows=2)
    played = {}
    for rival in RIVALS:
        env.reset(seed=1)
        policy = rival()
        run_episode(env, policy, seed=1)
        best = max(env.evaluations, key=lambda each: each.public.score)
        n = len(best.public.correct), len(best.reward.correct)
        score = (best.public.score * n[0] + best.reward.score * n[1]) / sum(n)
        played.setdefault(score, best.rows.digest)
    monkeypatch.setattr(Plan, "actions", lambda plan, briefing: [])
    run_episode(env, Privileged(population=2, generations=1, elite=2), seed=1)
    assert env.submission().digest == played[max(played)]
