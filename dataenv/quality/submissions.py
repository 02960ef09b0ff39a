"""Measuring submissions: a file's, for the verb `quality`, and an episode's, for its record."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataenv.config import EndpointConfig, override, require
from dataenv.env import DataEnv
from dataenv.presets import SPLITS, EnvConfig
from dataenv.quality.judge import Judge
from dataenv.quality.measuring import Instruments, Quality, instruments_for, measure
from dataenv.submission import read_submission
from dataenv.tasks.base import Task
from dataenv.world import task_of


def measure_submission(
    path: Path,
    config: EnvConfig | None = None,
    *,
    student: str = EnvConfig.student,
    embedding: str = "ngrams",
    judge: Sequence[str] = (),
    asked: int = Instruments.asked,
) -> Quality:
    """Measures the rows of a file.

    Args:
        path: A list of entries.
        config: Of the environment that they are for; None: nothing is said about right and wrong.
        student: Who finds them likely or not, where there is no config.
        embedding, asked: See `Instruments`.
        judge: ``key=value`` of the `EndpointConfig` of a model that gives marks; none: none does.

    Raises:
        ConfigError: Something is wrong with the file, the task or the judge.
        TeacherUnavailable: The judge does not answer.
    """
    rows = read_submission(path)
    task = _described(config) if config else None
    who = _judge(judge, task)
    require(asked >= 1, "asked", asked, "at least 1")
    base = DataEnv(config=config or EnvConfig(student=student)).student
    known = instruments_for(config, task, base) if config and task else Instruments(base)
    return measure(rows, dataclasses.replace(known, embedding=embedding, judge=who, asked=asked))


RECORD_ROWS = 128
"""Rows that the student is asked about at most for a record, to keep its figures cheap."""


def quality_of(env: DataEnv) -> dict[str, Any] | None:
    """Figures of an episode's submission; None if nothing was submitted."""
    rows = env.submission().rows
    if not rows:
        return None
    instruments = instruments_for(env.config, env.task, env.student)
    return measure(rows, dataclasses.replace(instruments, asked=RECORD_ROWS)).to_dict()


def _described(config: EnvConfig) -> Task:
    """A task without most of its items: only what it is about is wanted."""
    few = dataclasses.replace(config, public=1, reward=0, private=1, seeds=0, pool=0, retention=0)
    return task_of(few, SPLITS[config.split].start)


def _judge(assignments: Sequence[str], task: Task | None) -> Judge | None:
    if not assignments:
        return None
    endpoint = override(EndpointConfig(temperature=0.0), assignments)
    if task is None:
        return Judge(endpoint)
    return Judge(endpoint, task.description, task.answer_format)
