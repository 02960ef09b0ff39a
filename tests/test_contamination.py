"""What counts as the same question."""

import dataclasses

import pytest

from dataenv.contamination import OverlapIndex, question_key
from dataenv.rows import Row
from dataenv.tasks.base import Item


@pytest.mark.parametrize(
    "pair",
    [
        ("What is s[1:]?", "What is s[:1]?"),
        ("What is 2.5 + 3?", "What is 2 + 5.3?"),
        ("What is 2 * 3?", "What is 2 ** 3?"),
        ("What is 3 + 4?", "What is 3 - 4?"),
        ("Is a != b?", "Is a = b?"),
        ("7 - 2", "2 - 7"),
        ("(1 + 2) * 3", "1 + (2 * 3)"),
        ("x < y", "x > y"),
        ("a - b", "a b"),
        ("What is 3! + 2?", "What is 3 + 2?"),
        ("'1' + '2'", "1 + 2"),
        ("[1, 2]", "[1 2]"),
        ("s[i:j]", "s[i,j]"),
        ("2\N{SUPERSCRIPT TWO}", "22"),
        ("a_b", "a b"),
        ("-2 + 3", "2 + 3"),
    ],
)
def test_different_questions_of_the_same_words_are_different(pair):
    assert question_key(pair[0]) != question_key(pair[1])


@pytest.mark.parametrize(
    "pair",
    [
        ("What is 3 - 4?", "what is 3 \N{EN DASH} 4"),
        ("What is 3 - 4?", "What is 3 \N{MINUS SIGN} 4?"),
        ("A half-year's rate, in all.", "a half year's rate in all"),
        ("Find **x**: it is *here*.", "Find x\N{ZERO WIDTH SPACE}, it is here!"),
        ("\uff12 + 2", "2+2"),
        ("a 5-year plan", "a 5 year plan"),
        ("profit - so they say - rose", "profit so they say rose"),
        ("- apples cost 3", "apples cost 3"),
        ("It is _so_.", "it is so"),
        ("a-b", "a - b"),
        ("f(1,2)", "f(1, 2)"),
    ],
)
def test_dress_makes_no_other_question(pair):
    assert question_key(pair[0]) == question_key(pair[1])


@pytest.fixture
def task(make_env):
    env = make_env(pool=0)
    env.reset(seed=1)
    return env.task


def test_where_the_task_can_tell_items_apart_only_that_counts(task):
    item = task.public[0]
    row, twin = (Row(i.instruction, i.input, "Answer: 1") for i in task.public[:2])
    index = OverlapIndex(task, [item])
    assert index.find(row) == item.id and index.find(twin) is None
    nobody = dataclasses.replace(task, identify=lambda prompt: prompt)
    dressed = Row(item.instruction + " ", item.input, "Answer: 1")
    assert OverlapIndex(nobody, [item]).find(dressed) is None


def test_elsewhere_most_of_an_items_words_are_an_overlap(task):
    blind = dataclasses.replace(task, identify=lambda prompt: None)
    text = "the quick brown fox jumps over the lazy dog and then it sleeps until the next morning"
    index = OverlapIndex(blind, [Item("a", text, "", "1", "animals")])
    assert index.find(Row(f"Once upon a time {text} of the week.", "", "")) == "a"
    assert (
        index.find(Row("the quick brown fox sleeps in a den of its own each night", "", "")) is None
    )
