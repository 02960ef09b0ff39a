"""What the offline worlds are, as hashes: a comparison of controllers holds for one of them.

`worlds.lock` is written by ``scripts/lock_worlds.py``; a test fails when anything in it changes
without a new `VERSION`. Things may be added: a student, a preset, a field. Results name version and
hash.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from dataenv.errors import ConfigError
from dataenv.hashing import digest, rng_of
from dataenv.presets import PRESETS, EnvConfig
from dataenv.rows import join_prompt

VERSION = 2
LOCK = Path(__file__).with_name("worlds.lock")


def describe_worlds() -> dict[str, Any]:
    """Knobs, and hashes of what they make: problems, targets, replies, weights."""
    from dataenv.students import STUDENTS, student_folder
    from dataenv.tasks.procedural.targets import DOMAINS

    content = {
        "presets": {name: asdict(EnvConfig(**fields)) for name, fields in PRESETS.items()},
        "domains": {name: _domain(name) for name in DOMAINS},
        "teacher": _teacher(),
    }
    students = {name: _files(student_folder(name)) for name in STUDENTS}
    return {"version": VERSION, **content, "students": students}


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Paths of the values that differ."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{path}: {old!r} -> {new!r}"]
    keys = sorted({*old, *new})
    return [d for key in keys for d in differences(old.get(key), new.get(key), f"{path}/{key}")]


def relocked(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The lock of new worlds. Its digest names a version, and stays while things are only added.

    Raises:
        ConfigError: Something has changed under the same version.
    """
    if old.get("version") != new["version"]:
        return {"digest": digest(new), **new}
    changed = differences(_part(old, old), _part(new, old))
    if changed:
        raise ConfigError(
            f"a locked world has changed: {'; '.join(changed[:5])}; undo it, or raise "
            "dataenv.lock.VERSION and run scripts/lock_worlds.py"
        )
    return {"digest": old["digest"], **new}


def _part(tree: Any, shape: Any) -> Any:
    """What a tree holds at the keys that another one has, the digest aside."""
    if not (isinstance(tree, dict) and isinstance(shape, dict)):
        return tree
    return {key: _part(tree.get(key), shape[key]) for key in shape if key != "digest"}


def _domain(name: str) -> dict[str, Any]:
    from dataenv.tasks.procedural import targets

    domain = targets.DOMAINS[name]
    problems: list[Any] = []
    for skill in sorted(domain.skills):
        rng = rng_of("lock", name, skill)
        entry = domain.skills[skill]
        problems.append((entry.open_templates, entry.reserved_templates, entry.parts))
        for difficulty in (1, 2, 3):
            problem = domain.sample(skill, difficulty, rng)
            wrong = [domain.mistaken(problem, which) for which in range(3)]
            problems.append((asdict(problem), [each and each.output for each in wrong]))
    sizes = {"public": 20, "reward": 5, "private": 20, "seeds": 10, "retention": 5, "pool": 40}
    tasks = [targets.build_task(domain, number, **sizes) for number in range(3)]
    items = [
        (task.public, task.reward, task.private, task.seeds, task.retention, task.pool)
        for task in tasks
    ]
    drawn = [targets.draw_target(domain, number).weights for number in range(50)]
    return {
        "skills": len(domain.skills),
        "topics": len(domain.topics),
        "problems": digest(problems),
        "targets": digest(drawn, repr(items)),
    }


def _teacher() -> dict[str, Any]:
    from dataenv.tasks.procedural.targets import DOMAINS
    from dataenv.teachers import TEACHERS, procedural
    from dataenv.teachers.base import ChatRequest

    replies: list[Any] = []
    for name, domain in DOMAINS.items():
        teacher = procedural.ProceduralTeacher(domain, procedural.profile_of("lock"))
        wishes = [f"Write one problem about {topic}." for topic in domain.topics]
        requests = [
            ChatRequest((("user", wish),), sample_index=i) for i in (0, 1) for wish in wishes
        ]
        replies.append((name, [repr(reply) for reply in teacher.complete(requests)]))
        rng = rng_of("lock", "solve", name)
        problems = [domain.sample(skill, 2, rng) for skill in sorted(domain.skills)]
        asked = [join_prompt(problem.instruction, problem.input) for problem in problems]
        solves = [ChatRequest((("user", f"<problem>\n{text}\n</problem>"),)) for text in asked]
        experts = procedural.experts_of(domain, "lock", domain.executable)
        for who, solver in {
            "teacher": teacher,
            **{n: e.teacher for n, e in experts.items()},
        }.items():
            replies.append((name, who, [repr(reply) for reply in solver.complete(solves)]))
    return {
        "profile": asdict(procedural.TeacherProfile()),
        "named": TEACHERS,
        "second": {**procedural.SECOND, "price": procedural.SECOND_PRICE},
        "execution": {"price": procedural.EXECUTION_PRICE},
        "replies": digest(replies),
    }


def _files(folder: Path) -> str:
    rest = ("tokenizer.json", "config.json", "generation_config.json", "chat_template.jinja")
    files = [*sorted(folder.glob("*.safetensors")), *(folder / name for name in rest)]
    return hashlib.blake2b(
        b"".join(file.read_bytes() for file in files), digest_size=16
    ).hexdigest()


@cache
def locked() -> dict[str, Any]:
    """The worlds as they were last locked."""
    return json.loads(LOCK.read_text("utf-8"))


def name_of_worlds() -> str:
    """Version and hash, for records."""
    return f"{locked()['version']}-{locked()['digest'][:12]}"
