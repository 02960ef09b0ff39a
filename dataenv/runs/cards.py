"""Cards of exported students and data sets: front matter for a hub, and text for people.

Nothing of one machine gets into a card, such as paths, endpoints and tapes, and no private item.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from huggingface_hub import CardData, DatasetCardData, EvalResult, ModelCardData

from dataenv.naming import public_config, public_name
from dataenv.presets import EnvConfig
from dataenv.rows import Row
from dataenv.runs.tables import markdown
from dataenv.students import STUDENTS
from dataenv.students.fetch import ORIGINS, source_of

TAGS = ("dataenv", "data-curation", "supervised-fine-tuning")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
"""Names that a hub has for the sizes of data sets below so many rows."""


@dataclass(frozen=True)
class Story:
    """What the cards tell.

    Args:
        result: The content of ``result.json``.
        config: Of the environment.
        license: Its id.
        verified: Whether the student was trained again and scored the same.
        description: What the task is about.
        used: Rows of the submission that were trained on.
        contaminated: Rows left out since they repeat public items.
    """

    result: dict[str, Any]
    config: EnvConfig
    license: str
    verified: bool
    description: str
    used: int
    contaminated: int

    @property
    def task(self) -> str:
        """The task's name."""
        return public_name(self.result["task"])

    @property
    def student(self) -> str:
        """The base's name."""
        return public_name(self.config.student)


def dataset_card(story: Story, rows: Iterable[Row]) -> str:
    """The ``README.md`` of a data set."""
    held = list(rows)
    size = next((name for limit, name in SIZES if len(held) < limit), "100K<n<1M")
    files = {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}
    data = DatasetCardData(
        license=story.license,
        pretty_name=f"{story.task} rows curated for {story.student}",
        size_categories=[size],
        task_categories=["text-generation"],
        tags=[*TAGS, story.task],
        configs=[files],
    )
    overlap = story.result["private_overlap"]
    left_out = f"; {story.contaminated} repeat public items" if story.contaminated else ""
    left_out += f"; {overlap} are private items in disguise" if overlap else ""
    parts = [
        f"# {data.pretty_name}",
        f"{len(held)} rows of instruction, input and output, of which training uses {story.used}"
        f"{left_out}. They were curated in an episode of dataenv, by the policy "
        f"{story.result['policy']}, to make {story.student} better at this:",
        f"> {' '.join(story.description.split())}",
        "`id` is a hash of a row's content, `operation` what wrote it, `checks` what it has passed.",
        "## What it does for the student",
        _scores(story),
        "## Where the rows come from",
        _provenance(story, held),
        *_quality(story),
        *_conditions(story),
    ]
    return _card(data, parts)


def student_card(story: Story, has_adapter: bool) -> str:
    """The ``README.md`` of a student."""
    data = ModelCardData(
        license=story.license,
        base_model=_hub_id(story.student),
        library_name="peft" if has_adapter else "transformers",
        pipeline_tag="text-generation",
        tags=[*TAGS, story.task],
        model_name=f"{story.student} for {story.task}",
        eval_results=_eval_results(story),
    )
    kind = "A LoRA adapter for" if has_adapter else "A checkpoint fine-tuned from"
    parts = [
        f"# {story.student} for {story.task}",
        f"{kind} {story.student}, trained on {story.used} rows that the policy "
        f"{story.result['policy']} curated in an episode of dataenv, for this:",
        f"> {' '.join(story.description.split())}",
        _usage(story.student, has_adapter),
        "A prompt is the instruction and, on a new line, the input if there is one. Answers are greedy.",
        "## Scores",
        _scores(story),
        *_conditions(story),
    ]
    return _card(data, parts)


def _card(data: CardData, parts: Sequence[str]) -> str:
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n"


def _eval_results(story: Story) -> list[EvalResult] | None:
    score = story.result["final"]["private"]
    if score is None:
        return None
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=story.result["target"],
            dataset_name=f"{story.task}, private items of {story.result['target']}",
            metric_type="accuracy",
            metric_value=round(score, 4),
        )
    ]


def _hub_id(student: str) -> str | None:
    """Where a hub has the base; None if it has not."""
    if student in ORIGINS:
        return ORIGINS[student].hub
    return student if "/" in student else None


def _usage(student: str, has_adapter: bool) -> str:
    load = "AutoModelForCausalLM.from_pretrained"
    lines = ["from transformers import AutoModelForCausalLM"]
    if not has_adapter:
        return _code([*lines, f'model = {load}("PATH")'])
    lines.insert(0, "from peft import PeftModel")
    base = repr(student)
    if student in STUDENTS:
        lines.insert(0, "from dataenv.students import student_folder")
        base = f"student_folder({base})"
    elif student in ORIGINS:
        lines.insert(0, "from dataenv.students.fetch import fetch")
        base = f"fetch({base}, {source_of(student)!r})"
    return _code(
        [*lines, f"base = {load}({base})", 'model = PeftModel.from_pretrained(base, "PATH")']
    )


def _code(lines: Sequence[str], language: str = "python") -> str:
    return "\n".join([f"```{language}", *lines, "```"])


def _scores(story: Story) -> str:
    result = story.result
    lines = [
        (
            name,
            _score(result[name]["private"], result[name]["private_interval"]),
            f"{result[name]['public']:.3f}",
            f"{result['retention'][name]:.3f}" if result["config"]["retention"] else "not asked",
        )
        for name in ("base", "final")
    ]
    n = result["final"]["n_private"]
    head = ("", f"private score, n = {n} [95% interval]", "public score", "general items")
    said = [markdown(head, lines)]
    if result["gain_points"] is not None:
        low, high = result["gain_interval_points"]
        said.append(
            f"Gain {result['gain_points']:+.1f} points, 95% interval [{low:+.1f}, {high:+.1f}], paired "
            "over the private items, which were scored once, at the end of the episode."
        )
    checked = "scored the same" if story.verified else "was not scored anew"
    said.append(f"For this export the student was trained again and {checked}.")
    if result["flags"]:
        said.append(f"Flags of the run: {', '.join(result['flags'])}.")
    return "\n\n".join(said)


def _score(score: float | None, interval: Sequence[float] | None) -> str:
    if score is None or interval is None:
        return "not scored"
    return f"{score:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def _provenance(story: Story, rows: Sequence[Row]) -> str:
    made: dict[str, list[Row]] = {}
    for row in rows:
        made.setdefault(row.provenance.operation, []).append(row)
    lines = [
        (
            operation,
            str(len(held)),
            str(len({call for row in held for call in row.provenance.calls})),
            str(sum(row.verified for row in held)),
        )
        for operation, held in sorted(made.items())
    ]
    # the figures of a check, as in "verify by teacher 1/1", differ from row to row
    checks = Counter(re.sub(r" \d+/\d+$", "", c) for row in rows for c in row.provenance.checks)
    passed = ", ".join(f"{check} ({n})" for check, n in checks.most_common()) or "none"
    calls = story.result["budget"]["calls"]["used"]
    return "\n\n".join(
        [
            markdown(("operation", "rows", "teacher calls", "checked"), lines),
            f"Teacher: {public_name(story.result['teacher'])}, asked {calls:g} times in the whole "
            f"episode. Checks passed: {passed}.",
        ]
    )


def _quality(story: Story) -> list[str]:
    quality = story.result.get("quality")
    if not quality:
        return []
    lines = [
        (
            name.replace("_", " "),
            "-" if figure["value"] is None else f"{figure['value']:.3g}",
            "[{:.3g}, {:.3g}]".format(*figure["interval"]) if figure["interval"] else "",
            str(figure["n"]),
            figure["by"],
        )
        for name, figure in quality.items()
        if name != "rows"
    ]
    return ["## Quality", markdown(("", "value", "95% interval", "rows", "by"), lines)]


def _conditions(story: Story) -> list[str]:
    result = story.result
    content = {
        "config": public_config(story.config),
        "seed": result["seed"],
        "target": result["target"],
        "worlds": result["worlds"],
        "versions": result["versions"],
    }
    text = yaml.safe_dump(content, sort_keys=False).rstrip()
    return ["## How it was made", _code(text.split("\n"), "yaml")]
