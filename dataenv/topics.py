"""Which visible topic a text reads like: the nearest topic of the public items, by words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from dataenv.tasks.base import Item


class TopicModel:
    """A multinomial naive Bayes classifier fitted to the public items alone.

    Args:
        items: The public items, with their topics.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        counts: dict[str, Counter[str]] = {}
        for item in items:
            counts.setdefault(item.topic, Counter()).update(words(item.prompt))
        vocabulary = len(set().union(*counts.values())) if counts else 0
        self._log: dict[str, tuple[dict[str, float], float]] = {}
        for topic, found in sorted(counts.items()):
            total = sum(found.values()) + 0.5 * (vocabulary + 1)
            scores = {word: math.log((n + 0.5) / total) for word, n in found.items()}
            self._log[topic] = scores, math.log(0.5 / total)
        self.topic_of = lru_cache(maxsize=65536)(self._topic_of)

    def _topic_of(self, prompt: str) -> str:
        found = words(prompt)
        return max(
            self._log,
            key=lambda topic: sum(
                self._log[topic][0].get(word, self._log[topic][1]) for word in found
            ),
        )


def words(text: str) -> list[str]:
    """Lower-case words and marks of a text; all numbers count as one."""
    found = re.findall(r"[a-z_]+|\d+|[^\w\s]+", text.lower())
    return ["#" if word.isdigit() else word for word in found]
