"""What a program's rows came from: found in the texts of its calls, whatever the program says of it.

A text holds a part of a row, its question or its answer, if it holds half of the part's runs of words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dataenv.contamination import grams, normalised_words
from dataenv.rows import Provenance, Row

RUN = 5
"""Words of a run; of a shorter text, all of them."""
RUNS = 40
"""Of a part at most, evenly spread over it."""
SHARE = 0.5
WORDING = 3
"""Prompts that hold a run before it counts as their wording, if a tenth of all prompts hold it."""

PROGRAM = "program"
"""The operation of rows that teacher calls, or what was there before, account for."""
ECHOED = "program, echoed"
"""Of rows whose answer a teacher gave back as it was told."""
UNACCOUNTED = "program, unaccounted"
"""Of rows that nothing accounts for: the program wrote them."""
OWN = (ECHOED, UNACCOUNTED)


@dataclass(frozen=True)
class Source:
    """Where rows may come from: a teacher call, or a row or item that was there before.

    Args:
        question: What the teacher was asked; the question of a row or item.
        answer: What the teacher said; the output of a row.
        calls: Keys of the teacher calls behind it.
        parents: Id of the row or item; empty: this is a call.
    """

    question: str
    answer: str
    calls: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()

    @property
    def is_call(self) -> bool:
        """Whether it is a call, whose answer may hold questions too."""
        return not self.parents


@dataclass
class _Found:
    """Sources of one part of a row, by the place where they hold it, best first."""

    said: list[int] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)
    told: set[int] = field(default_factory=set)
    """As `asked`, the wording of all prompts left out."""


def origins(
    rows: Sequence[Row], calls: Sequence[Source], material: Sequence[Source], step: int
) -> list[Provenance]:
    """The provenance of a program's rows.

    Args:
        rows: In order.
        calls: What the program asked the teacher, and was told.
        material: Rows and items that it was shown.
        step: Number of the step.
    """
    sources = [*calls, *material]
    questions, answers = _find(rows, sources)
    used: Counter[int] = Counter()
    found = []
    for question, answer in zip(questions, answers, strict=True):
        behind = _accounts(question, answer, sources, used)
        used.update(behind)
        if behind:
            parents = (p for place in behind for p in sources[place].parents)
            keys = (key for place in behind for key in sources[place].calls)
            origin = Provenance(
                PROGRAM, tuple(dict.fromkeys(keys)), tuple(dict.fromkeys(parents)), step=step
            )
        else:
            origin = Provenance(ECHOED if answer.said else UNACCOUNTED, step=step)
        found.append(origin)
    return found


def _accounts(
    question: _Found, answer: _Found, sources: Sequence[Source], used: Mapping[int, int]
) -> tuple[int, ...]:
    """The sources behind a row; none if its answer is the program's own or was put into the
    teacher's mouth. Of equal ones, the call that accounts for the fewest rows is taken."""

    def best(places: Iterable[int]) -> int:
        return min(places, key=lambda place: (used[place], place))

    wrote = [place for place in question.said if sources[place].is_call]
    there = [place for place in question.asked if not sources[place].is_call]
    fresh = [p for p in answer.said if sources[p].is_call and p not in answer.told]
    both = [place for place in fresh if place in wrote]
    if both:
        return (best(both),)
    solved = [place for place in fresh if place in question.asked]
    if solved:
        solver = best(solved)
        writers = [place for place in wrote if place != solver] or there
        return (*((best(writers),) if writers else ()), solver)
    held = [place for place in answer.said if not sources[place].is_call]
    same = [place for place in held if place in there]
    if same:
        return (best(same),)
    reworded = [place for place in wrote if place in answer.asked]
    if reworded and (fresh or held):
        return best(fresh or held), best(reworded)
    return ()


def _find(rows: Sequence[Row], sources: Sequence[Source]) -> tuple[list[_Found], list[_Found]]:
    """Which sources hold the question and the answer of every row."""
    parts = [_runs(text) for row in rows for text in (row.prompt, row.output)]
    index: dict[int, list[int]] = {}
    for number, runs in enumerate(parts):
        for run in runs:
            index.setdefault(run, []).append(number)
    sizes = {_size(text) for row in rows for text in (row.prompt, row.output)}
    wording = _wording([each.question for each in sources if each.is_call], index, sizes)
    found = [_Found() for _ in parts]
    ranked: list[list[tuple[float, int]]] = [[] for _ in parts]
    for place, source in enumerate(sources):
        for number, share in _held(source.answer, index, sizes, parts):
            ranked[number].append((-share, place))
        for number, _ in _held(source.question, index, sizes, parts):
            found[number].asked.add(place)
        for number, _ in _held(source.question, index, sizes, parts, wording):
            found[number].told.add(place)
    for each, places in zip(found, ranked, strict=True):
        each.said = [place for _, place in sorted(places)]
    return found[::2], found[1::2]


def _held(
    text: str,
    index: Mapping[int, list[int]],
    sizes: set[int],
    parts: Sequence[set[int]],
    without: frozenset[int] = frozenset(),
) -> Iterator[tuple[int, float]]:
    """(part, share) of the parts that a text holds."""
    counts: Counter[int] = Counter()
    for run in _all_runs(text, sizes) & index.keys() - without:
        counts.update(index[run])
    for number, count in counts.items():
        if count >= SHARE * len(parts[number]):
            yield number, count / len(parts[number])


def _wording(
    prompts: Sequence[str], index: Mapping[int, list[int]], sizes: set[int]
) -> frozenset[int]:
    """Runs that many prompts hold, of those that matter: examples and instructions."""
    counts = Counter(run for text in prompts for run in _all_runs(text, sizes) & index.keys())
    common = max(WORDING, len(prompts) / 10)
    return frozenset(run for run, count in counts.items() if count >= common)


def _words(text: str) -> list[str]:
    return normalised_words(text) or text.split()


def _size(text: str) -> int:
    return min(RUN, len(_words(text)))


def _runs(text: str) -> set[int]:
    """Some of a part's runs, as numbers."""
    words = _words(text)
    size = min(RUN, len(words))
    places = range(len(words) - size + 1) if size else range(0)
    stride = max(1, len(places) // RUNS)
    return {hash(tuple(words[at : at + size])) for at in places[::stride]}


def _all_runs(text: str, sizes: set[int]) -> set[int]:
    """All runs of a text as it stands, and as it reads once JSON is decoded."""
    runs: set[int] = set()
    for each in {text, _unescaped(text)}:
        words = _words(each)
        runs.update(hash(gram) for size in sizes for gram in grams(words, size))
    return runs


_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text)


def _character(escape: re.Match) -> str:
    code = escape[1]
    if len(code) == 5:
        return chr(int(code[1:], 16))
    return " " if code in "nrtbf" else code
