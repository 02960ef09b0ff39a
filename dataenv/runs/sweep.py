"""Sweeps: controllers x tasks x targets x seeds, each episode a run folder of its own.

What is finished is not run again, what was cut off goes on, and what fails leaves the others alone.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dataenv.config import from_mapping, require
from dataenv.errors import ConfigError, DataEnvError
from dataenv.presets import SPLITS, EnvConfig
from dataenv.registry import config_of, make_policy, read_yaml
from dataenv.runs.files import replace_text
from dataenv.runs.folder import RESULT, holds_run, is_unfinished
from dataenv.runs.processes import Ended, in_processes
from dataenv.runs.ray_engine import in_ray
from dataenv.runs.runner import run_to_folder
from dataenv.runs.tables import markdown, points
from dataenv.statistics import mean_bootstrap

RECORDS = "sweep.jsonl"
ENGINES: dict[str, Callable[[Callable[[Any], Any], Iterable[Any], int], Iterator[Ended]]] = {
    "processes": in_processes,
    "ray": in_ray,
}
"""Who runs the episodes."""


@dataclass(frozen=True)
class SweepConfig:
    """What a sweep runs. Keys of its YAML file are these fields."""

    controllers: tuple[str, ...]
    """Names, or path/to/file.py:ClassName."""
    tasks: tuple[str, ...]
    """Registered ids, task folders, or YAML files as for `dataenv run --config`."""
    seeds: tuple[int, ...] = (0,)
    """Of episodes; in the file, a number n stands for 0 to n - 1."""
    targets: tuple[int, ...] = ()
    """Numbers of targets; in the file, a number n stands for the first n of the split. None: each seed
    draws its own."""
    set: dict[str, Any] = field(default_factory=dict)
    """Fields of the tasks' configurations that are other than there, in this order."""
    out: str = "runs/sweep"
    """The folder for the runs."""

    def __post_init__(self) -> None:
        for name in ("controllers", "tasks", "seeds"):
            require(
                bool(getattr(self, name)), name, getattr(self, name), "a list that is not empty"
            )
        for name in ("controllers", "tasks", "seeds", "targets"):
            values = getattr(self, name)
            require(len(set(values)) == len(values), name, values, "a list without repeats")


@dataclass(frozen=True)
class Planned:
    """One episode of a sweep.

    Args:
        controller, task, seed, target: As in `SweepConfig`; without a target the seed draws one.
        changes: ``key=value`` overrides.
        folder: Of its run.
    """

    controller: str
    task: str
    seed: int
    target: int | None
    changes: tuple[str, ...]
    folder: str

    @property
    def config(self) -> EnvConfig:
        """Of its environment."""
        return _config_of(self.task, self.changes)

    @property
    def command(self) -> str:
        """What runs it by itself, or goes on with it."""
        if is_unfinished(Path(self.folder)):
            return shlex.join(["dataenv", "run", "--resume", self.folder])
        source = "--config" if _is_file(self.task) else "--task"
        words = ["dataenv", "run", source, self.task, "--policy", self.controller]
        words += ["--seed", str(self.seed), "--out", self.folder]
        words += [] if self.target is None else ["--target", str(self.target)]
        return shlex.join([*words, *(part for each in self.changes for part in ("--set", each))])


def read_sweep(path: Path) -> SweepConfig:
    """The sweep of a YAML file.

    Raises:
        ConfigError: It cannot be read, has an unknown key or a wrong value.
    """
    content = read_yaml(path)
    for name in ("controllers", "tasks"):
        if not isinstance(content.get(name), list):
            raise ConfigError(f"{path}: {name} must be a list, got {content.get(name)!r}")
    if isinstance(content.get("seeds"), int):
        content["seeds"] = list(range(content["seeds"]))
    if isinstance(content.get("targets"), int):
        first = SPLITS[(content.get("set") or {}).get("split", "test")].start
        content["targets"] = list(range(first, first + content["targets"]))
    return from_mapping(SweepConfig, content)


def plan_sweep(sweep: SweepConfig) -> list[Planned]:
    """The episodes of a sweep, seed by seed, so that a part of it compares all controllers.

    Raises:
        ConfigError: A task, a controller or a change of the configuration is wrong; nothing was run.
    """
    changes = tuple(_assignments(sweep.set))
    for task in sweep.tasks:
        _config_of(task, changes)
    for controller in sweep.controllers:
        make_policy(controller)
    targets: Sequence[int | None] = sweep.targets or (None,)
    planned = [
        Planned(who, task, seed, target, changes, str(_folder(sweep.out, task, who, target, seed)))
        for seed, target, task, who in itertools.product(
            sweep.seeds, targets, sweep.tasks, sweep.controllers
        )
    ]
    folders = {each.folder: each for each in planned}
    for each in planned:
        if folders[each.folder] != each:
            raise ConfigError(
                f"{each.folder} would hold two episodes: {each.task!r} with {each.controller!r} and "
                f"{folders[each.folder].task!r} with {folders[each.folder].controller!r}; rename a file"
            )
    return planned


def play(planned: Planned) -> dict[str, Any]:
    """Runs an episode, goes on with it, or reads how it ended; returns its result.

    Raises:
        ConfigError: A run of other settings is in its folder.
    """
    folder = Path(planned.folder)
    options = {} if planned.target is None else {"target": planned.target}
    return run_to_folder(
        planned.config,
        make_policy(planned.controller),
        planned.seed,
        folder,
        options=options,
        quiet=True,
        made_by=planned.controller,
        resume=holds_run(folder),
    )


def run_sweep(sweep: SweepConfig, processes: int = 2, engine: str = "processes") -> tuple[str, int]:
    """Runs what is left of a sweep and writes `RECORDS`.

    Returns:
        The table of results, with the failures below it, and how many failed.

    Raises:
        ConfigError: See `plan_sweep`; or there is no such engine.
    """
    require(engine in ENGINES, "engine", engine, f"one of {', '.join(ENGINES)}")
    require(processes >= 1, "processes", processes, "at least 1")
    planned = plan_sweep(sweep)
    results: dict[Planned, dict[str, Any]] = {}
    failures: dict[Planned, str] = {}
    with tqdm(total=len(planned), unit="episode", file=sys.stderr) as progress:
        for each, result, error in _ended(planned, processes, engine):
            if error:
                failures[each] = error
            else:
                results[each] = result
            progress.set_postfix_str(f"{each.controller} on {each.task}, {len(failures)} failed")
            progress.update()
    done = {each: results[each] for each in planned if each in results}
    _write(Path(sweep.out), done)
    return "\n".join([table(done), *_told(failures)]), len(failures)


def _ended(planned: Sequence[Planned], processes: int, engine: str) -> Iterator[Ended]:
    """Every episode as it ends, those that are finished already first."""
    left = []
    for each in planned:
        if not (Path(each.folder) / RESULT).exists():
            left.append(each)
            continue
        try:
            yield each, play(each), ""
        except DataEnvError as error:
            yield each, None, f"{error}\n"
    yield from ENGINES[engine](play, left, processes)


def table(results: dict[Planned, dict[str, Any]]) -> str:
    """Mean scores and gains by task and controller; the interval is over targets."""
    head = ("task", "controller", "episodes", "base", "final", "gain (points)", "calls")
    lines = []
    for task, who in dict.fromkeys((each.task, each.controller) for each in results):
        mine = [r for e, r in results.items() if (e.task, e.controller) == (task, who)]
        calls = _mean([r["budget"]["calls"]["used"] for r in mine])
        scores = [_score([r[name]["private"] for r in mine]) for name in ("base", "final")]
        lines.append([task, who, str(len(mine)), *scores, _gain(mine), f"{calls:.0f}"])
    return markdown(head, lines)


def _score(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{_mean(known):.3f}" if known else "-"


def _gain(results: list[dict[str, Any]]) -> str:
    known = [r for r in results if r["gain_points"] is not None]
    gains, targets = [r["gain_points"] for r in known], [r["target"] for r in known]
    if not gains:
        return "-"
    if len(set(targets)) == 1:
        return f"{points(_mean(gains))} (one target)"
    return points(_mean(gains), mean_bootstrap(gains, clusters=targets))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _told(failures: dict[Planned, str]) -> list[str]:
    if not failures:
        return []
    lines = ["", f"{len(failures)} failed; run the sweep again for them, or one by one:"]
    for each, error in failures.items():
        lines += [f"  {error.strip().splitlines()[-1]}", f"    {each.command}"]
    return lines


def _write(out: Path, results: dict[Planned, dict[str, Any]]) -> None:
    """Writes the results as lines, in one piece; what was left of others is in their folders."""
    out.mkdir(parents=True, exist_ok=True)
    lines = [
        {"folder": each.folder, "controller": each.controller, **result, "task": each.task}
        for each, result in results.items()
    ]
    replace_text(out / RECORDS, "".join(json.dumps(line) + "\n" for line in lines))


def _config_of(task: str, changes: Sequence[str]) -> EnvConfig:
    return config_of(task, list(changes), {"split": "test"})


def _is_file(task: str) -> bool:
    return task.endswith((".yaml", ".yml"))


def _assignments(fields: dict[str, Any], path: str = "") -> Iterator[str]:
    """Fields, nested ones too, as ``key=value``."""
    for key, value in fields.items():
        if isinstance(value, dict):
            yield from _assignments(value, f"{path}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield f"{path}{key}={text}"


def _folder(out: str, task: str, controller: str, target: int | None, seed: int) -> Path:
    name = f"seed-{seed}" if target is None else f"target-{target}-seed-{seed}"
    return Path(out) / _slug(task.removeprefix("dataenv/")) / _slug(controller) / name


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")
