"""What can be seen of a question or a response without knowing what is right."""

from __future__ import annotations

import re

from dataenv.rows import Row

LOOP_WORDS = 24
"""Words from which on a text may be found to repeat itself."""
LOOP_SHARE = 0.5
"""Share of runs of four words that are different, below which it does."""
GIVEN_AWAY_CHARS = 20
"""A shorter response, such as the letter of an option, may well stand in its question."""
FEWEST_WORDS = 2

_SCAFFOLDING = re.compile(
    r"</?(?:problem|example|instruction|question)>|\"(?:instruction|output)\"\s*:|<\|\w+\|>"
    r"|\bas an ai\b|^(?:sure|certainly|of course)[,!]|^here(?: is|'s) (?:a|the|your) (?:new )?problem",
    re.IGNORECASE,
)
_BROKEN = re.compile("[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def question_problem(row: Row) -> str:
    """What is wrong with the form of a row's question; empty if nothing is."""
    text = row.prompt
    if len(text.split()) < FEWEST_WORDS:
        return "too short"
    if len(row.output.strip()) >= GIVEN_AWAY_CHARS and row.output.strip() in text:
        return "holds its own response"
    return _text_problem(text)


def response_problem(row: Row) -> str:
    """The same of its response; whether an answer can be read from it is another matter."""
    return _text_problem(row.output)


def _text_problem(text: str) -> str:
    if _BROKEN.search(text):
        return "unreadable characters"
    if _SCAFFOLDING.search(text.strip()):
        return "words about the task"
    words = text.split()
    runs = list(zip(*(words[k:] for k in range(4)), strict=False))
    looping = len(words) >= LOOP_WORDS and len(set(runs)) < LOOP_SHARE * len(runs)
    return "repeats itself" if looping else ""
