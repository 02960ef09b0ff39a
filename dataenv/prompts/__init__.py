"""Prompts as text files. `load` fills one in; ``$name`` marks a gap."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from string import Template


@cache
def _template(name: str) -> Template:
    return Template(files(__package__).joinpath(f"{name}.txt").read_text("utf-8"))


def load(name: str, **gaps: str) -> str:
    """The prompt of a name with its gaps filled.

    Raises:
        KeyError: A gap was left open.
    """
    return _template(name).substitute(gaps).strip()
