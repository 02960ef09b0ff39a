"""Splitting a benchmark: deterministic, stratified, and without overlap in problems or contexts.

Problems that are the same question, or whose contexts share most of their words, stay together in
one split: a student that has been trained on one would have seen the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dataenv.contamination import CONTAINMENT, grams, normalised_words, question_key
from dataenv.hashing import digest
from dataenv.tasks.base import Item


@dataclass(frozen=True)
class Entry:
    """A problem of a benchmark before it is split.

    Args:
        item: As it will be asked.
        stratum: Splits hold the same share of every stratum, as nearly as groups allow.
        context: The text that it is about, if it is about one; several problems may share it.
    """

    item: Item
    stratum: str = ""
    context: str = ""


def split(
    name: str, entries: Sequence[Entry], shares: Mapping[str, float]
) -> dict[str, tuple[Item, ...]]:
    """Items by split, each split in an order drawn from the items' hashes.

    Args:
        name: Of the benchmark; other names, other splits.
        entries: What is split.
        shares: Of the entries, by split; any positive numbers.
    """
    total = sum(shares.values())
    by_stratum: dict[str, list[list[Entry]]] = defaultdict(list)
    for group in _groups(entries):
        by_stratum[min(entry.stratum for entry in group)].append(group)
    found: dict[str, list[Item]] = {part: [] for part in shares}
    for stratum in sorted(by_stratum):
        groups = sorted(by_stratum[stratum], key=lambda group: _place(name, group))
        size = sum(map(len, groups))
        missing = {part: size * share / total for part, share in shares.items()}
        for group in groups:
            part = max(missing, key=lambda each: missing[each])
            missing[part] -= len(group)
            found[part] += [entry.item for entry in group]
    return {
        part: tuple(sorted(items, key=lambda item: digest("order", name, item.prompt)))
        for part, items in found.items()
    }


def overlaps(splits: Mapping[str, Sequence[Entry]]) -> list[tuple[str, str, str, str]]:
    """(split, id, split, id) of every two entries that should not have been parted."""
    home = {id(entry): part for part, entries in splits.items() for entry in entries}
    everyone = [entry for entries in splits.values() for entry in entries]
    return [
        (home[id(group[0])], group[0].item.id, home[id(entry)], entry.item.id)
        for group in _groups(everyone)
        for entry in group[1:]
        if home[id(entry)] != home[id(group[0])]
    ]


def manifest(splits: Mapping[str, Sequence[Item]]) -> dict[str, dict[str, int | str]]:
    """Number of items and hash of each split: equal manifests, equal splits."""
    return {
        part: {"n": len(items), "digest": digest([(i.id, i.prompt, i.gold) for i in items])}
        for part, items in splits.items()
    }


def _place(name: str, group: Sequence[Entry]) -> str:
    return digest("split", name, *sorted(entry.item.prompt for entry in group))


def _groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Entries that belong together, in the order of their first."""
    leader = list(range(len(entries)))

    def find(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    for one, other in _pairs(entries):
        low, high = sorted((find(one), find(other)))
        leader[high] = low
    groups: dict[int, list[Entry]] = defaultdict(list)
    for place, entry in enumerate(entries):
        groups[find(place)].append(entry)
    return list(groups.values())


def _pairs(entries: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    """Places of entries that ask the same, or are about nearly the same text."""
    questions: dict[tuple[str, ...], int] = {}
    contexts: dict[tuple[str, ...], int] = {}
    for place, entry in enumerate(entries):
        yield questions.setdefault(question_key(entry.item.prompt), place), place
        words = tuple(normalised_words(entry.context))
        if words:
            yield contexts.setdefault(words, place), place
    pieces = [(place, grams(words)) for words, place in contexts.items()]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, (place, own) in enumerate(pieces):
        shared = Counter(earlier for gram in own for earlier in holders[gram])
        for earlier, count in shared.items():
            other_place, other = pieces[earlier]
            if count >= CONTAINMENT * min(len(own), len(other)):
                yield other_place, place
        for gram in own:
            holders[gram].append(number)
