"""Operations that look, train and finish: inspect, train, submit."""

from __future__ import annotations

from dataclasses import dataclass

from dataenv.errors import BudgetExhausted, InvalidAction
from dataenv.hashing import rng_of
from dataenv.operations.base import Effect, Result, Tools, arg, reads_like
from dataenv.rows import WorkingSet


@dataclass(frozen=True)
class Inspect:
    """Look at rows, public items, those that the newest student answers wrongly, seeds or the raw
    pool; costs a step, no call."""

    what: str = arg(
        "What to look at.", choices=("rows", "public", "wrong", "seeds", "pool"), default="rows"
    )
    n: int = arg("How many, at random.", low=1, high=50, default=8)
    topic: str = arg("Only this topic; empty: any.", default="")


def inspect(op: Inspect, rows: WorkingSet, tools: Tools) -> Result:
    """Shows content, provenance and, for public items, the gold answer; of wrong ones, the student's."""
    wanted = reads_like(op.topic, tools)
    if op.what in ("rows", "pool"):
        found = [
            (row.id, row.prompt, row.output, "; ".join(row.provenance.checks))
            for row in (rows if op.what == "rows" else tools.task.pool)
            if wanted(row)
        ]
    elif op.what == "wrong":
        pairs = zip(tools.task.public, tools.newest.correct, tools.newest.answers, strict=True)
        found = [
            (item.id, item.prompt, item.gold, answer)
            for item, is_right, answer in pairs
            if not is_right and op.topic in ("", item.topic)
        ]
    else:
        items = tools.task.public if op.what == "public" else tools.task.seeds
        found = [
            (item.id, item.prompt, item.gold, item.topic)
            for item in items
            if op.topic in ("", item.topic if op.what == "public" else _topic(tools, item.prompt))
        ]
    rng = rng_of("inspect", tools.key, rows.digest, op.what, op.topic, tools.step)
    shown = rng.sample(found, min(op.n, len(found)))
    return rows, Effect("inspect", shown=(("shown", tuple(shown)),))


def _topic(tools: Tools, prompt: str) -> str:
    return tools.topics.topic_of(prompt)


@dataclass(frozen=True)
class Train:
    """Fine-tune the student from its base on the set and evaluate it."""


def train(op: Train, rows: WorkingSet, tools: Tools) -> Result:
    """Refuses a set that is too small before a training is charged; says what is trained on, and
    whether that was evaluated before."""
    if tools.trainings_left < 1:
        raise BudgetExhausted("no training is left.", "Submit.")
    if len(rows) < tools.min_rows:
        raise InvalidAction(
            f"the set holds {len(rows)} rows; {tools.min_rows} are needed to train.",
            "Generate or label more.",
        )
    used = [WorkingSet(each.rows[: tools.max_rows], each.sequential) for each in tools.evaluated]
    now = WorkingSet(rows.rows[: tools.max_rows], rows.sequential)
    same = [number for number, each in enumerate(used, 1) if each.digest == now.digest]
    shown = [("trained", len(now)), *((("same_as_evaluation", same[0]),) if same else ())]
    return rows, Effect("train", trains=True, shown=tuple(shown))


@dataclass(frozen=True)
class Submit:
    """End the episode with the best evaluated set, or a named one."""

    evaluation: int | None = arg(
        "Number of the evaluation to submit; none: the best by public score.",
        low=1,
        high=10_000,
        default=None,
    )


def submit(op: Submit, rows: WorkingSet, tools: Tools) -> Result:
    """Names an evaluation that exists, or none."""
    if op.evaluation is not None and op.evaluation > len(tools.evaluated):
        raise InvalidAction(
            f"there is no evaluation {op.evaluation}.", f"{len(tools.evaluated)} have been made."
        )
    choice = None if op.evaluation is None else op.evaluation - 1
    return rows, Effect("submit", submits=True, choice=choice)
