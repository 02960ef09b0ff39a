"""The raw pool: what it holds, and how rows are drawn from it."""

import pytest

from dataenv.rows import WorkingSet
from dataenv.tasks.procedural.targets import DOMAINS, build_task, identify


@pytest.fixture
def env(make_env):
    made = make_env(pool=200)
    made.reset(seed=3)
    return made


def drawn(env, **arguments):
    before = len(env.working_set)
    report = env.step({"op": "draw", **arguments})[4]["report"]
    assert report.error == ""
    return env.working_set.rows[before:]


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_the_pool_is_noisy_and_holds_no_test_item(name):
    sizes = {"public": 50, "reward": 50, "private": 100, "seeds": 0, "retention": 0}
    task = build_task(DOMAINS[name], 3, **sizes, pool=400)
    items = {identify(DOMAINS[name], item.prompt) for item in (*task.private, *task.public)}
    assert len(task.pool) == 400 and not items & {
        identify(DOMAINS[name], r.prompt) for r in task.pool
    }
    wrong = 0
    for row in task.pool:
        skill, parameters = DOMAINS[name].recognise(row.prompt)
        wrong += not row.output.endswith(f" {skill.oracle(parameters)}")
    assert 60 < wrong < 160 and 30 < 400 - len({row.id for row in task.pool}) < 100


def test_drawing_is_free_of_calls_and_never_gives_a_row_twice(env):
    drawn(env, n=60)
    drawn(env, n=60)
    assert len({row.id for row in env.working_set}) == 120 and env.broker.used == 0
    assert {row.provenance.operation for row in env.working_set} == {"pool"}


def test_words_examples_and_topics_narrow_what_is_drawn(env):
    words = env.task.pool[0].prompt.split()
    assert drawn(env, n=1, query=" ".join(words))[0].prompt == env.task.pool[0].prompt
    item, of = env.task.public[0], env.topics.topic_of
    same = [each.id for each in env.task.public if each.topic == item.topic]
    close = [of(row.prompt) for row in drawn(env, n=10, like=same)]
    by_chance = sum(of(row.prompt) == item.topic for row in env.task.pool) / len(env.task.pool)
    assert close.count(item.topic) / 10 > 2 * by_chance
    assert {env.topics.topic_of(r.prompt) for r in drawn(env, n=5, topic=item.topic)} == {
        item.topic
    }


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"query": "qqqq zzzz xxxx"}, "no row of the pool has any of these words"),
        ({"topic": "astrology"}, "no topic 'astrology'"),
        ({"like": ["nobody"]}, "no public item, seed or row has the id 'nobody'"),
    ],
)
def test_requests_that_match_nothing(env, arguments, message):
    _, _, _, _, info = env.step({"op": "draw", **arguments})
    assert message in info["report"].error and not len(env.working_set)


def test_an_empty_pool_says_so(make_env):
    env = make_env(pool=0)
    env.reset(seed=0)
    assert "left in the pool" in env.step({"op": "draw"})[4]["report"].error


def test_a_set_goes_to_a_dataset_and_back(env):
    drawn(env, n=20)
    again = WorkingSet.from_dataset(env.working_set.to_dataset())
    assert again.digest == env.working_set.digest
