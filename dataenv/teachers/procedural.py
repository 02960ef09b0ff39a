"""The procedural teacher: a stateless stand-in for a language model that speaks its protocol.

It reads a chat prompt as text. Asked for problems, it matches the words of the prompt against what
its domain's skills are about, and examples in the prompt against its inverse templates; asked to
solve a problem, it looks for one that it recognises. What it cannot match gets an off-topic reply.
It errs: see `TeacherProfile`.
"""

from __future__ import annotations

import dataclasses
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from dataenv.hashing import digest, rng_of
from dataenv.tasks.procedural.skill import ANSWER_MARK, Domain, Problem, Skill, fill
from dataenv.teachers import TEACHERS
from dataenv.teachers.base import CallError, ChatRequest, Completion
from dataenv.teachers.broker import Expert

MISCONCEPTIONS = 12
_PROBLEM = re.compile(r"<(problem|example)>\n(.*?)\n</\1>", re.DOTALL)
_WORD = re.compile(r"[a-z]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class TeacherProfile:
    """How a teacher errs. Shares and chances lie in 0..1.

    A problem has a chance of its own of being solved, the same whenever it is asked: a draw from a
    Beta distribution. With a small `dispersion` most problems are solved nearly always or nearly
    never. A wrong solution is the teacher's misconception about the skill with chance `stable`, else
    a slip. `scripts/fit_teacher.py` fits both to samples of a language model.

    Args:
        key: Redrawn at every reset; decides which topics are weak, which problems hard, and which
            misconceptions are held.
        accuracy: Mean chance of solving a problem.
        weak_share: Share of the topics at which it is weak.
        weak_accuracy: Its accuracy there.
        dispersion: Size (a + b) of the Beta distribution.
        stable: Share of misconceptions among wrong solutions.
        format_slip: Chance of a solution without its answer line.
        off_topic: Chance of a problem of another skill than was asked for.
        over_hard: Chance of a harder problem than was asked for, where there is one.
        repeat: Chance of a problem that it writes again and again.
        chatty: Chance of prose around the JSON object.
    """

    key: str = "default"
    accuracy: float = 0.88
    weak_share: float = 0.4
    weak_accuracy: float = 0.2
    dispersion: float = 0.15
    stable: float = 0.82
    format_slip: float = 0.04
    off_topic: float = 0.05
    over_hard: float = 0.1
    repeat: float = 0.1
    chatty: float = 0.1

    def accuracy_at(self, topic: str) -> float:
        """The mean chance of solving problems of a topic."""
        weak = rng_of("weak", self.key, topic).random() < self.weak_share
        return self.weak_accuracy if weak else self.accuracy

    def chance(self, topic: str, identity: str) -> float:
        """The chance of solving one problem."""
        mean = self.accuracy_at(topic)
        if mean in (0.0, 1.0):
            return mean
        draws = rng_of("item", self.key, identity)
        return draws.betavariate(mean * self.dispersion, (1 - mean) * self.dispersion)


class ProceduralTeacher:
    """A teacher for one domain.

    Args:
        domain: What it knows.
        profile: How it errs.
    """

    def __init__(self, domain: Domain, profile: TeacherProfile) -> None:
        self.name = f"procedural-{domain.name}"
        self.domain, self.profile = domain, profile
        self._words = {
            skill.name: _stems(" ".join((*skill.keywords, skill.topic, skill.name)))
            for skill in domain.skills.values()
        }

    def __eq__(self, other: object) -> bool:
        """Whether it answers alike."""
        if not isinstance(other, ProceduralTeacher):
            return NotImplemented
        return (self.name, self.profile) == (other.name, other.profile)

    def __hash__(self) -> int:
        return hash((self.name, self.profile))

    def complete(self, requests: Sequence[ChatRequest]) -> list[Completion | CallError]:
        """Answers every request; equal requests get equal replies."""
        replies: list[Completion | CallError] = []
        for request in requests:
            text = _reply_of(self, request.key, request.messages[-1][1])
            words = sum(len(content.split()) for _, content in request.messages)
            replies.append(Completion(text, words, len(text.split())))
        return replies

    def _reply(self, prompt: str, rng: random.Random) -> str:
        lead = prompt[:200].lower()
        if "rephrase" in lead or "reword" in lead:
            return self._rephrase(prompt, rng)
        if re.search(r"\b(write|create|generate|invent|make)\b", lead):
            return self._generate(prompt, rng)
        return self._solve(prompt, rng)

    def _generate(self, prompt: str, rng: random.Random) -> str:
        skill, difficulty = self._choose_skill(prompt, rng), self._difficulty(prompt, rng)
        if rng.random() < self.profile.off_topic:
            skill = self.domain.skills[rng.choice(sorted(self.domain.skills))]
        elif rng.random() < self.profile.over_hard:
            skill, difficulty = self._harder(skill, rng), 3
        draws = rng
        if rng.random() < self.profile.repeat:
            draws = rng_of("favourite", self.profile.key, skill.name, rng.randrange(3))
        problem = self.domain.sample(skill.name, difficulty, draws)
        output = self._solution(problem, prompt, rng)
        fields = {"instruction": problem.instruction, "input": problem.input, "output": output}
        return self._dress(fields, rng)

    def _choose_skill(self, prompt: str, rng: random.Random) -> Skill:
        examples = [self.domain.recognise(text) for _, text in _PROBLEM.findall(prompt)]
        known = [found[0] for found in examples if found]
        if known:
            return rng.choice(known)
        asked = _stems(_line_after(prompt, "What is wanted:") or prompt)
        scores = {
            name: len(asked & words) / len(words) ** 0.5 for name, words in self._words.items()
        }
        best = max(scores.values())
        if best == 0:
            return self.domain.skills[rng.choice(sorted(scores))]
        near = sorted(name for name, score in scores.items() if score >= 0.8 * best)
        topics = {self.domain.skills[name].topic for name in near}
        named = [t for t in topics if _stems(t) <= asked]
        if named:  # a topic by its name means all of the topic
            near = sorted(s.name for s in self.domain.skills.values() if s.topic in named)
        return self.domain.skills[rng.choice(near)]

    def _harder(self, skill: Skill, rng: random.Random) -> Skill:
        """A skill that this one is a part of, if there is one."""
        whole = [s.name for s in self.domain.skills.values() if skill.name in s.parts]
        return self.domain.skills[rng.choice(sorted(whole))] if whole else skill

    @staticmethod
    def _difficulty(prompt: str, rng: random.Random) -> int:
        words = set(_WORD.findall((_line_after(prompt, "What is wanted:") or prompt).lower()))
        if words & {"easy", "simple", "basic"}:
            return 1
        if words & {"hard", "difficult", "challenging"}:
            return 3
        return rng.choices((1, 2, 3), (0.4, 0.4, 0.2))[0]

    def _solve(self, prompt: str, rng: random.Random) -> str:
        found = self._recognise_in(prompt)
        if found is None:
            return self._dress({"output": "I am not sure what is asked here."}, rng)
        return self._dress({"output": self._solution(found, prompt, rng)}, rng)

    def _rephrase(self, prompt: str, rng: random.Random) -> str:
        found = self._recognise_in(prompt)
        if found is None:
            return self._dress({"instruction": "Could you say that again?", "input": ""}, rng)
        template = rng.choice(self.domain.skills[found.skill].open_templates)
        text, _, code = fill(template, dict(found.parameters)).partition("\n")
        return self._dress({"instruction": text, "input": code}, rng)

    def _recognise_in(self, prompt: str) -> Problem | None:
        marked = [text for _, text in _PROBLEM.findall(prompt)]
        for text in (*marked, *prompt.split("\n\n"), *prompt.splitlines()):
            if problem := self.domain.problem_of(text):
                return problem
        return None

    def _solution(self, problem: Problem, prompt: str, rng: random.Random) -> str:
        if rng.random() >= self.profile.chance(problem.topic, problem.identity):
            stable = rng.random() < self.profile.stable
            problem = self._misconceived(problem) if stable else slipped(problem, rng)
        text = f"{ANSWER_MARK} {problem.answer}" if "without steps" in prompt else problem.output
        if rng.random() < self.profile.format_slip:
            text = text.replace(ANSWER_MARK, "so").strip()
        return text

    def _misconceived(self, problem: Problem) -> Problem:
        """The problem as somebody solves it who has one thing about the skill wrong, always the same."""
        key = self.profile.key
        held = rng_of("misconception", key, problem.skill).randrange(MISCONCEPTIONS)
        for number in range(MISCONCEPTIONS):  # what leads nowhere here gives way to the next
            wrong = self.domain.mistaken(problem, held + number)
            if wrong and wrong.answer != problem.answer:
                return wrong
        return slipped(problem, rng_of("slip", key, problem.identity))

    def _dress(self, fields: dict[str, str], rng: random.Random) -> str:
        text = json.dumps(fields)
        return f"Here it is:\n{text}\nLet me know!" if rng.random() < self.profile.chatty else text


def slipped(problem: Problem, rng: random.Random) -> Problem:
    """A problem whose solution goes wrong in its last number and keeps to it."""
    numbers = _NUMBER.findall(problem.answer)
    if not numbers:
        words = problem.answer.strip("'")
        wrong = (
            repr(words[::-1] + words[-1:])
            if words not in ("True", "False")
            else str(words == "False")
        )
    else:
        old = rng.choice(numbers)
        new = old
        while new == old:
            new = re.sub(
                r"\d+",
                lambda m: str(max(0, int(m[0]) + rng.choice((-10, -2, -1, 1, 2, 10)))),
                old,
                count=1,
            )
        at = rng.choice([m.start() for m in _NUMBER.finditer(problem.answer) if m[0] == old])
        wrong = problem.answer[:at] + new + problem.answer[at + len(old) :]
    head, mark, tail = problem.work.rpartition(problem.answer)
    work = f"{head}{wrong}{tail}" if mark else problem.work
    return dataclasses.replace(problem, work=work, answer=wrong)


def _line_after(prompt: str, label: str) -> str:
    for line in prompt.splitlines():
        if line.startswith(label):
            return line[len(label) :]
    return ""


def _stems(text: str) -> frozenset[str]:
    """Lower-case words without a plural s, short and empty words left out."""
    skip = {"the", "and", "for", "with", "problem", "about", "like", "more", "that", "from"}
    words = {word.rstrip("s") for word in _WORD.findall(text.lower()) if len(word) > 2}
    return frozenset(words - skip)


@lru_cache(maxsize=1 << 14)
def _reply_of(teacher: ProceduralTeacher, key: str, prompt: str) -> str:
    """What a teacher replies to a request. Kept, as controllers that are compared ask for the same."""
    return teacher._reply(prompt, rng_of("reply", teacher.profile.key, key))


def profile_of(key: str, **rates: float) -> TeacherProfile:
    """A profile for an episode."""
    return TeacherProfile(key=digest("profile", key), **rates)


SECOND = {"accuracy": 0.95, "weak_share": 0.1, "weak_accuracy": 0.7}
SECOND_PRICE, EXECUTION_PRICE = 8, 6


def experts_of(domain: Domain, key: str, executable: bool) -> dict[str, Expert]:
    """The dear checks of an episode: a better teacher with weak points of its own, and execution."""
    second = ProceduralTeacher(domain, profile_of(digest("second", key), **SECOND))
    experts = {"second": Expert(second, SECOND_PRICE)}
    if executable:
        exact = ProceduralTeacher(domain, profile_of(key, **TEACHERS["procedural-exact"]))
        experts["execution"] = Expert(exact, EXECUTION_PRICE)
    return experts
