"""The benchmarks' rules, each quirk by a case of our own; nothing is run, whatever is written."""

import json
import time
from pathlib import Path

import check_graders
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataenv.errors import ConfigError
from dataenv.tasks.benchmark_graders import BENCHMARK_GRADERS
from dataenv.tasks.graders import GRADERS, Verdict, get_grader

GOLDS = {
    "scibench": "2.5",
    "financereasoning": "12",
    "financereasoning-strict": "12",
    "livecodebench": "[1, 2]",
    "cruxeval": "[1, 2]",
}
NAMES = [name for name, *_ in BENCHMARK_GRADERS]
EDGES = "0123456789.,-+*/^%=≈×eExX()[]{}'\"#`\\ \n$ortuefalsn_:"
PIECES = ["\\boxed{", "assert ", " == ", "```python\n", "```", "[ANSWER]", "[/ANSWER]", "Answer: "]


def correct(name: str, text: str, gold: str) -> bool:
    return get_grader(name).grade(text, gold).correct


# -- scibench --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer, gold, right",
    [
        ("1.05", "1.0", True),
        ("1.0526", "1.0", True),
        ("1.053", "1.0", False),
        ("0.95", "1.0", False),
        ("0.9499", "1.0", False),
        ("0.951", "1.0", True),
        ("10.4 km", "10.4", True),
        ("km 10.4", "10.4", False),
        ("10.4km", "10.4", False),
        ("1,000", "1000", True),
        ("1e3", "1000", True),
        ("$5", "5", False),
        ("5%", "5", False),
        ("1/2", "0.5", False),
        ("\\frac{1}{2}", "0.5", False),
        ("−5", "-5", False),
        ("-5", "-5", True),
        ("0", "0", True),
        ("0.0", "0", True),
        ("1e-9", "0", False),
        ("inf", "inf", True),
        ("nan", "nan", False),
        ("nan", "5", False),
        ("", "5", False),
        # a power of ten
        ("2.5 \\times 10^{3}", "2500", True),
        ("2.5\\times10^3", "2500", True),
        ("2.5 * 10^3 m/s", "2500", True),
        ("2.5 \\times 10^{ -3 } \\mathrm{~m}", "0.0025", True),
        ("2.5 \\times 10^{-3}", "2.5e-3", True),
        ("2,500 \\times 10^{-3}", "2.5", True),
        ("2.5e-3", "2.5e-3", True),
        ("2.5 \\times 10^{4}", "2500", False),
        ("2.5 \\times 10^{999999}", "2.5", True),
        ("2.5 \\times 10^{3} \\times 2", "2500", False),
        ("2.5 x 10^3", "2500", False),
        # the first factor alone: against a plain gold, as in the benchmark, and no other
        ("2.5 \\times 10^{3}", "2.5", True),
        ("2.5e-3 \\times 10^{3}", "2.5e-3", False),
        ("2.5e-3 \\times 4", "2.5e-3", False),
    ],
)
def test_scibench_compares_as_the_benchmark_does(answer, gold, right):
    assert get_grader("scibench").equal(answer, gold) is right
    assert correct("scibench", f"So \\boxed{{{answer}}}.", gold) is right


@pytest.mark.parametrize(
    "text, extracted",
    [
        ("\\boxed{3} then \\boxed{4}.", "4"),
        ("\\boxed{v = 3 = 4}", "4"),
        ("\\boxed{\\mathrm{4}}", "\\mathrm{4}"),
        ("oxed{4}", "4"),
        ("\\boxed{4}\nAnswer: 5", "4"),
        ("\\boxed{ }\nAnswer: 5", None),
        ("\\fbox{4}\nis it", None),
        ("\\boxed {4}", None),
        ("\\boxed{4} is boxed", None),
        ("\\boxed{3} and \\boxed{4", None),
        # behind our mark, where the benchmark finds nothing
        ("\\boxed{3\nAnswer: 5", "5"),
        ("Answer: 10.4 km", "10.4 km"),
        ("**Answer:** t = 2.5 \\times 10^{3} s", "2.5 \\times 10^{3} s"),
        ("Answer: 9.8 m/s^2", "9.8 m/s^2"),
        ("Answer: 5\n\nThat is all.", "5"),
        ("Answer: 5 or 6", None),
        ("Answer: 5\n6", None),
        ("Answer: five", None),
        ("Answer:\n5", None),
        # a bare answer, as the benchmark's own grader is given
        ("5", "5"),
        ("10.4 km", "10.4 km"),
        ("I took\n5", None),
        ("no idea", None),
    ],
)
def test_scibench_takes_the_last_box_or_our_mark(text, extracted):
    assert get_grader("scibench").extract(text) == extracted


# -- financereasoning ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer, gold, right",
    [
        ("1.002", "1.0", True),
        ("0.998", "1.0", True),
        ("1.0021", "1.0", False),
        ("0.9979", "1", False),
        ("-1.002", "-1", True),
        ("0", "0.0", True),
        ("0.00001", "0", False),
        ("0.1234", "0.1234", True),
        ("12.34%", "0.1234", False),
        ("1234.5%", "1234.5", True),
        ("1/3", "0.3333", True),
        ("2**10", "1024", True),
        ("7 // 2 + 7 % 4", "6", True),
        ("-(3 - 5)", "2", True),
        ("+5", "5", True),
        (" 5 ", "5", True),
        ("1e3", "1000", True),
        ("True", "True", True),
        ("False", "False", True),
        ("True", "False", False),
        ("yes", "True", True),
        ("No.", "False", True),
        ("It is false", "false", True),
        ("1", "True", True),
        ("0", "False", True),
        ("1", "False", False),
        ("2", "True", False),
        ("None", "0", False),
        ("", "0", False),
        ("none", "0", False),
        ("$5", "5", True),
        ("£12.5 million", "12.5", True),
        ("12.5 million", "12500000", False),
        ("5 usd", "5", True),
        ("USD 5", "5", True),
        ("eps 5", "5", True),
        ("5km", "5", True),
        ("kg5", "5", True),
        ("5 km each", "5", False),
        ("approximately 5", "5", True),
        ("x = 4 = 5", "5", True),
        ("x ≈ 5.", "5", True),
        ("`5`°", "5", True),
        ("3 x 4", "12", True),
        ("3 × 4", "12", True),
        ("1,050", "1050", True),
        ("$1,234,567.5", "1234567.5", True),
        ("1/0", "0", False),
        ("(-8)**0.5", "0", False),
        ("'5'", "5", False),
        ("()", "0", False),
        ("((5, 6), 7)", "5", False),
        ("5\x006", "5", False),
        # what the benchmark would evaluate
        ("max(5, 4)", "5", False),
        ("5 > 4", "True", False),
        ("~5", "-6", False),
        ("5 << 1", "10", False),
        ("(5, 6) * 2", "5", False),
    ],
)
def test_both_graders_of_finance_agree_on_one_number_or_truth_value(answer, gold, right):
    for name in ("financereasoning", "financereasoning-strict"):
        assert get_grader(name).equal(answer, gold) is right, name


@pytest.mark.parametrize(
    "answer, gold, strict, fixed, reason",
    [
        ("1,234.5", "1234.5", False, True, "thousands"),
        ("1,234.5", "1", True, False, "thousands"),
        ("-12,345", "-12345", False, True, "thousands"),
        ("1,234,567", "1234567", False, True, "thousands"),
        ("1,080.5", "1080.5", False, True, "thousands"),
        ("2 * 1,500", "3000", False, True, "thousands"),
        ("10,20", "10", True, False, "tuple"),
        ("10, 20", "10", True, False, "tuple"),
        ("[10, 20]", "10", True, False, "tuple"),
        ("0,123", "0", True, False, "tuple"),
        ("5 or 6", "5", True, False, "two answers"),
        ("5 # 6", "5", True, False, "two answers"),
        ("not true", "True", True, False, "two answers"),
        ("true, not false", "True", True, False, "two answers"),
        ("10^3", "1000", False, True, "power"),
        ("10^3", "9", True, False, "power"),
        ("2.5 x 10^3", "2500", False, True, "power"),
        ("$10^3", "1000", False, True, "power"),
        ("untrue", "True", True, False, "other"),
    ],
)
def test_the_default_grader_of_finance_mends_the_quirks_of_the_strict(
    answer, gold, strict, fixed, reason
):
    assert get_grader("financereasoning-strict").equal(answer, gold) is strict
    assert get_grader("financereasoning").equal(answer, gold) is fixed
    assert check_graders.reason(answer) == reason


@pytest.mark.parametrize(
    "text, extracted",
    [
        ("So.\nAnswer: $1,234.50", "$1,234.50"),
        ("Answer: 5\nNo. **Answer:** 6", "6"),
        ("Answer: 5\n\nThat is what the table says.", "5"),
        ("Answer: 5\n6", None),
        ("Answer: yes\nNo", None),
        ("Answer:\n5", None),
        ("1,583", "1,583"),
        ("True", "True"),
        ("no idea", None),
        ("I took\n5", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("name", ["financereasoning", "financereasoning-strict"])
def test_finance_is_read_behind_our_mark(name, text, extracted):
    assert get_grader(name).extract(text) == extracted


@pytest.mark.parametrize(
    "answer",
    [
        "9**9**9",
        "9**9**9**9",
        "-9**99999999",
        "10**(10**10)",
        "2**4096 * 2**4096",
        "(((2**64)**64)**64)**64",
        "9.9**9**9",
        "1e999 - 1e999",
        "(1,) * 9**9",
        "1" * 5000,
        "9" * 290,
        "-" * 299 + "1",
        "(" * 150 + "1" + ")" * 150,
        "1+" * 149 + "1",
        "__import__('os').getcwd()",
        "[x for x in range(9**9)]",
        "(lambda: 1)()",
        "f'{12}'",
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_large_deep_and_foreign_expressions_are_neither_run_nor_right(name, answer):
    began = time.monotonic()
    for text in (f"Answer: {answer}", f"\\boxed{{{answer}}}", f"assert f() == {answer}", answer):
        assert not correct(name, text, GOLDS[name])
    get_grader(name).equal(answer, GOLDS[name])
    assert time.monotonic() - began < 1


# -- livecodebench ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, extracted",
    [
        ("assert f(1) == 2\nassert f(1) == 3\nend", "assert f(1) == 3"),
        ("```python\nx\n```\nassert f(1) == 3", "assert f(1) == 3"),
        ("```\n1\n```\n```python\n2\n```\n```python\n3\n```", "2"),
        ("```\n1\n```\n```Python\n2\n```", "2"),
        ("```\n1\n```\n```\n2\n```", "1"),
        ("```\n1\n```\n```python\n2", None),
        ("```\n1", None),
        ("  assert f(1) == 2", None),
        ("So.\nAnswer: [1, 2]", "[1, 2]"),
        ("```\n\n```\nAnswer: `[1, 2]`", "[1, 2]"),
        ("Answer: assert f(1) == 2", "assert f(1) == 2"),
        ("Answer: [1] # or [2]", None),
        ("Answer: 'a' 'b'", None),
        ("5", None),
    ],
)
def test_livecodebench_takes_the_last_assertion_the_first_block_or_our_mark(text, extracted):
    assert get_grader("livecodebench").extract(text) == extracted


@pytest.mark.parametrize(
    "answer, gold, right",
    [
        ("assert f(1) == [1, 2]", "[1, 2]", True),
        ("[1, 2]", "[1,2]", True),
        ("assert f('==') == 'a'", '"a"', True),
        ("assert f(1) == -1.5", "-1.5", True),
        ("assert f(1) == {'a': None}", '{"a": null}', True),
        ("assert f(1) == True", "true", True),
        ("assert f(1) == true", "true", False),
        # values are compared by ==
        ("assert f(1) == True", "1", True),
        ("assert f(1) == 1.0", "1", True),
        ("assert f(1) == [0]", "[false]", True),
        ("assert f(1) == (1, 2)", "[1, 2]", False),
        ("assert f(1) == '1'", "1", False),
        # the first line of a block with an assertion that does not start with #
        ("# assert f(1) == 3\nx = 1\n    assert f(1) == 2\nassert f(1) == 3", "2", True),
        ("# assert f(1) == 3\n[1,\n2]", "[1, 2]", False),
        ("x = 'assert'\nassert f(1) == 2", "2", False),
        ("assert f(1) == [1,\n2]", "[1, 2]", False),
        ("'assert'", '"assert"', False),
        # only what is right of the first == counts
        ("assert f(1) == 2, 3", "2", True),
        ("assert f(1) == 2 # 3", "2", True),
        ("assert f(1) == 2 == 3", "2", True),
        ("assert f(1) == 2; assert f(1) == 3", "2", True),
        ("assert 2 == f(1)", "2", False),
        ("assert f(1) != 2 == 3", "3", False),
        ("assert f(1) is 2", "2", False),
        ("assert (f(1) == 2) == True", "true", True),
        ("assert f(1)", "true", False),
        ("assert f(1) == # TODO", "1", False),
        ("assert f(1) ==", "1", False),
        # where the benchmark would compute
        ("assert f(1) == 2 + 3", "5", False),
        ("assert f(1) == sorted([2, 1])", "[1, 2]", False),
        ("assert f(1) == float('inf')", "Infinity", False),
        ("assert f(1) == 'a\x00'", '"a"', False),
        ("", "[]", False),
    ],
)
def test_livecodebench_compares_what_is_right_of_the_assertion(answer, gold, right):
    assert get_grader("livecodebench").equal(answer, gold) is right


# -- cruxeval --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, extracted",
    [
        ("[1, 2]", "[1, 2]"),
        ("assert f(7) == [1, 2]", "[1, 2]"),
        ("f(7) == [1, 2]", "[1, 2]"),
        ("[ANSWER]\nassert f('a == b') == 'é == d'\n[/ANSWER]", "'é == d'"),
        ("assert f(7) == [1, 2]\n[/ANSWER]\n\n[PYTHON]", "[1, 2]"),
        ("[ANSWER][1,\n 2][/ANSWER] Answer: 3", "[1,\n 2]"),
        ("[THOUGHT]\nx == 5\n[/THOUGHT]\n[ANSWER] 6 [/ANSWER] [ANSWER] 7", "6"),
        ("f(7) is three.\nAnswer: `[1, 2]`", "[1, 2]"),
        ("Answer: 5\nAnswer: assert f(7) == 6", "6"),
        ("'Answer: 5'", "'Answer: 5'"),
        ("None", "None"),
        ("set()", "set()"),
        ("(1,)", "(1,)"),
        # no single literal
        ("[ANSWER] x [/ANSWER] Answer: 3", None),
        ("1, 2", None),
        ("assert f(7) == 1, 2", None),
        ("assert f(7) == 1 == 2", None),
        ("assert f(7) == 1; assert f(7) == 2", None),
        ("5 == 6", None),
        ("assert 5 == 6", None),
        ("assert f(7) != 6", None),
        ("1\n2", None),
        ("5 # 6", None),
        ("'a' 'b'", None),
        ("5 or 6", None),
        ("'<' * 3", None),
        ("f(7)", None),
        ("assert f(7) == f(7)", None),
        ("'a", None),
        ("Answer: [1]\n[2]", None),
        ("It is 5", None),
        ("", None),
    ],
)
def test_cruxeval_takes_one_literal_alone_asserted_tagged_or_marked(text, extracted):
    assert get_grader("cruxeval").extract(text) == extracted


@pytest.mark.parametrize(
    "answer, gold, right",
    [
        ("[1,2]", "[1, 2]", True),
        ("1.0", "1", True),
        ("True", "1", True),
        ("None", "None", True),
        ("{'b': 1, 'a': 2}", "{'a': 2, 'b': 1}", True),
        ("(1, 2)", "[1, 2]", False),
        ("'1'", "1", False),
        ('"a"', "'a'", True),
        ("'A'", "'a'", False),
        ("{2, 1}", "{1, 2}", True),
    ],
)
def test_cruxeval_compares_values(answer, gold, right):
    assert correct("cruxeval", f"assert f(7) == {answer}", gold) is right


# -- all -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, gold",
    [
        ("scibench", "1,000"),
        ("scibench", "five"),
        ("financereasoning", "1,000"),
        ("financereasoning", "nan"),
        ("financereasoning-strict", "None"),
        ("livecodebench", "(1, 2)"),
        ("livecodebench", "[" * 100_000),
        ("cruxeval", "f(1)"),
        ("cruxeval", "(" * 9_000),
        ("cruxeval", ""),
    ],
)
def test_a_gold_that_cannot_be_read_is_our_error(name, gold):
    with pytest.raises(ConfigError, match="gold"):
        get_grader(name).check(gold)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_line_of_the_table(name):
    grader = GRADERS[name]
    grader.check(GOLDS[name])
    assert grader.name == name and grader.about
    assert correct(name, f"Answer: {GOLDS[name]}", GOLDS[name])
    assert grader.grade("no idea", GOLDS[name]) == Verdict(False, None)


@pytest.mark.parametrize("name", NAMES)
@given(
    text=st.text() | st.text(EDGES) | st.lists(st.sampled_from(PIECES + list(EDGES))).map("".join)
)
def test_no_text_makes_a_grader_raise(name, text):
    verdict = get_grader(name).grade(text, GOLDS[name])
    assert verdict.extracted is not None or not verdict.correct
    get_grader(name).equal(text, GOLDS[name])


@pytest.mark.parametrize("name", ["scibench", "financereasoning", "livecodebench", "cruxeval"])
@given(
    pair=st.lists(st.integers(0, 2000), min_size=2, max_size=2, unique=True),
    joint=st.sampled_from([" or ", ", ", "; ", " ", "\n", " # ", " and not ", "±", "|"]),
)
def test_two_answers_behind_our_mark_are_never_both_right(name, pair, joint):
    text = "Answer: " + joint.join(map(str, pair))
    assert not any(correct(name, text, str(number)) for number in pair)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "piece", ["1,111", " ", "9", "[", "{", "\\boxed{", "assert ", "```", "-", "not ", "or 1 ", "*"]
)
def test_long_texts_are_graded_in_linear_time(name, piece):
    began = time.monotonic()
    for before in ("", "Answer:", "\\boxed{", "assert f() == ", "[ANSWER]"):
        assert not correct(name, before + piece * 50_000, GOLDS[name])
    assert time.monotonic() - began < 5


# -- the comparison with published verdicts --------------------------------------------------------


@pytest.fixture
def published(tmp_path):
    """A folder in the form of the published files, with content of our own."""
    finance = [("7.5", 7.51, 1), ("8", 9, 0), ("True", True, 1), (None, 3, 0)]
    files = {
        "grader_refs/financereasoning/cot_extracted_vs_gold.jsonl": "\n".join(
            json.dumps({"extracted_answer": a, "ground_truth": g, "acc": v}) for a, g, v in finance
        ),
        "grader_refs/cruxeval/sample_scored_codellama-7b_temp0.2_output.json": json.dumps(
            {
                "raw_generations": {"sample_0": ["[3]", "[4]", "'x' * 2"]},
                "raw_scored_generations": {"sample_0": [True, False, False]},
            }
        ),
        "cruxeval/cruxeval.jsonl": '{"id": "sample_0", "code": "", "input": "3", "output": "[3]"}',
        "scibench/fund.json": json.dumps(
            [{"answer_number": "1,250", "unit": "m"}, {"answer_number": "−2", "unit": "$10^{3}$ m"}]
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def test_the_comparison_counts_what_agrees(published, capsys):
    out = published / "graders.json"
    assert check_graders.main(["--data", str(published), "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert set(record) == set(NAMES) == set(check_graders.CHECKS)
    assert record["financereasoning-strict"]["agree"] == record["financereasoning"]["agree"] == 3
    assert set(record["cruxeval"]["agree"].values()) == {3}
    assert record["scibench"]["right_4_percent_off"] == 2
    assert len(capsys.readouterr().out.splitlines()) == len(NAMES)


@pytest.mark.parametrize(
    "file, old, new",
    [
        ("grader_refs/financereasoning/cot_extracted_vs_gold.jsonl", '"acc": 0', '"acc": 1'),
        ("grader_refs/financereasoning/cot_extracted_vs_gold.jsonl", '"7.5"', '"7,500.0"'),
        (
            "grader_refs/cruxeval/sample_scored_codellama-7b_temp0.2_output.json",
            "[true, false",
            "[true, true",
        ),
        ("grader_refs/cruxeval/sample_scored_codellama-7b_temp0.2_output.json", "[3]", "[5]"),
    ],
)
def test_the_comparison_fails_on_a_difference(published, file, old, new):
    path = published / file
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
    assert check_graders.main(["--data", str(published)]) == 1


def test_the_comparison_fails_without_its_files(tmp_path, capsys, monkeypatch):
    assert check_graders.main(["--data", str(tmp_path)]) == 1
    assert "cannot compare" in capsys.readouterr().err
    monkeypatch.delenv("DATAENV_DATA", raising=False)
    with pytest.raises(SystemExit):
        check_graders.main([])


def test_the_record_says_that_all_published_verdicts_are_met():
    path = Path(check_graders.__file__).parents[1] / "records" / "graders.json"
    record = json.loads(path.read_text())
    assert set(record) == set(NAMES)
    assert record["financereasoning-strict"]["agree"] == 3080
    assert record["financereasoning"]["reasons"] == check_graders.DIFFERENCES == {}
    assert set(record["cruxeval"]["agree"].values()) == {8000}
    assert not any(counts["passed"] is False for counts in record.values())
