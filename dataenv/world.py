"""What an environment is about: the tasks and teachers behind `EnvConfig.domain`.

A domain is a name of the offline table, a benchmark (`dataenv.tasks.benchmarks`), or a user's own task
folder (`dataenv.tasks.folder`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataenv.errors import ConfigError
from dataenv.presets import BENCHMARK_IDS, PRESETS, SPLITS, EnvConfig
from dataenv.tasks.base import Task
from dataenv.teachers import SERVED, served_teacher
from dataenv.teachers.base import CallError, ChatRequest, Completion, Teacher
from dataenv.teachers.broker import Expert

SIZES = ("public", "reward", "private", "seeds", "retention", "pool")
"""What a task holds, and the fields of `EnvConfig` that say how much of it."""

Teachers = tuple[Teacher, dict[str, Expert]]


@dataclass(frozen=True)
class World:
    """Where tasks and teachers come from.

    Args:
        targets: Numbers of the targets of each split.
        task: The task of a target.
        teachers: ``teachers(key, rates)``: the teacher of an episode, and the experts beside it.
    """

    targets: Mapping[str, range]
    task: Callable[[int], Task]
    teachers: Callable[[str, Mapping[str, float]], Teachers]


def is_folder(domain: str) -> bool:
    """Whether a domain is a user's own folder; a folder of a known domain's name is not."""
    known = {fields["domain"] for fields in PRESETS.values()}
    return domain not in known and ("/" in domain or Path(domain).is_dir())


def open_world(config: EnvConfig, keyless: bool = False) -> World:
    """The world of a configuration.

    Args:
        config: Of the environment.
        keyless: A served teacher will not be asked, and needs no key.

    Raises:
        UnknownNameError: There is no such domain.
        ConfigError: Something is wrong with a task folder.
    """
    if is_folder(config.domain):
        return _folder_world(config, keyless)
    if config.domain in BENCHMARK_IDS.values():
        return _benchmark_world(config, keyless)
    return _procedural_world(config, keyless)


def task_of(config: EnvConfig, number: int) -> Task:
    """The task of a target alone: no teacher is needed, and no rows to start from.

    Raises:
        UnknownNameError, ConfigError: As `open_world`.
    """
    return _tasks(config)(number)


def _tasks(config: EnvConfig) -> Callable[[int], Task]:
    from dataenv.tasks.benchmarks import load_benchmark
    from dataenv.tasks.folder import load_folder
    from dataenv.tasks.procedural.targets import build_task, get_domain

    sizes = {name: getattr(config, name) for name in SIZES}
    if is_folder(config.domain):
        return _only(load_folder(Path(config.domain), config.retention))
    if config.domain in BENCHMARK_IDS.values():
        return _only(load_benchmark(config.domain, sizes))
    domain = get_domain(config.domain)
    return lambda number: build_task(domain, number, **sizes)


def _only(task: Task) -> Callable[[int], Task]:
    return lambda number: task


def _procedural_world(config: EnvConfig, keyless: bool) -> World:
    from dataenv.tasks.procedural.targets import get_domain
    from dataenv.teachers.procedural import ProceduralTeacher, experts_of, profile_of

    domain = get_domain(config.domain)
    if config.teacher == SERVED:
        return World(SPLITS, _tasks(config), _served(config, keyless))

    def teachers(key: str, rates: Mapping[str, float]) -> Teachers:
        teacher = ProceduralTeacher(domain, profile_of(key, **rates))
        return teacher, experts_of(domain, key, domain.executable)

    return World(SPLITS, _tasks(config), teachers)


def _benchmark_world(config: EnvConfig, keyless: bool) -> World:
    teachers = _other_teachers(config, keyless)
    return World(dict.fromkeys(SPLITS, range(1)), _tasks(config), teachers)


def _folder_world(config: EnvConfig, keyless: bool) -> World:
    teachers = _other_teachers(config, keyless)
    tasks = _tasks(config)
    task = tasks(0)
    if not task.pool and not config.calls:
        raise ConfigError(f"{config.domain!r} has no pool.jsonl, and without a teacher no rows")
    for name in SIZES:
        held = len(getattr(task, name))
        if getattr(config, name) != held:
            raise ConfigError(
                f"{config.domain!r} holds {held} {name} items, not {getattr(config, name)}; the sizes "
                "of a task folder are those of its files (`dataenv.env_config` fills them in)"
            )

    return World(dict.fromkeys(SPLITS, range(1)), tasks, teachers)


def _other_teachers(
    config: EnvConfig, keyless: bool
) -> Callable[[str, Mapping[str, float]], Teachers]:
    """Teachers of a task that is no offline domain: a served one, or none.

    Raises:
        ConfigError: It is to be one that knows the offline domains only.
    """
    if not config.calls:
        return _rateless(NoTeacher)
    if config.teacher == SERVED:
        return _served(config, keyless)
    raise ConfigError(
        f"the teacher {config.teacher!r} knows the offline domains only, not {config.domain!r}; "
        "take the teacher 'openai', or set calls=0 and curate a folder's pool.jsonl"
    )


def _served(config: EnvConfig, keyless: bool) -> Callable[[str, Mapping[str, float]], Teachers]:
    teacher = served_teacher(config, keyless)  # one for all episodes: it holds the tape
    return _rateless(lambda: teacher)


def _rateless(teacher: Callable[[], Teacher]) -> Callable[[str, Mapping[str, float]], Teachers]:
    """The same teacher in every episode, and nobody beside it."""

    def teachers(key: str, rates: Mapping[str, float]) -> Teachers:
        if rates:
            raise ConfigError(
                f"the teacher {teacher().name!r} has no error rates that could be set; "
                f"leave out {dict(rates)}"
            )
        return teacher(), {}

    return teachers


def folder_fields(folder: str) -> dict[str, Any]:
    """The fields of `EnvConfig` that a task folder decides.

    Raises:
        ConfigError: Something is wrong in the folder.
    """
    from dataenv.tasks.folder import load_folder

    task = load_folder(Path(folder))
    sizes = {name: len(getattr(task, name)) for name in SIZES}
    return {"domain": str(Path(folder).resolve()), "calls": 0, "min_rows": 1, **sizes}


class NoTeacher:
    """Stands where there is none; a budget of 0 calls keeps it from being asked."""

    name = "none"

    def complete(self, requests: Sequence[ChatRequest]) -> list[Completion | CallError]:
        """Refuses everything, free of charge."""
        return [CallError("server", "there is no teacher", charged=False) for _ in requests]
