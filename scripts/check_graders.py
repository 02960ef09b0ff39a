r"""Compare the benchmarks' graders with verdicts that were published with the benchmarks.

    python scripts/check_graders.py --data DIR [--out records/graders.json]

DIR holds, as far as they can be had (none of it comes with the package):

- ``grader_refs/financereasoning/cot_extracted_vs_gold.jsonl``: ``extracted_answer``,
  ``ground_truth`` and ``acc`` of the published ``evaluation.json`` files of
  github.com/BUPT-Reasoning-Lab/FinanceReasoning;
- ``grader_refs/cruxeval/sample_scored_codellama-7b_temp0.2_output.json`` and
  ``cruxeval/cruxeval.jsonl`` of github.com/facebookresearch/cruxeval;
- ``scibench/*.json``: ``dataset/original`` of github.com/mandyyyyii/scibench, which publishes no
  verdicts; its golds themselves are graded, and numbers a little nearer and farther than 5%.

For livecodebench nothing can be compared: its test output predictions are not published in files.
The exit status is 1 if a verdict differs, or a row that is said not to differ does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dataenv.tasks.graders import GRADERS

STRICT, FIXED = "financereasoning-strict", "financereasoning"
DIFFERENCES: dict[str, int] = {}
"""Published rows on which the two differ, by reason, as their module's docstring states: none."""


def check_strict(data: Path) -> dict[str, Any]:
    """Published verdicts of FinanceReasoning against the strict grader."""
    rows = finance_rows(data)
    compared = [row for row in rows if row["extracted_answer"] is not None]
    agree = sum(finance_verdict(STRICT, row) == bool(row["acc"]) for row in compared)
    return {
        "rows": len(rows),
        "without_answer": len(rows) - len(compared),
        "compared": len(compared),
        "agree": agree,
        "passed": agree == len(compared) > 0,
    }


def check_fixed(data: Path) -> dict[str, Any]:
    """The default grader against the strict one, on the same rows."""
    rows = [row for row in finance_rows(data) if row["extracted_answer"] is not None]
    differ = [row for row in rows if finance_verdict(FIXED, row) != finance_verdict(STRICT, row)]
    reasons = dict(Counter(reason(row["extracted_answer"]) for row in differ))
    return {
        "compared": len(rows),
        "agree": sum(finance_verdict(FIXED, row) == bool(row["acc"]) for row in rows),
        "differ_from_strict": len(differ),
        "reasons": reasons,
        "passed": bool(rows) and reasons == DIFFERENCES,
    }


def finance_rows(data: Path) -> list[dict]:
    """The published rows."""
    return rows_of(data / "grader_refs/financereasoning/cot_extracted_vs_gold.jsonl")


def finance_verdict(name: str, row: dict) -> bool:
    """What a grader says to a published answer behind our mark."""
    text = f"Answer: {row['extracted_answer']}"
    return GRADERS[name].grade(text, str(row["ground_truth"])).correct


def reason(answer: str) -> str:
    """Why the two graders of FinanceReasoning may differ on an answer."""
    if re.search(r"#| or |\bnot\b|true.*false|false.*true", answer.lower()):
        return "two answers"
    if "^" in answer:
        return "power"
    if "," not in answer:
        return "other"
    return (
        "thousands" if re.search(r"(?<![\d,])[1-9]\d{0,2}(,\d{3})+(?![\d,])", answer) else "tuple"
    )


def check_cruxeval(data: Path) -> dict[str, Any]:
    """Published verdicts of CRUXEval, in every form that an answer may have."""
    problems = {row["id"]: row for row in rows_of(data / "cruxeval/cruxeval.jsonl")}
    path = data / "grader_refs/cruxeval/sample_scored_codellama-7b_temp0.2_output.json"
    published = json.loads(path.read_text("utf-8"))
    pairs = [
        (problems[name], text, bool(right))
        for name, texts in published["raw_generations"].items()
        for text, right in zip(texts, published["raw_scored_generations"][name], strict=True)
    ]
    grade = GRADERS["cruxeval"].grade
    agree = {
        form: sum(
            grade(write(row, text), row["output"]).correct == right for row, text, right in pairs
        )
        for form, write in FORMS.items()
    }
    return {
        "problems": len(problems),
        "compared": len(pairs),
        "right": sum(right for *_, right in pairs),
        "agree": agree,
        # what the benchmark's rule on calls, and its cut at ==, would need in order to matter
        "outputs_with_their_call": sum(
            f"f({p['input']})" in p["output"] for p in problems.values()
        ),
        "problems_with_==": sum("==" in p["input"] + p["output"] for p in problems.values()),
        "passed": set(agree.values()) == {len(pairs)} != {0},
    }


FORMS: dict[str, Callable[[dict, str], str]] = {
    "bare": lambda row, text: text,
    "assertion": lambda row, text: f"assert f({row['input']}) == {text}",
    "tags": lambda row, text: f"[ANSWER]\nassert f({row['input']}) == {text}\n[/ANSWER]",
    "mark": lambda row, text: f"Let me see.\nAnswer: {text}",
}


def check_scibench(data: Path) -> dict[str, Any]:
    """SciBench's golds in a box, as they are, 4% larger and 6% larger."""
    files = sorted((data / "scibench").glob("*.json"))
    golds = [gold_of(row) for path in files for row in json.loads(path.read_text("utf-8"))]
    found = {
        f"right_{percent}_percent_off": sum(scaled(gold, percent) for gold in golds)
        for percent in (0, 4, 6)
    }
    zeros = sum(float(gold) == 0 for gold in golds)  # 6% more than nothing is nothing
    expected = [len(golds), len(golds), zeros]
    return {
        "golds": len(golds),
        "zeros": zeros,
        **found,
        "passed": bool(golds) and list(found.values()) == expected,
    }


def gold_of(row: dict) -> str:
    """A gold with the power of ten of its unit."""
    number = row["answer_number"].strip().replace(",", "").replace("\N{MINUS SIGN}", "-")
    power = re.search(r"10\^\{? *(-?\d+)", row["unit"])
    return f"{number}e{power[1]}" if power else number


def scaled(gold: str, percent: int) -> bool:
    """Whether a number some percent from gold is right."""
    text = f"It is \\boxed{{x = {float(gold) * (1 + percent / 100)!r}}}."
    return GRADERS["scibench"].grade(text, gold).correct


def check_livecodebench(data: Path) -> dict[str, Any]:
    """Nothing to compare, so neither passed nor failed."""
    return {"compared": 0, "passed": None}


def rows_of(path: Path) -> list[dict]:
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]


CHECKS: dict[str, Callable[[Path], dict[str, Any]]] = {
    STRICT: check_strict,
    FIXED: check_fixed,
    "cruxeval": check_cruxeval,
    "scibench": check_scibench,
    "livecodebench": check_livecodebench,
}


def main(argv: list[str] | None = None) -> int:
    """Prints the counts of every grader, and may write them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DATAENV_DATA"))
    parser.add_argument("--out", type=Path, help="a file for the counts")
    arguments = parser.parse_args(argv)
    if arguments.data is None:
        parser.error("name the folder of the published files with --data or in DATAENV_DATA")
    try:
        record = {name: check(Path(arguments.data)) for name, check in CHECKS.items()}
    except OSError as error:
        print(f"cannot compare: {error}", file=sys.stderr)
        return 1
    for name, counts in record.items():
        print(f"{name}: {json.dumps(counts)}")
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    return int(any(counts["passed"] is False for counts in record.values()))


if __name__ == "__main__":
    sys.exit(main())
