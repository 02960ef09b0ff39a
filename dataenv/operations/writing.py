"""Operations that have the teacher write: generate, label, expand, rewrite."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from dataenv import prompts
from dataenv.errors import InvalidAction
from dataenv.hashing import rng_of
from dataenv.operations.base import Effect, Result, Tools, arg, reads_like
from dataenv.rows import Provenance, Row, WorkingSet
from dataenv.tasks.graders import get_grader
from dataenv.teachers.base import CallError, ChatRequest, Completion
from dataenv.teachers.parsing import BadReply, parse_object, text_field

STYLES = ("worked", "direct")
STYLE_HELP = "Solutions with steps (worked) or the final answer alone (direct)."


@dataclass(frozen=True)
class Generate:
    """Have the teacher write new problems with solutions, one call each, and add them."""

    brief: str = arg("What is wanted, in words, e.g. 'hard problems about circuits'.")
    n: int = arg("How many problems.", low=1, high=256, default=16)
    examples: tuple[str, ...] = arg(
        "Ids of public items, seeds or rows: write more problems like these.",
        max_items=64,
        default=(),
    )
    style: str = arg(STYLE_HELP, choices=STYLES, default="worked")


def generate(op: Generate, rows: WorkingSet, tools: Tools) -> Result:
    """One call per problem; every call sees one of the examples, in turn."""
    texts = texts_of(op.examples, rows, tools)
    if not op.brief.strip() and not texts:
        raise InvalidAction("generate.brief is empty.", "Say what is wanted, or give examples.")
    parents: list[tuple[str, ...]] = [(i,) for i, _ in texts] or [()]
    chosen = [texts[k % len(texts)][1] if texts else "" for k in range(op.n)]
    requests = [_generate_request(op.brief, text, op.style, tools) for text in chosen]
    origins = [parents[k % len(parents)] for k in range(op.n)]
    told = [f"{op.brief}\n{text}" for text in chosen]
    return _add_written("generate", rows, tools, requests, origins, told)


@dataclass(frozen=True)
class Expand:
    """Have the teacher write more problems like rows of the set, one call each."""

    n: int = arg("How many new problems.", low=1, high=256, default=16)
    rows: tuple[str, ...] = arg(
        "Ids of the rows to write more of; none: rows drawn at random.", default=()
    )
    style: str = arg(STYLE_HELP, choices=STYLES, default="worked")


def expand(op: Expand, rows: WorkingSet, tools: Tools) -> Result:
    """As generate, with rows of the set as the examples."""
    chosen = _rows_of(op.rows, rows) if op.rows else list(rows)
    if not chosen:
        raise InvalidAction("there are no rows to expand.", "Generate or label some first.")
    rng = rng_of("expand", tools.key, rows.digest, op.n)
    picks = [chosen[k % len(chosen)] if op.rows else rng.choice(chosen) for k in range(op.n)]
    requests = [_generate_request("", row.prompt, op.style, tools) for row in picks]
    parents = [(row.id,) for row in picks]
    return _add_written("expand", rows, tools, requests, parents, [row.prompt for row in picks])


@dataclass(frozen=True)
class Label:
    """Have the teacher solve seed questions, one call each, and add them as rows."""

    n: int = arg("How many seed questions.", low=1, high=256, default=16)
    ids: tuple[str, ...] = arg("Which seed questions; none: unused ones at random.", default=())
    style: str = arg(STYLE_HELP, choices=STYLES, default="worked")


def label(op: Label, rows: WorkingSet, tools: Tools) -> Result:
    """Seeds that are in the set already are not solved again."""
    used = {parent for row in rows for parent in row.provenance.parents}
    seeds = {item.id: item for item in tools.task.seeds}
    if op.ids:
        unknown = [i for i in op.ids if i not in seeds]
        if unknown:
            raise InvalidAction(f"no seed question has the id {unknown[0][:40]!r}.")
        chosen = [seeds[i] for i in op.ids]
    else:
        free = [item for item in tools.task.seeds if item.id not in used]
        if not free:
            raise InvalidAction("no unused seed question is left.", "Use generate or expand.")
        rng_of("label", tools.key, rows.digest).shuffle(free)
        chosen = free[: op.n]
    requests = [_solve_request(item.prompt, op.style, tools) for item in chosen]
    before = tools.broker.used
    made, dropped = [], []
    for item, reply in zip(chosen, tools.broker.complete(requests), strict=True):
        try:
            output = text_field(read(reply), "output")
        except BadReply as error:
            dropped.append((item.id, f"unusable reply: {error}"))
            continue
        origin = Provenance("label", (reply.call,), (item.id,), step=tools.step)
        made.append(Row(item.instruction, item.input, output, origin))
    effect = Effect("label", len(made), tuple(dropped), calls=tools.broker.used - before)
    return rows.extended(made), effect


@dataclass(frozen=True)
class Rewrite:
    """Have rows rewritten: solved anew in a style, or rephrased. The teacher costs a call a row, a
    second one, who errs less and elsewhere, several."""

    to: str = arg(
        "worked or direct: a new solution; rephrase: new words for the question.",
        choices=(*STYLES, "rephrase"),
    )
    n: int = arg("At most so many rows.", low=1, high=4096, default=64)
    rows: tuple[str, ...] = arg(
        "Ids of the rows; none: the first n, unchecked ones before.", default=()
    )
    topic: str = arg("Only what reads like this topic of the report; empty: any.", default="")
    by: str = arg("Who writes.", choices=("teacher", "second"), default="teacher")


def rewrite(op: Rewrite, rows: WorkingSet, tools: Tools) -> Result:
    """A rewritten row takes the place of the old; where the reply is unusable the old row stays.

    What the second has solved is not given to it again. The effect says how many of the new solutions
    confirm the old answer.
    """
    wanted = reads_like(op.topic, tools)
    named = _rows_of(op.rows, rows) if op.rows else rows
    vouched = _vouched(op)
    free = {row.id: row for row in named if wanted(row) and vouched not in row.provenance.checks}
    first = sorted(free.values(), key=lambda row: not op.rows and row.verified)
    chosen = first[: op.n]
    if not chosen:
        raise InvalidAction(
            "there are no such rows to rewrite, or the second has solved them all so before.",
            "Generate or label some first.",
        )
    requests = [
        _request("rephrase", problem=row.prompt)
        if op.to == "rephrase"
        else _solve_request(row.prompt, op.to, tools)
        for row in chosen
    ]
    before = tools.broker.used
    new: dict[str, Row] = {}
    dropped, confirmed = [], 0
    for row, reply in zip(chosen, tools.broker.complete(requests, op.by), strict=True):
        try:
            new[row.id] = _rewritten(row, op, reply, tools)
            confirmed += same_answer(new[row.id].output, row.output, tools)
        except BadReply as error:
            dropped.append((row.id, f"kept as it was: {error}"))
    changed = tuple(new.get(row.id, row) for row in rows)
    calls = tools.broker.used - before
    shown = (("rewritten", len(new)), ("confirmed", confirmed))
    effect = Effect("rewrite", 0, tuple(dropped), calls, shown=shown)
    return WorkingSet(changed, rows.sequential), effect


def same_answer(one: str, other: str, tools: Tools) -> bool:
    """Whether two solutions end in the same readable answer."""
    grader = get_grader(tools.task.grader)
    first, second = grader.extract(one), grader.extract(other)
    return first is not None and second is not None and first.strip() == second.strip()


def _vouched(op: Rewrite) -> str:
    """The check that a new solution counts as: what the second has solved needs no other's vote."""
    return f"solved by second, {op.to}" if op.by == "second" and op.to != "rephrase" else ""


def _rewritten(row: Row, op: Rewrite, reply: Completion | CallError, tools: Tools) -> Row:
    data = read(reply)
    calls = (*row.provenance.calls, reply.call)
    vouched = _vouched(op)
    checks = (vouched,) if vouched else ()
    origin = Provenance(
        "rewrite",
        calls,
        (row.id, *row.provenance.parents),
        checks,
        tools.step,
        row.provenance.repeats,
    )
    if checks and get_grader(tools.task.grader).extract(text_field(data, "output")) is None:
        raise BadReply("no readable answer")
    if op.to == "rephrase":
        instruction = text_field(data, "instruction")
        asked = Row(instruction, text_field(data, "input", required=False), row.output, origin)
        carried = tools.overlap.carried(row.prompt)  # the same problem, if the teacher obeys
        return _marked_as(carried[0] if carried else None, asked)
    return dataclasses.replace(row, output=text_field(data, "output"), provenance=origin)


def read(reply: Completion | CallError, wanted: str = "") -> dict:
    """The JSON object of a reply; see `parse_object`.

    Raises:
        BadReply: There is none, or the call failed.
    """
    if isinstance(reply, CallError):
        raise BadReply(f"{reply.kind}: {reply.message}")
    return parse_object(reply.text, wanted)


def _add_written(
    name: str,
    rows: WorkingSet,
    tools: Tools,
    requests: Sequence[ChatRequest],
    parents: Sequence[tuple[str, ...]],
    told: Sequence[str],
) -> Result:
    """Adds the rows that requests bring in; `told` is what each of them says of the problem."""
    before = tools.broker.used
    made, dropped = [], []
    replies = tools.broker.complete(requests)
    for reply, origin, text in zip(replies, parents, told, strict=True):
        try:
            data = read(reply)
            row = Row(
                text_field(data, "instruction"),
                text_field(data, "input", required=False),
                text_field(data, "output"),
                Provenance(name, (reply.call,), origin, step=tools.step),
            )
            made.append(_marked_as(tools.overlap.returned(text, row), row))
        except BadReply as error:
            dropped.append((reply.call, f"unusable reply: {error}"))
    calls = tools.broker.used - before
    return rows.extended(made), Effect(name, len(made), tuple(dropped), calls)


def _marked_as(item: str | None, row: Row) -> Row:
    """A row that is known to be a public item, if it is one."""
    origin = dataclasses.replace(row.provenance, repeats=item or row.provenance.repeats)
    return dataclasses.replace(row, provenance=origin)


def _request(name: str, **gaps: str) -> ChatRequest:
    return ChatRequest((("user", prompts.load(name, **gaps)),))


def _generate_request(brief: str, example: str, style: str, tools: Tools) -> ChatRequest:
    examples = f"More like this one:\n<example>\n{example}\n</example>" if example else ""
    return _request(
        "generate",
        description=tools.task.description,
        brief=brief or "problems like the example",
        examples=examples,
        style=prompts.load(f"style_{style}"),
        answer_format=tools.task.answer_format,
    )


def _solve_request(problem: str, style: str, tools: Tools) -> ChatRequest:
    return _request(
        "solve",
        problem=problem,
        style=prompts.load(f"style_{style}"),
        answer_format=tools.task.answer_format,
    )


def solve_request(row: Row, tools: Tools) -> ChatRequest:
    """A request to solve a row's problem from scratch."""
    return _solve_request(row.prompt, "worked", tools)


def solved(rows: Sequence[Row], tools: Tools) -> list[Row]:
    """Rows with the teacher's own solutions; what it garbles is left out."""
    made = []
    replies = tools.broker.complete([solve_request(row, tools) for row in rows])
    for row, reply in zip(rows, replies, strict=True):
        try:
            output = text_field(read(reply), "output")
        except BadReply:
            continue
        origin = Provenance("reference", (reply.call,), step=tools.step)
        made.append(Row(row.instruction, row.input, output, origin))
    return made


def _rows_of(ids: Sequence[str], rows: WorkingSet) -> list[Row]:
    table = {row.id: row for row in rows}
    unknown = [i for i in ids if i not in table]
    if unknown:
        raise InvalidAction(f"no row has the id {unknown[0][:40]!r}.", "See inspect for ids.")
    return [table[i] for i in ids]


def texts_of(ids: Sequence[str], rows: WorkingSet, tools: Tools) -> list[tuple[str, str]]:
    """(id, prompt) of public items, seeds and rows that a controller names.

    Raises:
        InvalidAction: There is no such id.
    """
    table = {i: item.prompt for i, item in tools.task.items_by_id.items()}
    table |= {row.id: row.prompt for row in rows}
    unknown = [i for i in ids if i not in table]
    if unknown:
        raise InvalidAction(
            f"no public item, seed or row has the id {unknown[0][:40]!r}.",
            "Ids are shown by inspect and in bad cases.",
        )
    return [(i, table[i]) for i in ids]
