"""The student of an environment whose trainings are predicted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from dataenv.presets import SURROGATE, EnvConfig
from dataenv.students import student_folder
from dataenv.students.base import Student
from dataenv.students.late import LateStudent
from dataenv.surrogate.model import fit_for


class PredictedStudent(LateStudent):
    """The base whose students are predicted: its tokenizer alone, until somebody asks for more.

    Args:
        config: Of the environment.
        load: Loads the base itself.
    """

    def __init__(self, config: EnvConfig, load: Callable[[], Student]) -> None:
        super().__init__(load)
        self._name, self._mark = config.student, f"{SURROGATE} {fit_for(config).name}"

    @property
    def name(self) -> str:
        return self._name

    @property
    def placement(self) -> str:
        return self._mark

    @property
    def fingerprint(self) -> str:
        return self._mark

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(student_folder(self._name) / "tokenizer.json"))
        tokenizer.encode_special_tokens = True  # a text forges none
        return tokenizer
