"""Each operation does what it says, names what it drops, and costs what it says."""

import dataclasses
import random

import pytest

from dataenv.contamination import question_key
from dataenv.env import DataEnv
from dataenv.operations import OPERATIONS
from dataenv.operations.cleaning import twins
from dataenv.presets import EnvConfig
from dataenv.rows import Provenance, Row, WorkingSet
from dataenv.students.base import BASE
from dataenv.students.local import LocalStudent
from dataenv.tasks.procedural.targets import get_domain, to_row
from tests.conftest import NANO, TINY


@pytest.fixture
def env(make_env):
    made = make_env()
    made.reset(seed=3)
    return made


def do(env, op, **arguments):
    """One operation, which must be valid; its effect as a dict."""
    report = env.step({"op": op, **arguments})[4]["report"]
    assert report.error == ""
    return report.to_dict()["effect"]


def put(env, *rows: Row):
    env._state.rows = WorkingSet(rows)


def test_generate_charges_a_call_a_row_and_records_its_calls(env):
    effect = do(env, "generate", brief="easy problems", n=10)
    assert effect["calls"] == 10 == env.broker.used
    assert effect["added"] + effect["dropped"] == 10
    assert all(len(row.provenance.calls) == 1 for row in env.working_set)


def test_generate_with_examples_writes_problems_of_their_topics(env):
    item = env.task.public[0]
    do(env, "generate", brief="", n=30, examples=[item.id])
    topics = [env.topics.topic_of(row.prompt) for row in env.working_set]
    assert topics.count(item.topic) >= 15  # the rest is off topic, or harder than asked for


def test_a_brief_that_names_a_topic_yields_that_topic(env):
    topic = env.task.topics[0]
    do(env, "generate", brief=f"problems about {topic}", n=30)
    assert [env.topics.topic_of(r.prompt) for r in env.working_set].count(topic) >= 18


def test_generating_twice_gives_other_rows(env):
    do(env, "generate", brief="easy problems", n=10)
    first = {row.id for row in env.working_set}
    do(env, "generate", brief="easy problems", n=10)
    assert len({row.id for row in env.working_set}) > len(first) + 5


def test_label_solves_seeds_once_each(env):
    do(env, "label", n=12)
    do(env, "label", n=12)
    parents = [row.provenance.parents[0] for row in env.working_set]
    assert len(set(parents)) == len(parents) <= 24
    assert set(parents) <= {item.id for item in env.task.seeds}


def test_expand_writes_more_of_given_rows(env):
    do(env, "generate", brief="", n=1, examples=[env.task.public[0].id])
    row = env.working_set.rows[0]
    do(env, "expand", rows=[row.id], n=6)
    assert all(r.provenance.parents == (row.id,) for r in env.working_set.rows[1:])


@pytest.mark.parametrize("to", ["worked", "direct", "rephrase"])
def test_rewrite_keeps_the_number_of_rows_and_changes_the_asked_part(env, to):
    put(env, *env.task.reference(8, 1))
    before = env.working_set
    do(env, "rewrite", to=to)
    after = env.working_set
    assert len(after) == 8
    if to == "rephrase":
        assert [r.output for r in after] == [r.output for r in before]
        assert [r.instruction for r in after] != [r.instruction for r in before]
    else:
        assert [r.prompt for r in after] == [r.prompt for r in before]
    if to == "direct":
        assert sum(r.output.startswith("Answer:") for r in after) >= 6


def test_the_second_solves_rows_of_a_topic_that_it_has_not_solved_before(make_env):
    env = make_env("science", calls=4000)
    env.reset(seed=0)
    right = {row.prompt: row.output for row in env.task.reference(60, 1)}
    env.insert_reference("teacher", 60, 1)
    topic = env.task.topics[0]
    ours = [row.prompt for row in env.working_set if env.topics.topic_of(row.prompt) == topic]
    others = [row for row in env.working_set if row.prompt not in ours]
    effect = do(env, "rewrite", to="worked", by="second", topic=topic, n=5)
    assert effect["calls"] == 8 * 5
    again = do(env, "rewrite", to="worked", by="second", topic=topic)
    assert again["calls"] in (8 * (len(ours) - 5), 8 * (len(ours) - 4))  # unreadable ones again
    assert {row.id for row in others} <= {row.id for row in env.working_set}
    solved = [row for row in env.working_set if row.prompt in ours]
    done = [row for row in solved if row.provenance.checks == ("solved by second, worked",)]
    assert len(done) >= 0.8 * len(solved) and len(solved) == len(ours)
    assert sum(right[row.prompt] != row.output for row in solved) <= len(solved) // 3
    assert do(env, "verify", topic=topic, scope="all", n=4)["calls"] == 4
    env._state.rows = WorkingSet(tuple(done))
    report = env.step({"op": "rewrite", "to": "worked", "by": "second", "topic": topic})[4][
        "report"
    ]
    assert "the second has solved them all" in report.error


def test_of_a_few_rows_to_be_rewritten_unchecked_ones_come_first(env):
    rows = env.task.reference(6, 1)
    checked = Provenance("generate", checks=("verify by teacher 1/1",))
    put(env, *(dataclasses.replace(row, provenance=checked) for row in rows[:3]), *rows[3:])
    do(env, "rewrite", to="direct", n=3)
    changed = [row.id not in {r.id for r in rows} for row in env.working_set]
    assert changed[:3] == [False] * 3 and sum(changed[3:]) >= 2


def test_equal_rows_are_solved_once_and_an_answer_that_cannot_be_read_is_no_solution(env):
    row = env.task.reference(1, 1)[0]
    odd = Row("How are you today, and what is the weather like?", "", "Answer: 3")
    put(env, row, row, row, odd)
    effect = do(env, "rewrite", to="worked", by="second")
    assert effect["calls"] == 8 * 2 and ("rewritten", 1) in effect.items()
    assert effect["confirmed"] == 1
    assert [r.verified for r in env.working_set] == [True, True, True, False]
    assert env.working_set.rows[3] == odd


def test_a_second_solution_tells_right_rows_from_wrong_ones(env):
    clean = env.task.reference(12, 1)
    for rows, low, high in (
        (clean, 10, 12),
        ([dataclasses.replace(r, output="so it is. Answer: 123456") for r in clean], 0, 0),
    ):
        put(env, *rows)
        effect = do(env, "rewrite", to="worked", by="second")
        assert low <= effect["confirmed"] <= high


def test_verify_drops_wrong_rows_and_marks_right_ones(env):
    clean = env.task.reference(20, 1)
    wrong = [Row(r.instruction, r.input, "so it is. Answer: 123456") for r in clean]
    put(env, *clean, *wrong)
    effect = do(env, "verify", votes=1)
    assert effect["calls"] == 40
    left = {row.id for row in env.working_set}
    assert not left & {row.id for row in wrong} and len(left & {row.id for row in clean}) >= 10
    assert all(row.verified for row in env.working_set)
    assert any("of 1 new solutions agree" in reason for reason, _ in effect["reasons"])


def test_dear_checks_cost_more_and_catch_what_asking_again_does_not(make_env):
    env = make_env("code", calls=2000)
    env.reset(seed=0)
    right = {row.prompt: row.output for row in env.task.reference(120, 1)}
    left = {}
    for by, price in (("teacher", 1), ("second", 8), ("execution", 6)):
        twin = env.fork()
        twin.insert_reference("teacher", 120, 1)
        rows, before = len(twin.working_set), twin.broker.used
        twin.step({"op": "verify", "by": by})
        assert twin.broker.used - before == price * rows
        left[by] = sum(right[row.prompt] != row.output for row in twin.working_set)
    assert left["execution"] == 0 <= left["second"] < left["teacher"]


def test_what_cannot_be_executed_says_so(env):
    put(env, *env.task.reference(4, 1))
    _, _, _, _, info = env.step({"op": "verify", "by": "execution"})
    assert "no 'execution' to ask" in info["report"].error and env.broker.used == 0


def test_filter_names_the_reason_for_every_dropped_row(env):
    good = env.task.reference(1, 1)[0]
    put(
        env,
        good,
        Row(good.instruction, "", "no mark"),
        Row("Hm?", "", "Answer: 1"),
        Row(good.instruction + " word" * 300, "", "Answer: 1"),
    )
    effect = do(env, "filter")
    assert dict(effect["reasons"]) == {
        "no readable answer": 1,
        "question too short": 1,
        "too long": 1,
    }
    assert env.working_set.rows == (good,)


def test_dedup_keeps_the_first_and_names_its_twin(env):
    one = Row("A cart has a mass of 4 kg and moves along.", "", "Answer: 1")
    case = Row("a CART has a mass of 4 kg and moves along", "", "Answer: 2")
    near = Row("A cart has a mass of 4 kg and moves along now.", "", "Answer: 1")
    put(env, one, case, near)
    effect = do(env, "dedup")
    assert effect["dropped_rows"] == [[case.id, f"repeats row {one.id}"]]
    do(env, "dedup", level="near", threshold=0.7)
    assert env.working_set.rows == (one,)


def test_decontaminate_names_the_public_item_whatever_the_wording(env):
    item = env.task.public[0]
    domain_row = Row(item.instruction.upper(), item.input, "Answer: 1")
    put(env, Row(item.instruction, item.input, "Answer: 1"), domain_row, *env.task.reference(3, 1))
    effect = do(env, "decontaminate")
    assert effect["dropped_rows"][0][1] == f"repeats public item {item.id}"
    assert effect["dropped"] == 2 and len(env.working_set) == 3


@pytest.mark.parametrize("by", OPERATIONS["select"].schema()["properties"]["by"]["enum"])
def test_select_keeps_n_rows_in_their_order(env, by):
    rows = env.task.reference(12, 1)
    put(env, *rows)
    do(env, "select", n=5, by=by)
    kept = [row.id for row in env.working_set]
    assert len(kept) == 5 and kept == [row.id for row in rows if row.id in kept]


def test_select_by_loss_keeps_what_the_student_finds_easy(env):
    rows = env.task.reference(6, 1)
    losses = env._laboratory.row_losses(WorkingSet(tuple(rows)), None)
    put(env, *rows)
    do(env, "select", n=1, by="low_loss")
    assert env.working_set.rows[0] == rows[losses.index(min(losses))]


@pytest.mark.parametrize("by", ["importance", "gradient", "representation"])
def test_select_prefers_what_is_like_the_public_items(env, by):
    wanted = env.task.reference(12, 1)
    domain, rng = get_domain("science"), random.Random(0)
    others = [s.name for s in domain.skills.values() if s.topic not in env.task.topics]
    foreign = [
        to_row(domain.sample(rng.choice(others), 1, rng), Provenance("test")) for _ in range(12)
    ]
    put(env, *foreign, *wanted)
    do(env, "select", n=12, by=by)
    assert sum(row in wanted for row in env.working_set) >= 8  # six by chance


@pytest.fixture(scope="module")
def nano_env():
    """With a student that can tell what belongs together."""
    made = DataEnv(config=EnvConfig(**TINY), student=LocalStudent(NANO))
    made.reset(seed=3)
    return made


def test_select_by_ifd_takes_what_is_new_before_what_is_known_and_drops_what_does_not_match(
    nano_env,
):
    known = [Row(i.instruction, i.input, i.solution) for i in nano_env.task.retention]
    right = nano_env.task.reference(12, 1)
    others = [*right[1:], right[0]]
    mixed = [dataclasses.replace(r, output=o.output) for r, o in zip(right, others, strict=True)]
    found = {
        row.id: ifd
        for rows in (known, right, mixed)
        for row, ifd in zip(rows, ifd_of(nano_env, rows), strict=True)
    }
    senseless = [row for row in mixed if found[row.id] >= 1]
    assert max(found[row.id] for row in (*known, *right)) < 1 and len(senseless) >= 6
    put(nano_env, *known, *senseless, *right)
    do(nano_env, "select", n=len(known) + len(right), by="ifd")
    assert nano_env.working_set.rows == (*known, *right)  # what makes no sense went first
    do(nano_env, "select", n=6, by="ifd")
    ranked = sorted((*known, *right), key=lambda row: -found[row.id])
    assert set(nano_env.working_set) == set(ranked[:6]) <= set(right)


def ifd_of(env, rows):
    return env._laboratory.row_ifd(WorkingSet(tuple(rows)), None)


def test_ifd_is_a_ratio_of_losses_and_what_cannot_be_read_comes_last(nano_env):
    row = nano_env.task.reference(1, 1)[0]
    losses = [
        -nano_env.student.log_likelihood(BASE, [prompt], [row.output])[0]
        for prompt in (row.prompt, "")
    ]
    assert ifd_of(nano_env, [row])[0] == pytest.approx(losses[0] / losses[1], rel=1e-4)
    endless = dataclasses.replace(row, input="and so on " * 2000)  # leaves the answer no room
    put(nano_env, endless, row)
    do(nano_env, "select", n=1, by="ifd")
    assert nano_env.working_set.rows == (row,)


def test_select_by_representation_takes_the_nearest_of_the_public_items(nano_env):
    item = nano_env.task.public[0]
    same = Row(item.instruction, item.input, item.solution)
    likeness = nano_env._laboratory.row_likeness(WorkingSet((same,)), None)
    assert likeness == pytest.approx([1.0], abs=1e-5)
    known = [Row(i.instruction, i.input, i.solution) for i in nano_env.task.retention]
    wanted = nano_env.task.reference(4, 1)
    put(nano_env, *known, *wanted)
    do(nano_env, "select", n=4, by="representation")
    assert nano_env.working_set.rows == tuple(wanted)


def test_rebalance_brings_topics_to_the_public_shares(env):
    topic = env.task.topics[0]
    do(env, "generate", brief=f"problems about {topic}", n=40)
    do(env, "generate", brief="", n=40, examples=[i.id for i in env.task.public])
    do(env, "rebalance", to="uniform", tolerance=1.0)
    counts = [env.topics.topic_of(row.prompt) for row in env.working_set]
    assert counts.count(topic) <= round(80 / len(env.task.topics))


def test_order_makes_the_set_sequential_and_shuffle_takes_it_back(env):
    put(env, *env.task.reference(6, 1))
    do(env, "order", by="short_first")
    lengths = [len(r.prompt) + len(r.output) for r in env.working_set]
    assert lengths == sorted(lengths) and env.working_set.sequential
    last = env.working_set.rows[-1].id
    do(env, "order", by="given", ids=[last])
    assert env.working_set.rows[0].id == last
    do(env, "order", by="shuffle")
    assert not env.working_set.sequential


def test_drop_by_topic_and_by_id(env):
    do(env, "generate", brief="", n=20, examples=[i.id for i in env.task.public])
    topic = env.topics.topic_of(env.working_set.rows[0].prompt)
    do(env, "drop", topic=topic)
    assert topic not in {env.topics.topic_of(r.prompt) for r in env.working_set}
    gone = env.working_set.rows[0].id
    do(env, "drop", rows=[gone])
    assert gone not in {row.id for row in env.working_set}


def test_revert_brings_an_evaluated_set_back(env):
    do(env, "generate", brief="easy problems", n=12)
    do(env, "train")
    then = env.working_set.digest
    do(env, "select", n=3)
    do(env, "revert", evaluation=1)
    assert env.working_set.digest == then


def test_inspect_shows_and_changes_nothing(env):
    put(env, *env.task.reference(6, 1))
    before = env.working_set.digest
    assert len(do(env, "inspect", n=4)["shown"]) == 4
    shown = do(env, "inspect", what="public", n=3)["shown"]
    wrong = do(env, "inspect", what="wrong", n=50)["shown"]
    scored = env.report
    assert len(wrong) == round((1 - scored.score) * scored.n)
    assert all(answer != gold for _, _, gold, answer in wrong)
    assert {entry[0] for entry in shown} <= {item.id for item in env.task.public}
    assert env.working_set.digest == before and env.broker.used == 0


def test_train_evaluates_and_submit_names_what_it_submits(env):
    do(env, "generate", brief="easy problems", n=12)
    do(env, "train")
    do(env, "train")
    assert env.step({"op": "submit", "evaluation": 2})[4]["outcome"].evaluation == 2


@pytest.mark.parametrize("share", [0.5, 0.6, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("name", ["science", "code"])
def test_near_twins_are_those_that_an_exhaustive_search_finds(name, share):
    domain, rng = get_domain(name), random.Random(5)
    skills = sorted(domain.skills)[:4]
    rows = [
        to_row(domain.sample(rng.choice(skills), 1, rng), Provenance("test")) for _ in range(150)
    ]
    kept, seen, expected = [], {}, []
    for row in rows:
        words = question_key(row.prompt)
        own = set(zip(words, words[1:], words[2:], strict=False)) or {words}
        close = (i for i, other in kept if len(own & other) / len(own | other) >= share)
        twin = seen.get(words) or next(close, None)
        kept += [] if twin else [(row.id, own)]
        seen.setdefault(words, row.id)
        expected.append(twin)
    assert twins(rows, share) == expected and (any(expected) or share > 0.7)


def test_training_says_what_it_takes_and_what_was_evaluated_before(make_env):
    env = make_env(max_rows=8, min_rows=2, trainings=3)
    env.reset(seed=0)
    do(env, "draw", n=12)
    assert "same_as_evaluation" not in (first := do(env, "train")) and first["trained"] == 8
    assert do(env, "train")["same_as_evaluation"] == 1
    do(env, "drop", rows=[env.working_set.rows[0].id])
    assert "same_as_evaluation" not in do(env, "train")
