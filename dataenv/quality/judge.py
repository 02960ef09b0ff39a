"""Marks that a language model gives to questions and responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataenv import prompts
from dataenv.config import EndpointConfig
from dataenv.naming import public_name
from dataenv.operations.writing import read
from dataenv.quality.figures import Figure, mean_of
from dataenv.rows import Row
from dataenv.teachers.base import CallError, ChatRequest, Completion
from dataenv.teachers.broker import Broker, Patience
from dataenv.teachers.openai import OpenAITeacher
from dataenv.teachers.parsing import BadReply

LOWEST, HIGHEST = 1, 5
"""Marks."""


@dataclass(frozen=True)
class Judge:
    """Who judges, and what it is told of the task.

    Args:
        endpoint: Where the judge is served.
        description, answer_format: The task's; empty: any question with its answer.
    """

    endpoint: EndpointConfig
    description: str = ""
    answer_format: str = ""


def judged(rows: Sequence[Row], judge: Judge) -> dict[str, Figure]:
    """Mean marks of difficulty and quality of the questions, and of the quality of the responses.

    Two calls a row, so that a question is not judged by its response. Replies without readable marks
    are left out of n.

    Raises:
        ConfigError: The judge cannot be asked, for want of a model or a key.
        TeacherUnavailable: It answers nothing.
    """
    teacher, attempts = OpenAITeacher(judge.endpoint), judge.endpoint.attempts
    limit = 2 * len(rows) * attempts
    patience = Patience(attempts, judge.endpoint.deadline_s)
    broker = Broker(teacher, limit, "judge", patience=patience)
    asked = [_question_request(row, judge) for row in rows]
    asked += [_response_request(row, judge) for row in rows]
    replies = broker.complete(asked)
    questions, responses = replies[: len(rows)], replies[len(rows) :]
    by = f"{public_name(teacher.name)}, {LOWEST} to {HIGHEST}"
    return {
        "instruction_difficulty": mean_of(_marks(questions, "difficulty"), by),
        "instruction_quality": mean_of(_marks(questions, "quality"), by),
        "response_quality": mean_of(_marks(responses, "quality"), by),
    }


def _question_request(row: Row, judge: Judge) -> ChatRequest:
    gaps = {"description": _field_of(judge), "problem": row.prompt}
    return ChatRequest((("user", prompts.load("judge_question", **gaps)),))


def _response_request(row: Row, judge: Judge) -> ChatRequest:
    gaps = {"description": _field_of(judge), "problem": row.prompt, "response": row.output}
    text = prompts.load("judge_response", **gaps, answer_format=judge.answer_format)
    return ChatRequest((("user", text),))


def _field_of(judge: Judge) -> str:
    return judge.description or "any; the problem itself says what it is about"


def _marks(replies: Sequence[Completion | CallError], name: str) -> list[float]:
    marks = []
    for reply in replies:
        try:
            marks.append(_mark(read(reply, name), name))  # the last: reasons may quote others
        except BadReply:
            continue
    return marks


def _mark(data: Mapping[str, object], name: str) -> float:
    mark = data.get(name)
    if isinstance(mark, bool) or not isinstance(mark, int | float):
        raise BadReply(f"{name} is {mark!r}, no number")
    if not LOWEST <= mark <= HIGHEST:
        raise BadReply(f"{name} is {mark}, not {LOWEST} to {HIGHEST}")
    return float(mark)
