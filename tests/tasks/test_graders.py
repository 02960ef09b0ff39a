import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataenv.errors import ConfigError, UnknownNameError
from dataenv.tasks.graders import GRADERS, Verdict, get_grader

GOLDS = {
    "numeric": "3.25",
    "literal": "[1, 2]",
    "exact": "Paris",
    "choice": "B",
    **dict.fromkeys(("scibench", "financereasoning", "financereasoning-strict"), "3.25"),
    **dict.fromkeys(("livecodebench", "cruxeval"), "[1, 2]"),
}
JOINTS = [" or ", ", ", ",", "; ", " ", "\n", "\n\n", " = ", "/", "$", " # ", " and not ", "±", "|"]
EDGES = "0123456789.,-+−eE$%²½()[]{}'\"#*`:\\ \nAB"
PAIRS = st.lists(st.integers(-2000, 2000), min_size=2, max_size=2, unique=True)


def correct(name: str, answer: str, gold: str) -> bool:
    return get_grader(name).grade(f"Because.\nAnswer: {answer}", gold).correct


@pytest.mark.parametrize(
    "answer, gold",
    [
        ("3.25", "3.25"),
        ("3.254", "3.25"),
        ("3.245", "3.25"),
        ("-4", "-4"),
        ("−4", "-4"),
        ("$1,250.50", "1250.50"),
        ("-$5", "-5"),
        ("12%", "12"),
        ("9.8 m/s^2", "9.8"),
        ("9.8 m/s²", "9.8"),
        ("5 cm3", "5"),
        ("x = 7.", "7"),
        ("**7**", "7"),
        ("1e3", "1000"),
        ("6.02e23 molecules", "6.02e23"),
        (".5", "0.5"),
        ("1,234,567", "1234567"),
        ("5 €", "5"),
    ],
)
def test_numeric_accepts(answer, gold):
    assert correct("numeric", answer, gold)


@pytest.mark.parametrize(
    "answer, gold",
    [
        ("3.26", "3.25"),
        ("4", "5"),
        ("5.001", "5"),
        ("12345679", "12345678"),
        ("–5", "5"),
        ("5 or 6", "5"),
        ("5\n6", "5"),
        ("5$6", "56"),
        ("0,123", "123"),
        ("10^5", "10"),
        ("5²", "5"),
        ("5½", "5"),
        ("5 or inf", "5"),
        ("±5", "5"),
        ("1/2", "1"),
        ("1e999", "5"),
        ("5 or6", "5"),
        ("5 or nan", "5"),
        ("1.2.3", "1.2"),
        ("5 ٦", "5"),
        ("- 5", "5"),
    ],
)
def test_numeric_refuses_but_extracts(answer, gold):
    verdict = get_grader("numeric").grade(f"Answer: {answer}", gold)
    assert not verdict.correct and verdict.extracted is not None


@pytest.mark.parametrize("text", ["5", "", "Answer 5", "Answer:", "Answer: five", "Answer:\n5"])
def test_numeric_without_a_number_on_a_marked_line_is_an_extraction_failure(text):
    assert get_grader("numeric").grade(text, "5") == Verdict(False, None)


def test_the_last_mark_counts():
    assert get_grader("numeric").grade("Answer: 5\nNo. **Answer:** 6", "6").correct
    assert not get_grader("numeric").grade("Answer: 5\nNo. Answer: 6", "5").correct


@pytest.mark.parametrize(
    "answer, gold",
    [
        ("[1,2]", "[1, 2]"),
        ("`[1, 2]`", "[1, 2]"),
        ('"a#b"', "'a#b'"),
        ("1.0", "1"),
        ("{'b': 1, 'a': [2]}", "{'a': [2], 'b': 1}"),
        ("[1,\n 2]", "[1, 2]"),
        ("None", "None"),
    ],
)
def test_literal_accepts_the_same_value(answer, gold):
    assert correct("literal", answer, gold)


@pytest.mark.parametrize(
    "answer, gold",
    [
        ("True", "1"),
        ("1", "True"),
        ("(1, 2)", "[1, 2]"),
        ("[True]", "[1]"),
        ("{1}", "{True}"),
        ("{1: 2}", "{True: 2}"),
        ("'1'", "1"),
        ("[2, 1]", "[1, 2]"),
    ],
)
def test_literal_keeps_types_apart_at_every_depth(answer, gold):
    assert not correct("literal", answer, gold)
    assert correct("literal", answer, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "[1] # or [2]",
        "'a' 'b'",
        "('a'\n'b')",
        "[1]\n[2]",
        "open('x')",
        "1+1",
        "[" * 1500,
        "-" * 1900 + "1",
        "{[]}",
        "'\x00'",
        "�",
        "1" * 2001,
        "",
        "\\",
        "'''",
        "  x",
    ],
)
def test_literal_fails_to_extract_what_is_not_one_plain_literal(answer):
    assert get_grader("literal").grade(f"Answer: {answer}", "[1]") == Verdict(False, None)


def test_exact_ignores_case_and_runs_of_white_space_only():
    assert correct("exact", "new   YORK ", "New York")
    assert not correct("exact", "NewYork", "New York")
    assert not correct("exact", "New York\nParis", "New York")
    assert not correct("exact", "x", "*")


@pytest.mark.parametrize("answer", ["B", "b", "(B)", "[B]", "B)", "B.", "**B**"])
def test_choice_accepts_one_letter(answer):
    assert correct("choice", answer, "B")


@pytest.mark.parametrize("answer", ["A or B", "AB", "B\nC", "B, C", "", "5", "(A)(B)"])
def test_choice_fails_to_extract_anything_else(answer):
    assert get_grader("choice").grade(f"Answer: {answer}", "B") == Verdict(False, None)


@pytest.mark.parametrize(
    "name, gold, answer", [("numeric", "1 or 2", "1"), ("literal", "x", "1"), ("choice", "AB", "A")]
)
def test_a_gold_that_cannot_be_read_is_our_error(name, gold, answer):
    with pytest.raises(ConfigError, match="gold"):
        correct(name, answer, gold)


def test_an_unknown_grader_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'numeric'"):
        get_grader("numerc")


@pytest.mark.parametrize("name", GRADERS)
@given(text=st.text() | st.text(EDGES), marked=st.booleans())
def test_no_text_makes_a_grader_raise(name, text, marked):
    verdict = get_grader(name).grade("Answer:" * marked + text, GOLDS[name])
    assert verdict.extracted is not None or not verdict.correct


@given(pair=PAIRS, joint=st.sampled_from(JOINTS), scale=st.sampled_from([1, 10, 1000]))
def test_numeric_never_credits_two_numbers(pair, joint, scale):
    first, second = (str(each / scale) if scale > 1 else str(each) for each in pair)
    assert not correct("numeric", first + joint + second, first)
    assert not correct("numeric", first + joint + second, second)


@pytest.mark.parametrize("name", ["literal", "exact", "choice"])
@given(
    data=st.data(), joint=st.sampled_from(JOINTS), wrap=st.sampled_from(["{}", "({})", "**{}**"])
)
def test_no_other_grader_credits_two_answers(name, data, joint, wrap):
    letters = st.lists(st.sampled_from("ABCDE"), min_size=2, max_size=2, unique=True)
    pair = data.draw(PAIRS.map(lambda each: [f"[{n}]" for n in each]) | letters)
    pair = [repr(each) if name == "literal" and each.isalpha() else each for each in pair]
    if name == "choice" and not pair[0].isalpha():
        return
    text = joint.join(wrap.format(each) for each in pair)
    assert not any(correct(name, text, gold) for gold in pair)


@pytest.mark.parametrize("name", GRADERS)
@pytest.mark.parametrize("piece", ["1,111", " ", "answer", "Answer:*", "- ", "9", "[", "m^"])
def test_long_texts_are_graded_in_linear_time(name, piece):
    get_grader(name).grade("Answer:" + piece * 50_000, GOLDS[name])
