"""What a controller sees: the report of an episode so far, and the arrays made of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from dataenv.episode import EpisodeState, Scores
from dataenv.evaluation import MAX_SLICES, EvalReport, bad_cases, slices
from dataenv.operations import Effect
from dataenv.operations.base import DROPS_SHOWN
from dataenv.presets import EnvConfig
from dataenv.rows import WorkingSet
from dataenv.statistics import smallest_detectable_gain
from dataenv.tasks.base import Task
from dataenv.topics import TopicModel

SHAPES = {"score": (3,), "slices": (MAX_SLICES, 8), "set": (4,), "budget": (3,), "effect": (5,)}


def observation_space() -> spaces.Dict:
    """The same for every task; see `DataEnv` for what the numbers are."""
    return spaces.Dict(
        {name: spaces.Box(-1.0, 1.0, shape, np.float32) for name, shape in SHAPES.items()}
    )


def write_report(
    task: Task,
    topics: TopicModel,
    state: EpisodeState,
    base: Scores,
    best: int | None,
    budget: tuple[tuple[str, tuple[float, float]], ...],
) -> EvalReport:
    """The report of an episode as it stands.

    Args:
        task: Whose public items are reported on.
        topics: Says which topic a row reads like.
        state: Of the episode.
        base: Scores of the base student.
        best: Index of the best evaluated set, if there is one.
        budget: Axes with what is used and the limit.
    """
    history = [base, *state.evaluated]
    now, before = history[-1], history[-2] if len(history) > 1 else None

    def topics_of(rows: WorkingSet) -> list[tuple[str, bool]]:
        return [(topics.topic_of(row.prompt), row.verified) for row in rows]

    return EvalReport(
        evaluation=len(state.evaluated),
        score=now.public.score,
        interval=(now.public.interval.low, now.public.interval.high),
        n=len(task.public),
        base_score=base.public.score,
        best_score=(base if best is None else state.evaluated[best]).public.score,
        log_likelihood=now.log_likelihood,
        retention=now.retention,
        extraction_failures=now.public.extraction_failures,
        truncated=sum(now.public.truncated),
        detectable_gain=smallest_detectable_gain(len(task.public)),
        slices=slices(
            task.public,
            now.public,
            before.public if before else None,
            topics_of(state.rows),
            topics_of(before.rows if before else WorkingSet()),
            topics_of(now.rows),
        ),
        bad_cases=bad_cases(task.public, now.public),
        set=_set_statistics(state.rows, now),
        budget=budget,
        effect=state.effect.to_pairs() if state.effect else (),
        error=state.error,
        reward_split="reward" if task.reward else "public",
    )


def _set_statistics(rows: WorkingSet, now: Scores) -> tuple[tuple[str, Any], ...]:
    lengths = [len(row.prompt) + len(row.output) for row in rows] or [0]
    return (
        ("rows", len(rows)),
        ("distinct", len({row.prompt for row in rows})),
        ("checked", sum(row.verified for row in rows)),
        ("longest_characters", max(lengths)),
        ("hash", rows.digest),
        ("contaminated_in_training", now.contaminated),
        ("dropped_in_training", now.dropped[:DROPS_SHOWN]),
        ("suspects", now.suspects[:DROPS_SHOWN]),
        ("diverged", now.diverged),
    )


def to_observation(
    report: EvalReport, config: EnvConfig, effect: Effect | None, invalid: bool
) -> dict[str, np.ndarray]:
    """A report as arrays of `observation_space`, clipped to -1..1."""
    rows = dict(report.set)
    size = max(1, rows["rows"])
    table = np.zeros(SHAPES["slices"])
    for place, each in enumerate(report.slices):
        table[place] = (
            each.score,
            each.n / report.n,
            each.rows / config.max_rows,
            each.share,
            each.change,
            each.progress * config.min_rows,
            each.verified,
            1.0,
        )
    done = effect or Effect("")
    values = {
        "score": (
            report.score,
            np.sqrt(report.score * (1 - report.score) / report.n),
            report.base_score,
        ),
        "slices": table,
        "set": (
            rows["rows"] / config.max_rows,
            rows["distinct"] / size,
            rows["checked"] / size,
            rows["longest_characters"] / 1000,
        ),
        "budget": [(limit - used) / max(1, limit) for _, (used, limit) in report.budget],
        "effect": (
            done.added / config.max_rows,
            len(done.dropped) / config.max_rows,
            done.calls / max(1, config.calls),
            done.trains,
            invalid,
        ),
    }
    return {name: np.clip(np.asarray(value, np.float32), -1, 1) for name, value in values.items()}
