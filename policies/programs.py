"""What agents that write programs share: their prompts, how replies are read, what an attempt is."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dataenv.agent import Agent, Reply, shortened
from dataenv.evaluation import EvalReport
from dataenv.hashing import rng_of
from dataenv.policy import Briefing, budget_left
from dataenv.sandbox.inside import workbench
from dataenv.tasks.base import Item

NO_CODE, CUT_OFF, TOO_FEW = (
    "code_extraction_failed",
    "output_truncated",
    "insufficient_valid_samples",
)
"""Classes of failures that matter here; the others are the environment's."""
ROUND_SHARE = 0.1
"""Of the calls, what one program may spend where the environment sets no limit of its own."""
PLAN_CHARS, ENTRY_CHARS = 4_000, 500
"""Of a plan that is kept, and of a question or row that is shown."""
PUBLIC_SHOWN, SEEDS_SHOWN = 16, 6
FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+-]*)[^\n]*$", re.MULTILINE)
THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)


@dataclass(frozen=True)
class Draft:
    """A plan and its program.

    Args:
        plan: In words.
        source: The program, or what there is of one.
        failure: Why it cannot be run: `NO_CODE` or `CUT_OFF`; empty if it can.
    """

    plan: str = ""
    source: str = ""
    failure: str = ""

    @property
    def sent(self) -> str:
        """The source of the attempt; what cannot be run does not compile, and so costs no call."""
        return f"# {self.failure}: no program\n(" if self.failure else self.source


def read_draft(reply: Reply) -> Draft:
    """The plan and the program of a reply.

    Of several closed blocks the longest that is Python is the program. A block that is not closed was
    cut off, and with it the reply. Without any block the whole reply may be a program.
    """
    text = THOUGHT.sub("", reply.text).replace("\r\n", "\n")
    blocks, open_at = _blocks(text)
    if open_at is not None:
        return Draft(_plan(text[: open_at[0]]), text[open_at[1] :].strip("\n"), CUT_OFF)
    if not blocks:
        if reply.cut:
            return Draft(_plan(text), "", CUT_OFF)
        return Draft("", text) if _is_program(text) else Draft(_plan(text), "", NO_CODE)
    runs = [each for each in blocks if _is_python(each[1])]
    start, source = max(runs or blocks, key=lambda each: len(each[1]))
    return Draft(_plan(text[:start]), source)


def _blocks(text: str) -> tuple[list[tuple[int, str]], tuple[int, int] | None]:
    """(place, content) of the closed blocks, and where one opens that is not closed: fence, content."""
    found, opened = [], None
    for fence in FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence[1].startswith(opened[1]) and not fence[2]:
            found.append((opened.start(), text[opened.end() + 1 : fence.start()]))
            opened = None
    return found, (opened.start(), opened.end() + 1) if opened else None


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_program(text: str) -> bool:
    return "import" in text and _is_python(text)


def _plan(text: str) -> str:
    return shortened(text.strip(), PLAN_CHARS)


class Programmer(Agent):
    """An agent whose attempts are programs: asks for one, and knows what became of it."""

    def begin(self, briefing: Briefing) -> None:
        """Forgets the last episode."""
        super().begin(briefing)
        self.failures: dict[str, str] = {}
        self.draft: dict[str, Any] = asdict(Draft())

    def write(self, name: str, report: EvalReport, gaps: Mapping[str, str]) -> dict[str, Any]:
        """The program that the model writes on a prompt, as an operation."""
        limits = self.briefing.limits
        fixed = {"toolkit": toolkit(), **{n: f"{limits[n]:g}" for n in ("min_rows", "max_rows")}}
        room = self.config.context_chars
        system = self.fill("program_system", room // 2, fixed)
        question = self.fill(f"program_{name}", room - len(system), gaps)
        draft = read_draft(self.model.ask([("system", system), ("user", question)]))
        self.draft = asdict(draft)
        if draft.failure:  # which the environment can tell no better than that nothing compiles
            self.failures[str(int(dict(report.budget)["steps"][0]) + 1)] = draft.failure
        return {"op": "program", "source": draft.sent, "calls": self.allowed(report)}

    def allowed(self, report: EvalReport) -> int:
        """Calls that the next program may spend."""
        limits, left = self.briefing.limits, budget_left(report)["calls"]
        share = max(ROUND_SHARE * limits["calls"], 2 * limits["min_rows"])
        return int(min(left, limits.get("calls_per_program") or share))

    def outcome(self, report: EvalReport) -> tuple[str, str]:
        """(failure, message) of the program that was sent; an empty failure if it succeeded."""
        if report.error:
            return "other", report.error
        effect = dict(report.effect)
        if self.draft["failure"] == CUT_OFF:
            return CUT_OFF, "The reply was cut off before the program ended. Write a shorter one."
        if self.draft["failure"]:
            return NO_CODE, "There was no block with a program in the reply."
        return effect["failure"], effect["message"]

    def task_gaps(self) -> dict[str, str]:
        """What every prompt tells of the task."""
        task = self.briefing.task
        return {"description": task.description, "answer_format": task.answer_format}

    def example_gaps(self, draw: int) -> dict[str, str]:
        """Rows in the right form, public questions and seeds; other ones with every `draw`."""
        task, seed = self.briefing.task, self.briefing.seed
        rng = rng_of("examples", seed, draw)
        public = spread(task.public, PUBLIC_SHOWN, rng.random)
        seeds = rng.sample(task.seeds, min(SEEDS_SHOWN, len(task.seeds)))
        rows = [json.dumps(row.to_entry()) for row in task.few_shot[:3]]
        return {
            "examples": listed(rows),
            "public": listed(f"({i.topic}) {i.prompt} -> {i.gold}" for i in public),
            "seeds": listed(item.prompt for item in seeds),
        }

    def status(self, report: EvalReport, more: Sequence[str] = ()) -> str:
        """Budgets, as every prompt shows them."""
        left, limits = budget_left(report), self.briefing.limits
        axes = [f"{axis}: {left[axis]:g} of {limits[axis]:g} left" for axis in left]
        return "\n".join([*axes, f"calls for this program: {self.allowed(report)}", *more])


def spread(items: Sequence[Item], count: int, draw: Callable[[], float]) -> list[Item]:
    """Items at random, as even over the topics as can be."""
    turns: dict[str, int] = {}
    ranked: list[tuple[int, int, Item]] = []
    for item in sorted(items, key=lambda item: draw()):
        turns[item.topic] = turns.get(item.topic, 0) + 1
        ranked.append((turns[item.topic], len(ranked), item))
    return [item for _, _, item in sorted(ranked, key=lambda each: each[:2])[:count]]


def listed(entries: Any) -> str:
    """Texts as a list, each cut to `ENTRY_CHARS`; a word if there are none."""
    lines = [f"* {shortened(each, ENTRY_CHARS)}" for each in entries]
    return "\n".join(lines) or "none"


def toolkit() -> str:
    """The functions that programs may import from ``workbench``, as its own docstrings have them."""
    found = [
        f"{name}{inspect.signature(each)}: {' '.join((each.__doc__ or '').split())}"
        for name, each in vars(workbench).items()
        if inspect.isfunction(each) and not name.startswith("_")
    ]
    return "The standard library, and from the module `workbench`:\n" + "\n".join(
        f"* {line}" for line in found
    )
