"""Training rows and the working set: content-addressed, ordered, each row with its provenance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dataenv.hashing import digest

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Provenance:
    """Where a row came from: the environment's word, never the controller's.

    Args:
        operation: The operation that made it, e.g. ``generate``.
        calls: Keys of the teacher calls that its text came from.
        parents: Ids of the rows or items that it was made from.
        checks: What has been checked since, e.g. ``("verify 2/2",)``.
        step: The environment step at which it was made.
        repeats: Id of the public item that a teacher was told and gave back as this row.
    """

    operation: str
    calls: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    step: int = 0
    repeats: str = field(default="", repr=False)  # worlds.lock hashes the representation


@dataclass(frozen=True)
class Row:
    """One training example in the paper's format. Its id is a hash of its content alone."""

    instruction: str
    input: str
    output: str
    provenance: Provenance = field(default=Provenance("unknown"), compare=False)

    @cached_property
    def id(self) -> str:
        """Content address, 16 hex characters."""
        return digest(self.instruction, self.input, self.output, size=8)

    @property
    def prompt(self) -> str:
        """Instruction and input as one text, the way a student reads them."""
        return join_prompt(self.instruction, self.input)

    @property
    def verified(self) -> bool:
        """Whether a check of its answer has been passed."""
        return bool(self.provenance.checks)

    def to_entry(self) -> dict[str, str]:
        """The row in the format of ``submission.json``."""
        return {"instruction": self.instruction, "input": self.input, "output": self.output}

    def to_dict(self) -> dict[str, Any]:
        """The row with its provenance, as plain values."""
        return {**self.to_entry(), "id": self.id, "provenance": dict(vars(self.provenance))}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Row:
        """The inverse of `to_dict`."""
        origin = data.get("provenance") or {"operation": "unknown"}
        lists: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in origin.items()
        }
        return cls(data["instruction"], data["input"], data["output"], Provenance(**lists))


def join_prompt(instruction: str, input: str) -> str:
    """Instruction and input as one text."""
    return f"{instruction}\n{input}" if input else instruction


@dataclass(frozen=True)
class WorkingSet:
    """The rows so far.

    Args:
        rows: In order.
        sequential: Whether `order` fixed the sequence, so that training must follow it. Otherwise
            a row's place in training is drawn from its own hash, and permuted sets are the same.
    """

    rows: tuple[Row, ...] = ()
    sequential: bool = False

    @cached_property
    def digest(self) -> str:
        """Content address: equal for sets that train the same student. Ignores provenance."""
        ids = [row.id for row in self.rows]
        return digest("sequence", ids) if self.sequential else digest("multiset", sorted(ids))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def extended(self, rows: Iterable[Row]) -> WorkingSet:
        """This set with rows appended."""
        return WorkingSet((*self.rows, *rows), self.sequential)

    def kept(self, keep: Iterable[bool]) -> WorkingSet:
        """This set with only the rows whose flag is true."""
        kept = tuple(row for row, flag in zip(self.rows, keep, strict=True) if flag)
        return WorkingSet(kept, self.sequential)

    def to_submission(self) -> list[dict[str, str]]:
        """The paper's ``submission.json``."""
        return [row.to_entry() for row in self.rows]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, provenance included."""
        return {"sequential": self.sequential, "rows": [row.to_dict() for row in self.rows]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WorkingSet:
        """The inverse of `to_dict`."""
        return cls(tuple(Row.from_dict(each) for each in data["rows"]), bool(data["sequential"]))

    def to_dataset(self) -> Dataset:
        """The rows as a `datasets.Dataset` with columns instruction, input, output, id."""
        from datasets import Dataset

        return Dataset.from_list([{**row.to_entry(), "id": row.id} for row in self.rows])

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> WorkingSet:
        """A set of a dataset with columns instruction, output and perhaps input."""
        origin = Provenance("dataset")
        return cls(
            tuple(
                Row(each["instruction"], each.get("input") or "", each["output"], origin)
                for each in dataset
            )
        )
