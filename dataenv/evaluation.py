"""Asking a student, grading its answers, and the report that a controller reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dataenv.config import DecodingConfig
from dataenv.statistics import Interval, wilson
from dataenv.students.base import Generation, Student, Trained
from dataenv.tasks.base import Item
from dataenv.tasks.graders import get_grader

MAX_SLICES = 32
BAD_CASES = 12
TEXT_LIMIT = 600
LONG = ("message", "printed")
"""Parts of an effect that are shown whole; the operation has cut them."""


@dataclass(frozen=True)
class Evaluation:
    """A student's answers to a list of items, aligned with them.

    Args:
        correct: Per item.
        answers: What the student wrote, per item.
        extracted: The answer found in it; None is an extraction failure.
        truncated: Whether the limit of new tokens cut the answer off.
    """

    correct: tuple[bool, ...]
    answers: tuple[str, ...]
    extracted: tuple[str | None, ...]
    truncated: tuple[bool, ...]

    @property
    def score(self) -> float:
        """Share of right answers; 0 without items."""
        return sum(self.correct) / len(self.correct) if self.correct else 0.0

    @property
    def interval(self) -> Interval:
        """Wilson's 95% interval of the score."""
        return wilson(sum(self.correct), len(self.correct))

    @property
    def extraction_failures(self) -> int:
        """Answers in which no answer was found."""
        return sum(each is None for each in self.extracted)

    def part(self, start: int, stop: int) -> Evaluation:
        """The items from `start` up to before `stop`."""
        return Evaluation(
            self.correct[start:stop],
            self.answers[start:stop],
            self.extracted[start:stop],
            self.truncated[start:stop],
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        # frozen, so that no copy is needed; `asdict` takes ten times as long
        return dict(vars(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Evaluation:
        """The inverse of `to_dict`."""
        return cls(**{name: tuple(values) for name, values in data.items()})


def evaluate(
    student: Student,
    trained: Trained,
    items: Sequence[Item],
    grader_name: str,
    decoding: DecodingConfig,
) -> Evaluation:
    """Asks a student all items and grades its answers."""
    return evaluate_groups(student, trained, [(items, grader_name)], decoding)[0]


def evaluate_groups(
    student: Student,
    trained: Trained,
    groups: Sequence[tuple[Sequence[Item], str]],
    decoding: DecodingConfig,
) -> list[Evaluation]:
    """Asks the items of all groups at once, which saves time, and grades each with its grader."""
    prompts = [item.prompt for items, _ in groups for item in items]
    answers = student.answer(trained, prompts, decoding)
    found, start = [], 0
    for items, grader_name in groups:
        found.append(_grade(items, answers[start : start + len(items)], grader_name))
        start += len(items)
    return found


def _grade(items: Sequence[Item], answers: Sequence[Generation], grader_name: str) -> Evaluation:
    grader = get_grader(grader_name)
    verdicts = [
        grader.grade(answer.text, item.gold) for answer, item in zip(answers, items, strict=True)
    ]
    return Evaluation(
        correct=tuple(verdict.correct for verdict in verdicts),
        answers=tuple(answer.text for answer in answers),
        extracted=tuple(verdict.extracted for verdict in verdicts),
        truncated=tuple(answer.truncated for answer in answers),
    )


def answer_log_likelihood(student: Student, trained: Trained, items: Sequence[Item]) -> float:
    """Mean log-probability per token of the gold solutions; moves before accuracy does."""
    if not items:
        return 0.0
    prompts = [item.prompt for item in items]
    scores = student.log_likelihood(trained, prompts, [item.solution for item in items])
    return sum(scores) / len(scores)


@dataclass(frozen=True)
class Slice:
    """One visible topic in a report.

    Args:
        name: The topic.
        score: Share right among its public items.
        n: Its public items.
        rows: Rows of the working set that read like it.
        share: Those rows as a share of the set.
        verified: Share of those rows whose answer was checked.
        change: Score now minus at the evaluation before it.
        progress: That change per row added in between; 0 if none was.
    """

    name: str
    score: float
    n: int
    rows: int
    share: float
    verified: float
    change: float
    progress: float


@dataclass(frozen=True)
class EvalReport:
    """What a controller is told: plain values, frozen.

    Args:
        evaluation: Number of evaluations so far, the base's not counted.
        score: Public score of the newest evaluation.
        interval: Its 95% interval.
        n: Public items.
        base_score, best_score: Public scores of the base and of the best evaluated set.
        log_likelihood: Mean log-probability per token of the gold solutions of public items.
        retention: Score on general items (forgetting shows here).
        extraction_failures, truncated: Public answers without a readable answer; cut off.
        detectable_gain: The smallest gain that so many public items could show (80% power).
        slices: Topics, weakest first.
        bad_cases: Public items answered wrongly, with the student's answer.
        set: Statistics of the working set.
        budget: Used and limit per axis.
        effect: What the last operation did, with reasons for dropped rows.
        error: What was wrong with the last action and how to mend it; empty if nothing.
        reward_split: ``reward`` or ``public``: which items the reward comes from.
    """

    evaluation: int
    score: float
    interval: tuple[float, float]
    n: int
    base_score: float
    best_score: float
    log_likelihood: float
    retention: float
    extraction_failures: int
    truncated: int
    detectable_gain: float
    slices: tuple[Slice, ...]
    bad_cases: tuple[tuple[tuple[str, str], ...], ...]
    set: tuple[tuple[str, Any], ...]
    budget: tuple[tuple[str, tuple[float, float]], ...]
    effect: tuple[tuple[str, Any], ...]
    error: str
    reward_split: str

    def to_dict(self) -> dict[str, Any]:
        """The report as fresh plain values, ready for JSON."""
        plain = dict(vars(self))  # frozen, as above
        plain["interval"] = list(self.interval)
        plain["slices"] = [dict(vars(each)) for each in self.slices]
        plain["bad_cases"] = [dict(case) for case in self.bad_cases]
        for name in ("set", "effect"):
            plain[name] = {key: _plain(value) for key, value in getattr(self, name)}
        plain["budget"] = {axis: {"used": u, "limit": m} for axis, (u, m) in self.budget}
        return plain

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EvalReport:
        """The inverse of `to_dict`."""
        budget = [(axis, (each["used"], each["limit"])) for axis, each in data["budget"].items()]
        pairs = {name: list(data[name].items()) for name in ("set", "effect")}
        cases = [list(case.items()) for case in data["bad_cases"]]
        slices = [Slice(**each) for each in data["slices"]]
        plain = {**data, **pairs, "budget": budget, "bad_cases": cases, "slices": slices}
        return cls(**{name: as_tuples(value) for name, value in plain.items()})

    def to_text(self) -> str:
        """The report as compact text for a person or a language model."""
        low, high = self.interval
        lines = [
            (
                f"evaluation {self.evaluation}: public score {self.score:.3f} "
                f"[{low:.3f}, {high:.3f}] on {self.n} items "
                f"(base {self.base_score:.3f}, best {self.best_score:.3f}; "
                f"gains below {self.detectable_gain:.3f} cannot be seen)"
            ),
            (
                f"retention {self.retention:.3f}, answer log-likelihood {self.log_likelihood:.3f}, "
                f"unreadable answers {self.extraction_failures}, cut off {self.truncated}"
            ),
            "budget: " + ", ".join(f"{a} {u:g}/{m:g}" for a, (u, m) in self.budget),
            "set: " + ", ".join(f"{key} {_short(value)}" for key, value in self.set),
        ]
        effect = dict(self.effect)
        shown = effect.pop("shown", ())
        texts = {name: effect.pop(name, "") for name in LONG}
        if effect:
            lines.append("effect: " + ", ".join(f"{k} {_short(v)}" for k, v in effect.items()))
        lines += [f"{name}: {text}" for name, text in texts.items() if text]
        for identity, *texts in shown:
            lines.append(f"  [{identity}] " + " | ".join(repr(text[:TEXT_LIMIT]) for text in texts))
        if self.error:
            lines.append(f"error: {self.error}")
        lines.append("topic: score (items) | rows, checked | change since the last evaluation")
        lines += [
            f"  {s.name}: {s.score:.2f} ({s.n}) | {s.rows}, {s.verified:.0%} | {s.change:+.2f}"
            for s in self.slices
        ]
        for case in self.bad_cases[:4]:
            fields = dict(case)
            lines.append(
                f"wrong [{fields['id']}] {fields['prompt']!r}: wanted {fields['gold']!r}, "
                f"got {fields['answer']!r}"
            )
        return "\n".join(lines)

    def to_brief(self, limit: int) -> str:
        """The same in at most `limit` characters, the most important first: for a conversation that
        grows by a report with every operation."""
        effect = dict(self.effect)
        shown = effect.pop("shown", ())
        told = {name: value for name, value in effect.items() if value and name != "dropped_rows"}
        left = ", ".join(f"{axis} {m - u:g}" for axis, (u, m) in self.budget)
        lines = [
            *([f"error: {self.error}"] if self.error else []),
            *([", ".join(f"{k} {_short(v)}" for k, v in told.items())] if told else []),
            f"left: {left}; rows: {dict(self.set)['rows']}",
            f"evaluation {self.evaluation}: public score {self.score:.3f} "
            f"(base {self.base_score:.3f}, best {self.best_score:.3f})",
        ]
        room = (limit - sum(map(len, lines))) // max(1, len(shown))
        lines += [_entry(each, max(room, 60)) for each in shown]
        lines.append(
            "topics: " + "; ".join(f"{s.name} {s.score:.2f}, {s.rows} rows" for s in self.slices)
        )
        if not self.error and told.get("operation", "train") == "train":  # else they are known
            cases = map(dict, self.bad_cases)
            lines += [
                _cut(f"wrong [{each['id']}] {each['prompt']} = {each['gold']}", 160)
                for each in cases
            ]
        return _cut("\n".join(lines), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - 3)] + "..."


def _entry(entry: tuple[str, ...], limit: int) -> str:
    """What `inspect` shows of a row or an item, its texts cut alike."""
    identity, *texts = entry
    room = (limit - len(identity) - 2) // len(texts) - 3
    return f"[{identity}] " + " | ".join(_cut(text, room) for text in texts if text)


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def as_tuples(value: Any) -> Any:
    """A value with the lists of JSON as the tuples that they were."""
    return tuple(as_tuples(each) for each in value) if isinstance(value, list | tuple) else value


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return _cut(str(_plain(value)), 200)


def bad_cases(
    items: Sequence[Item], evaluation: Evaluation, limit: int = BAD_CASES
) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Wrongly answered items with the student's answers, spread over the topics."""
    by_topic: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        if not evaluation.correct[index]:
            by_topic.setdefault(item.topic, []).append(index)
    turns = sorted(
        (turn, topic, index)
        for topic, indices in by_topic.items()
        for turn, index in enumerate(indices)
    )
    return tuple(
        (
            ("id", items[i].id),
            ("topic", items[i].topic),
            ("prompt", items[i].prompt[:TEXT_LIMIT]),
            ("gold", items[i].gold[:TEXT_LIMIT]),
            ("answer", evaluation.answers[i][:TEXT_LIMIT]),
        )
        for _, _, i in turns[:limit]
    )


def slices(
    items: Sequence[Item],
    now: Evaluation,
    before: Evaluation | None,
    rows_now: Sequence[tuple[str, bool]],
    rows_before: Sequence[tuple[str, bool]],
    rows_evaluated: Sequence[tuple[str, bool]],
) -> tuple[Slice, ...]:
    """Topics from weakest to strongest (ties by the number of items, most first).

    Args:
        items: The public items.
        now, before: The newest evaluation, and the one before it (None at the base).
        rows_now: (topic that a row reads like, whether it was checked), for the set now.
        rows_before: The same for the set of the evaluation before.
        rows_evaluated: The same for the set of the newest evaluation.
    """
    found = []
    for topic in sorted({item.topic for item in items}):
        chosen = [i for i, item in enumerate(items) if item.topic == topic]
        score = sum(now.correct[i] for i in chosen) / len(chosen)
        earlier = sum(before.correct[i] for i in chosen) / len(chosen) if before else score
        flags = [checked for name, checked in rows_now if name == topic]
        added = sum(name == topic for name, _ in rows_evaluated) - sum(
            name == topic for name, _ in rows_before
        )
        found.append(
            Slice(
                name=topic,
                score=score,
                n=len(chosen),
                rows=len(flags),
                share=len(flags) / len(rows_now) if rows_now else 0.0,
                verified=sum(flags) / len(flags) if flags else 0.0,
                change=score - earlier,
                progress=(score - earlier) / added if added > 0 else 0.0,
            )
        )
    return tuple(sorted(found, key=lambda s: (s.score, -s.n, s.name))[:MAX_SLICES])
