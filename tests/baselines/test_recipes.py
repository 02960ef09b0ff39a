"""What each recipe of the literature is about shows in what it does."""

import json
import statistics
from collections import Counter

import pytest
from dataenv.baselines.evol_instruct import WAYS
from dataenv.baselines.from_pool import Selection

from dataenv.env import DataEnv
from dataenv.errors import ConfigError
from dataenv.operations.cleaning import twins
from dataenv.policy import briefing_of, run_episode
from dataenv.presets import EnvConfig
from dataenv.registry import make_policy, policy_table
from dataenv.rows import WorkingSet
from dataenv.students.local import LocalStudent
from dataenv.tasks.procedural.targets import get_domain
from tests.conftest import NANO, TINY

SELECTING = sorted(
    name
    for name, made in policy_table().items()
    if isinstance(made, type) and issubclass(made, Selection)
)


@pytest.fixture(scope="module")
def nano_env():
    """An environment around nano, which can tell rows apart; selects 16 of 120."""
    sizes = {**TINY, "pool": 120, "max_rows": 16, "calls": 100}
    made = DataEnv(config=EnvConfig(**sizes), student=LocalStudent(NANO))
    made.reset(seed=4)
    return made


def played(env, name, seed=4, options=None):
    """(policy, steps, rows by id that were ever in the set) of a whole episode."""
    policy, rows = make_policy(name), {}

    def watch(record):
        rows.update({row.id: row for row in env.working_set})

    steps = run_episode(env, policy, seed, options, on_step=watch).steps
    return policy, steps, rows


def actions(steps, op):
    return [step["action"] for step in steps if step["action"]["op"] == op]


# -- what a recipe lives on -------------------------------------------------------------------------

ABSENT = {"a teacher": {"calls": 0}, "seed questions": {"seeds": 0}, "a raw pool": {"pool": 0}}


@pytest.mark.parametrize(
    "name, means",
    [
        *((name, "a raw pool") for name in SELECTING),
        *((name, "a teacher") for name in ("self_instruct", "evol_instruct", "pipeline")),
        *(("seed_only", means) for means in ("a teacher", "seed questions")),
    ],
)
def test_a_recipe_says_what_it_cannot_do_without(name, means, make_env):
    env = make_env(**ABSENT[means])
    env.reset(seed=1)
    with pytest.raises(ConfigError, match=f"{name} lives on {means}, and the task 'science' has"):
        make_policy(name).begin(briefing_of(env, 1))


@pytest.mark.parametrize("name", [*SELECTING, "stratified", "skill_tree"])
def test_without_a_teacher_rows_come_from_the_pool_alone(name, make_env):
    env = make_env(calls=0, pool=60)
    _, steps, rows = played(env, name)
    assert not any(step["report"]["error"] for step in steps)
    assert {row.provenance.operation for row in rows.values()} == {"pool"}
    assert env.outcome.rows >= env.config.min_rows and not env.outcome.flags


@pytest.mark.parametrize("name", ["stratified", "skill_tree"])
def test_with_neither_teacher_nor_pool_there_is_nothing_to_do(name, make_env):
    env = make_env(calls=0, pool=0)
    env.reset(seed=1)
    with pytest.raises(ConfigError, match="lives on a teacher or a raw pool"):
        make_policy(name).begin(briefing_of(env, 1))


# -- recipes that have rows written -----------------------------------------------------------------


def test_stratified_asks_for_every_topic_alike(make_env):
    env = make_env()
    _, steps, _ = played(env, "stratified")
    topics = {item.id: item.topic for item in env.task.public}
    asked = {topics[a["examples"][0]]: a["n"] for a in actions(steps, "generate")}
    assert set(asked) == set(env.task.topics) and max(asked.values()) - min(asked.values()) <= 1
    public = Counter(topics.values())
    assert max(public.values()) - min(public.values()) > 1  # mirror would not


def test_seed_only_trains_on_seed_questions(make_env):
    env = make_env()
    _, _, rows = played(env, "seed_only")
    assert {row.prompt for row in rows.values()} <= {item.prompt for item in env.task.seeds}
    assert 20 <= env.outcome.rows <= 40


def test_self_instruct_writes_from_its_own_rows_too_and_drops_near_copies(make_env):
    env = make_env(max_rows=60, calls=400)
    _, steps, rows = played(env, "self_instruct")
    made = Counter(row.provenance.operation for row in rows.values())
    assert 0.1 < made["expand"] / (made["expand"] + made["generate"]) < 0.3
    dropped = [step["report"]["effect"] for step in steps if step["action"]["op"] == "dedup"]
    assert sum(each["dropped"] for each in dropped) >= 3  # the teacher repeats itself
    assert not any(twins(env.submission(), 0.7))


def test_evolved_rows_descend_from_evolved_rows(make_env):
    env = make_env(steps=60, max_rows=40, calls=300)
    _, steps, rows = played(env, "evol_instruct")

    def ancestors(row):
        older = [rows[i] for i in row.provenance.parents if i in rows and i != row.id]
        return 1 + max(map(ancestors, older)) if older else 0

    written = [row for row in rows.values() if row.provenance.operation == "generate"]
    ages = Counter(map(ancestors, written))
    assert min(ages[age] for age in range(4)) >= 4 and max(ages) == 3
    asked = Counter(action["brief"] for action in actions(steps, "generate"))
    assert set(asked) == {"", *WAYS}


def test_the_pipeline_has_its_operators_in_order(make_env):
    env = make_env()
    _, steps, _ = played(env, "pipeline")
    order = [step["action"]["op"] for step in steps]
    middle = ["filter", "select", "verify", "dedup", "select"]
    assert order == ["generate", *middle, "rewrite", "train", "submit"]
    voted = [row.provenance.checks for row in env.submission()]
    votes = {"verify by teacher 1/2", "verify by teacher 2/2", "solved by second, worked"}
    assert {check for checks in voted for check in checks} <= votes and all(voted)


def test_skill_tree_writes_more_where_there_are_more_errors(nano_env):
    nano_env.reset(seed=4)
    policy = make_policy("skill_tree")
    policy.begin(briefing_of(nano_env, 4))
    errors = {each.name: each.n * (1 - each.score) for each in nano_env.report.slices}
    topics = {item.id: item.topic for item in nano_env.task.public}
    asked = {topics[a["examples"][0]]: a["n"] for a in policy.follow(nano_env.report)[:-4]}
    assert len(set(errors.values())) > 1  # nano knows some topics
    for one in asked:
        assert all(asked[one] >= asked[other] for other in asked if errors[one] > errors[other])


def test_skill_tree_opens_branches_and_exploits_those_that_are_wrong(make_env):
    env = make_env(public=60, steps=60)
    policy, steps, _ = played(env, "skill_tree")
    rounds, wrong = [set()], set()
    for step in steps:
        if step["action"]["op"] == "generate":
            rounds[-1] |= set(step["action"]["examples"])
        elif step["action"]["op"] == "inspect":
            wrong = {identity for identity, *_ in step["report"]["effect"]["shown"]}
            rounds.append(set())
        if len(rounds) == 2 and step["action"]["op"] == "generate":
            assert set(step["action"]["examples"]) <= rounds[0] & wrong
    assert len(rounds) == 3 and not rounds[2] & rounds[0]
    assert rounds[0] | rounds[2] == set(policy.opened)


class Amnesiac:
    """A recipe that is made anew before every operation, from what it remembered as JSON."""

    def __init__(self, name):
        self.name, self.state = name, None

    def begin(self, briefing):
        self.briefing = briefing

    def act(self, observation, report):
        policy = make_policy(self.name)
        policy.begin(self.briefing)
        if self.state:
            policy.load_state_dict(json.loads(self.state))
        action = policy.act(observation, report)
        self.state = json.dumps(policy.state_dict())
        return action


@pytest.mark.parametrize("name", ["evol_instruct", "skill_tree"])
def test_what_follows_from_reports_outlives_a_memory_as_json(name, make_env):
    env = make_env(steps=60)
    steps = [run_episode(env, each, 4).steps for each in (make_policy(name), Amnesiac(name))]
    assert steps[0] == steps[1] and len(actions(steps[0], "inspect")) > 1


# -- recipes that select from the pool --------------------------------------------------------------


def of_the_target(env, prompts):
    """The share of problems whose skill is of one of the task's topics."""
    found = [get_domain("science").recognise(prompt) for prompt in prompts]
    return sum(bool(each and each[0].topic in env.task.topics) for each in found) / len(found)


@pytest.mark.parametrize("name", ["importance", "less", "rds"])
def test_what_looks_at_the_target_keeps_rows_like_it(name, nano_env):
    played(nano_env, name)
    kept = of_the_target(nano_env, [row.prompt for row in nano_env.evaluations[-1].rows])
    assert kept > 1.5 * of_the_target(nano_env, [row.prompt for row in nano_env.task.pool])


def test_student_loss_keeps_what_the_question_helps_with_least(nano_env):
    _, steps, _ = played(nano_env, "student_loss")
    assert [a["by"] for a in actions(steps, "select")] == ["diversity", "ifd"]
    warm, last = (each.rows for each in nano_env.evaluations)
    rows = tuple(dict.fromkeys(nano_env.task.pool))
    found = nano_env._laboratory.row_ifd(WorkingSet(rows), warm)
    asked = {row.prompt for row in last}
    kept = [ifd for row, ifd in zip(rows, found, strict=True) if row.prompt in asked]
    assert len(last) == 16 and max(kept) < 1 and min(kept) > statistics.median(found)


def test_selections_see_the_whole_pool(make_env):
    env = make_env(pool=400, steps=60)
    _, steps, rows = played(env, "importance")
    assert len(actions(steps, "draw")) == 2
    assert set(rows) >= {row.id for row in env.task.pool}
