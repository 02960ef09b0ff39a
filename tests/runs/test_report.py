"""The report: whole, self-contained, and text stays text."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from dataenv.cli import main

SETTINGS = ["public=16", "reward=8", "private=16", "seeds=8", "retention=2", "min_rows=4"]
SETTINGS += ["max_rows=16", "calls=64", "trainings=2", "steps=12", "training.epochs=1"]
SETTINGS += ["decoding.max_new_tokens=8"]
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "{{ 7 * 7 }}")
VOID = {"meta", "br", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and whether tags are balanced."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag
        self.text += " " * (tag == "td")

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def runs(tiny_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for policy in ("feedback", "mirror"):
        command = ["run", "--task", "Science-fast-v0", "--policy", policy, "--seed", "1"]
        command += ["--student", str(tiny_path), "--out", str(folder / policy)]
        assert main([*command, *(part for each in SETTINGS for part in ("--set", each))]) == 0
    return folder


def report(*folders, out):
    assert main(["report", *map(str, folders), "--out", str(out)]) == 0
    return out.read_text("utf-8")


def changed(source, folder, file, change):
    """A copy of a run with a file of its own changed; lines of JSON one by one."""
    shutil.copytree(source, folder)
    path = folder / file
    texts = path.read_text().splitlines() if file.endswith("jsonl") else [path.read_text()]
    path.write_text("\n".join(json.dumps(change(json.loads(text))) for text in texts))
    return folder


def test_the_report_says_what_the_records_say(runs, tmp_path):
    page = Page(report(runs / "feedback", out=tmp_path / "report.html"))
    result = json.loads((runs / "feedback/result.json").read_text())
    steps = (runs / "feedback/steps.jsonl").read_text().splitlines()
    low, high = result["gain_interval_points"]
    assert f"{result['gain_points']:+.1f} [{low:+.1f}, {high:+.1f}]" in page.text
    assert f"feedback on {result['target']}" in page.text and result["teacher"] in page.text
    for title in ("Topics that rose and fell", "Where the budget went", "Answers by class"):
        assert title in page.text
    assert f"{result['quality']['valid']['value']:.3g}" in page.text
    assert result["training_tokens"] > 0 and f"{result['training_tokens']:,}" in page.text
    timeline = page.text.split("Operations")[1].split("Rows of the submission")[0]
    operations = [json.loads(line)["action"]["op"] for line in steps]
    assert [word for word in timeline.split() if word in operations][: len(steps)] == operations
    trainings = sum(op == "train" for op in operations)
    assert sum(tag == "circle" and "dot" in a["class"] for tag, a in page.tags if "class" in a) == (
        trainings + 1
    )
    assert not page.open


def test_the_report_needs_nothing_else(runs, tmp_path):
    content = report(runs / "feedback", runs / "mirror", out=tmp_path / "report.html")
    page = Page(content)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "form"}
    attributes = {name for _, each in page.tags for name in each}
    assert not any(name.startswith("on") or name in ("src", "href") for name in attributes)
    assert not re.search(r"url\(|@import|https?://", content)
    assert "prefers-color-scheme: dark" in content and "default-src 'none'" in content
    assert len(content) < 300_000


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_that_looks_like_markup_stays_text(hostile, runs, tmp_path):
    def in_result(result):
        flipped = dict.fromkeys(("prompt", "gold", "before", "after"), hostile)
        return {**result, "policy": hostile, "flags": [hostile], "flipped": [flipped]}

    def in_step(step):
        step["report"]["bad_cases"] = [
            dict.fromkeys(("topic", "prompt", "gold", "answer"), hostile)
        ]
        step["report"]["error"] = hostile
        step["report"]["effect"]["reasons"] = [[hostile, 1]]
        return {**step, "action": {"op": hostile, "brief": hostile}}

    def in_row(row):
        row["provenance"]["checks"] = [hostile]
        return {**row, "instruction": hostile, "output": hostile}

    plain = Page(report(runs / "feedback", out=tmp_path / "plain.html"))
    folder = changed(runs / "feedback", tmp_path / "a", "result.json", in_result)
    folder = changed(folder, tmp_path / "b", "submission_rows.jsonl", in_row)
    folder = changed(folder, tmp_path / "c", "steps.jsonl", in_step)
    content = report(folder, folder, out=tmp_path / "report.html")
    page = Page(content)
    assert page.text.count(hostile) > 50
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"h2"}
    assert "<script" not in content and "<img" not in content
    assert not any(name.startswith("on") for _, each in page.tags for name in each)


def test_runs_of_the_same_target_are_compared(runs, tmp_path):
    page = Page(report(runs / "mirror", runs / "feedback", out=tmp_path / "report.html"))
    finals = [
        json.loads((runs / name / "result.json").read_text())["final"]["private"]
        for name in ("mirror", "feedback")
    ]
    assert "2 runs side by side" in page.text
    assert f"{100 * (finals[1] - finals[0]):+.1f} [" in page.text and "to #1" in page.text


def test_runs_of_other_seeds_are_not_compared(runs, tmp_path):
    other = changed(runs / "feedback", tmp_path / "o", "result.json", lambda r: {**r, "seed": 9})
    page = Page(report(runs / "mirror", other, out=tmp_path / "report.html"))
    assert "side by side" in page.text and "to #1" not in page.text


def test_a_privileged_run_says_so(runs, tmp_path):
    folder = changed(
        runs / "mirror", tmp_path / "p", "result.json", lambda r: {**r, "flags": ["privileged"]}
    )
    page = Page(report(folder, out=tmp_path / "report.html"))
    assert "privileged  Not comparable" in page.text


def test_a_run_that_gave_up_has_a_report(tiny_path, tmp_path):
    policy = tmp_path / "lazy.py"
    policy.write_text(
        "class Lazy:\n"
        "    def begin(self, briefing): self.turns = 0\n"
        "    def act(self, observation, report):\n"
        "        self.turns += 1\n"
        "        return {'op': 'submit'} if self.turns > 1 else {'oops': 1}\n"
    )
    command = ["run", "--task", "Science-fast-v0", "--policy", f"{policy}:Lazy"]
    command += ["--student", str(tiny_path), "--out", str(tmp_path / "run")]
    settings = [*SETTINGS, "score_private=false"]
    assert main([*command, *(part for each in settings for part in ("--set", each))]) == 0
    page = Page(report(tmp_path / "run", out=tmp_path / "report.html"))
    assert "not scored" in page.text and "Nothing was submitted" in page.text
    assert "Actions refused: 1" in page.text and "no_submission" in page.text


def test_half_a_character_is_no_obstacle(runs, tmp_path):
    def halve(row):
        return {**row, "output": "half \ud83d"}

    folder = changed(runs / "feedback", tmp_path / "h", "submission_rows.jsonl", halve)
    assert "half ?" in report(folder, out=tmp_path / "report.html")


def test_nothing_of_this_machine_is_in_the_report(runs, tiny_path, tmp_path):
    content = report(runs / "feedback", out=tmp_path / "report.html")
    assert str(tiny_path) not in content and str(runs) not in content


def test_a_folder_without_a_run_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "holds no finished run" in capsys.readouterr().err
