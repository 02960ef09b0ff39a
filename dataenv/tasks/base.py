"""What a student must become good at: items, a grader's name, and how to tell that two are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dataenv.rows import Row, join_prompt


@dataclass(frozen=True)
class Item:
    """One question with its gold answer.

    Args:
        id: Unique within its task.
        instruction, input: What the student is asked.
        gold: The right answer, as the grader reads it.
        topic: The visible heading that reports break scores down by.
        output: A worked solution, where one is known; never shown to controllers.
    """

    id: str
    instruction: str
    input: str
    gold: str
    topic: str
    output: str = ""

    @property
    def prompt(self) -> str:
        """Instruction and input as one text."""
        return join_prompt(self.instruction, self.input)

    @property
    def solution(self) -> str:
        """The worked solution, or the bare answer where there is none."""
        return self.output or f"Answer: {self.gold}"


@dataclass(frozen=True)
class Task:
    """A task.

    Args:
        name: E.g. ``science``.
        description, answer_format: What a controller is told.
        grader: A name in `dataenv.tasks.graders.GRADERS`.
        public: Visible, with answers; steers.
        reward: Hidden; feeds the reward. Empty: the public items do, and reports say so.
        private: Hidden; scored once, at the end.
        seeds: Raw questions without answers, from a broader mixture (`gold` is empty).
        pool: Raw rows that lie around, unchecked.
        retention: General items that the base student can do.
        retention_grader: Their grader.
        few_shot: Example rows in the required format.
        identify: What "the same item" means: maps a prompt to a key, or None if it has no such key.
        reference: ``reference(n, seed)`` draws clean rows from the private distribution, or None.
        target: A short name of the specialisation target, for records.
    """

    name: str
    description: str
    answer_format: str
    grader: str
    public: tuple[Item, ...]
    reward: tuple[Item, ...]
    private: tuple[Item, ...]
    seeds: tuple[Item, ...] = ()
    pool: tuple[Row, ...] = ()
    retention: tuple[Item, ...] = ()
    retention_grader: str = "literal"
    few_shot: tuple[Row, ...] = ()
    identify: Callable[[str], str | None] = field(default=lambda prompt: None, compare=False)
    reference: Callable[[int, int], list[Row]] | None = field(default=None, compare=False)
    target: str = ""

    @property
    def items_by_id(self) -> Mapping[str, Item]:
        """The items that a controller may name: public items and seeds."""
        return {item.id: item for item in (*self.public, *self.seeds)}

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of the public items, sorted."""
        return tuple(sorted({item.topic for item in self.public}))
