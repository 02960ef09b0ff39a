"""Putting the figures of a set together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataenv.hashing import rng_of
from dataenv.naming import public_name
from dataenv.operations.cleaning import Dedup, Filter, format_problem, twins
from dataenv.presets import EnvConfig
from dataenv.quality.embeddings import get_embedding, vendi
from dataenv.quality.figures import Figure, geometric_mean_of, mean_of, share_without
from dataenv.quality.form import question_problem, response_problem
from dataenv.quality.judge import Judge, judged
from dataenv.rows import Row
from dataenv.students.base import BASE, Student
from dataenv.tasks.base import Task
from dataenv.tasks.graders import Grader, get_grader
from dataenv.tasks.procedural.targets import oracle_of


@dataclass(frozen=True)
class Instruments:
    """What a set is measured with.

    Args:
        student: Its base is asked how likely it finds the responses.
        grader: Reads answers; None where no task is known.
        oracle: Knows the right answer of a prompt, or says None; None where the task has none.
        max_tokens: Of a row, in training.
        embedding: A name of `EMBEDDINGS`, or an encoder's checkpoint folder.
        judge: A language model that gives marks; None: there is none.
        asked: Rows that student and judge are asked about at most, drawn by content.
    """

    student: Student
    grader: Grader | None = None
    oracle: Callable[[str], str | None] | None = None
    max_tokens: int = 256
    embedding: str = "ngrams"
    judge: Judge | None = None
    asked: int = 512


def instruments_for(config: EnvConfig, task: Task, student: Student) -> Instruments:
    """Instruments that know a task; its configuration says how long a row may be."""
    oracle, longest = oracle_of(config.domain), config.training.max_tokens
    return Instruments(student, get_grader(task.grader), oracle, longest)


@dataclass(frozen=True)
class Quality:
    """Figures of a set.

    Args:
        rows: How many there are.
        figures: By name; see `measure`.
        judged: What a language model says to some of the same questions.
    """

    rows: int
    figures: Mapping[str, Figure]
    judged: Mapping[str, Figure]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        judged = {name: figure.to_dict() for name, figure in self.judged.items()}
        figures = {name: figure.to_dict() for name, figure in self.figures.items()}
        return {"rows": self.rows, **figures, **({"judged": judged} if judged else {})}

    def to_text(self) -> str:
        """A table for people."""
        named = [*self.figures.items(), *self.judged.items()]
        lines = [(name.replace("_", " "), *figure.to_cells()) for name, figure in named]
        table = [("", "value", "95% interval", "rows", "by"), *lines]
        widths = [max(len(line[place]) for line in table) for place in range(4)]
        padded = [[*(cell.ljust(w) for cell, w in zip(line, widths)), line[4]] for line in table]
        return "\n".join("  ".join(line).rstrip() for line in padded)


def measure(rows: Sequence[Row], instruments: Instruments) -> Quality:
    """Measures rows, of which there must be some.

    Figures: ``instruction_difficulty``, the loss of the response given its question relative to that
    of the response alone (IFD, Li et al. 2024): about 1 where the question is no help;
    ``instruction_diversity`` and ``response_diversity``, Vendi scores; ``instruction_quality``, the
    share of well-formed questions; ``response_quality``, the share of right answers among those that
    an oracle knows; ``response_perplexity``, every row counting alike. Then shares of rows:
    ``response_form``, well-formed responses; ``valid``, what the operation filter would keep;
    ``distinct_rows``, ``distinct_questions`` and ``distinct_nearly``, what repeats no earlier row,
    question or near question, as the operation dedup has it.

    Raises:
        ConfigError: An embedding or a judge is wanted that is not there.
        TeacherUnavailable: The judge does not answer.
    """
    chosen = _drawn(rows, instruments.asked)
    marks = judged(chosen, instruments.judge) if instruments.judge else {}
    vectors = get_embedding(instruments.embedding)
    difficulty, perplexity = _likelihoods(chosen, instruments.student)
    diversity = f"Vendi score, {public_name(instruments.embedding)}"
    prompts, outputs = [row.prompt for row in rows], [row.output for row in rows]
    figures = {
        "instruction_difficulty": difficulty,
        "instruction_diversity": Figure(diversity, len(rows), vendi(vectors(prompts))),
        "instruction_quality": share_without([question_problem(row) for row in rows], "form"),
        "response_diversity": Figure(diversity, len(rows), vendi(vectors(outputs))),
        "response_quality": _correctness(rows, instruments),
        "response_perplexity": perplexity,
        **_soundness(rows, instruments),
    }
    return Quality(len(rows), figures, marks)


def _drawn(rows: Sequence[Row], count: int) -> list[Row]:
    if len(rows) <= count:
        return list(rows)
    return rng_of("quality", [row.id for row in rows]).sample(list(rows), count)


def _likelihoods(rows: Sequence[Row], student: Student) -> tuple[Figure, Figure]:
    """Difficulty and perplexity; rows too long for the student have neither."""
    prompts, outputs = [row.prompt for row in rows], [row.output for row in rows]
    given = student.log_likelihood(BASE, prompts, outputs)
    alone = student.log_likelihood(BASE, [""] * len(rows), outputs)
    both = zip(given, alone, strict=True)
    pairs = [(g, a) for g, a in both if math.isfinite(g) and math.isfinite(a) and a]
    ratios = [g / a for g, a in pairs]
    name = public_name(student.name)
    difficulty = mean_of(ratios, f"loss given the question over loss alone, {name}")
    return difficulty, geometric_mean_of([-g for g, _ in pairs], f"base of {name}")


def _correctness(rows: Sequence[Row], instruments: Instruments) -> Figure:
    grader, oracle = instruments.grader, instruments.oracle
    if grader is None or oracle is None:
        return Figure("no oracle", 0)
    golds = [(row, oracle(row.prompt)) for row in rows]
    problems = [
        "" if grader.grade(row.output, gold).correct else "wrong"
        for row, gold in golds
        if gold is not None
    ]
    return share_without(problems, "right by the oracle")


def _soundness(rows: Sequence[Row], instruments: Instruments) -> dict[str, Figure]:
    """Shares of rows without a fault of some kind."""
    limits, count = Filter(instruments.max_tokens), instruments.student.count_tokens
    faults = [format_problem(limits, row, instruments.grader, count) for row in rows]
    return {
        "response_form": share_without([response_problem(row) for row in rows], "form"),
        "valid": share_without(faults, "filter"),
        "distinct_rows": share_without(_repeats(_earlier(rows)), "equal rows"),
        "distinct_questions": share_without(_repeats(twins(rows)), "dedup, exact"),
        "distinct_nearly": share_without(
            _repeats(twins(rows, Dedup().threshold)), f"dedup, near, {Dedup().threshold:g}"
        ),
    }


def _earlier(rows: Sequence[Row]) -> list[str | None]:
    """As `twins`, with rows that are equal throughout."""
    first = {row.id: place for place, row in reversed(list(enumerate(rows)))}
    return [row.id if first[row.id] < place else None for place, row in enumerate(rows)]


def _repeats(found: Sequence[str | None]) -> list[str]:
    return ["repeated" if twin else "" for twin in found]
