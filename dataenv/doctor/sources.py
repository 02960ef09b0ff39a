"""Whether what is read lies here: the student's weights, a benchmark's items."""

from __future__ import annotations

import json
import os
import queue
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataenv.config import did_you_mean
from dataenv.doctor.finding import Finding, in_units
from dataenv.errors import ConfigError
from dataenv.presets import BENCHMARK_IDS, OFFLINE, EnvConfig
from dataenv.students import STUDENTS, path_of
from dataenv.world import SIZES

HUB_S = 4.0
"""Seconds that the hub has for an answer, looking up its name included."""


@dataclass(frozen=True)
class Weights:
    """Where a student's weights are.

    Args:
        finding: Whether they can be read.
        folder: That holds all of them; none: they are not on this machine.
        download: Bytes that are still to be fetched, as far as is known.
    """

    finding: Finding
    folder: Path | None = None
    download: int = 0


def student_weights(config: EnvConfig) -> Weights:
    """Looks for the student on this machine, then on the hub."""
    try:
        path = path_of(config.student)
    except ConfigError as error:
        return Weights(Finding("weights", False, str(error), "name another student, or fetch it"))
    folder = Path(path) if Path(path).is_dir() else _snapshot(str(path))
    lacking = _lacking(folder) if folder else []
    if folder and not lacking:
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        return Weights(Finding("weights", True, f"{in_units(size)} in {folder}"), folder)
    if Path(path).is_dir():
        detail = f"{path} lacks {', '.join(lacking)}"
        return Weights(Finding("weights", False, detail, "copy the whole checkpoint there"))
    return _on_the_hub(str(path))


def _lacking(folder: Path) -> list[str]:
    """Files that a checkpoint folder should hold and does not."""
    index = folder / "model.safetensors.index.json"
    wanted = ["config.json"]
    if index.is_file():
        wanted += sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    elif not (folder / "pytorch_model.bin").is_file():
        wanted.append("model.safetensors")
    if not (folder / "tokenizer.model").is_file():
        wanted.append("tokenizer.json")
    return [name for name in wanted if not (folder / name).is_file()]


def _snapshot(name: str) -> Path | None:
    """The folder in the hub's cache, complete or not."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(name, local_files_only=True, cache_dir=constants.HF_HUB_CACHE)
        )
    except (HFValidationError, LocalEntryNotFoundError):
        return None


def _on_the_hub(name: str) -> Weights:
    try:
        size = within(HUB_S, lambda: _size_on_the_hub(name))
    except Exception as error:  # the hub's client raises what its many parts raise
        detail, fix = _trouble(name, error)
        return Weights(Finding("weights", False, f"{name} is not on this machine; {detail}", fix))
    detail = f"{name} is on the hub, {in_units(size)} to download"
    return Weights(Finding("weights", True, detail), download=size)


def _size_on_the_hub(name: str) -> int:
    from huggingface_hub import HfApi

    info = HfApi().model_info(name, files_metadata=True, timeout=HUB_S)
    if info.gated:
        HfApi().auth_check(name)
    weights = [each for each in info.siblings or [] if each.rfilename.endswith(".safetensors")]
    return sum(each.size or 0 for each in weights if "/" not in each.rfilename)


def _trouble(name: str, error: Exception) -> tuple[str, str]:
    """What is wrong, and the way out."""
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    if isinstance(error, HFValidationError):
        return f"it is no id of the hub{did_you_mean(name, list(STUDENTS))}", "check the path"
    if isinstance(error, GatedRepoError):  # before its base, the next
        return "its licence is not accepted", "accept it on the hub and set $HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError):
        return "the hub does not have it", "check the name, or set $HF_TOKEN"
    way = "unset HF_HUB_OFFLINE" if constants.is_offline_mode() else "connect to it once"
    return f"the hub cannot be reached: {error}", f"{way}, or name a checkpoint folder"


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """What a call returns or raises, if it does so in time; it is left alone if not.

    Raises:
        TimeoutError: It did not.
    """
    done: queue.Queue[tuple[Any, Exception | None]] = queue.Queue()

    def run() -> None:
        try:
            done.put((call(), None))
        except Exception as error:  # handed to whoever waits
            done.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        value, error = done.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer in {seconds:g} s") from None
    if error:
        raise error
    return value


def data(config: EnvConfig) -> Finding:
    """Looks for the task's items: of a benchmark in its folder, then on the hub."""
    if config.domain in OFFLINE:
        return Finding("data", True, f"{config.domain} comes with the package")
    if config.domain not in BENCHMARK_IDS.values():
        return _data_of_task(config)
    from dataenv.tasks.benchmarks import data_folder

    if data_folder(config.domain) is None:
        return _data_of_hub(config.domain)
    return _data_of_folder(config)


def _data_of_task(config: EnvConfig) -> Finding:
    from dataenv.world import task_of

    try:
        task = task_of(config, 0)
    except ConfigError as error:
        return Finding("data", False, str(error), "mend it, or name another task")
    return Finding("data", True, f"{len(task.public)} public items in {config.domain}")


def _data_of_folder(config: EnvConfig) -> Finding:
    from dataenv.tasks.benchmarks import DATA_VARIABLE, load_benchmark

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            task = load_benchmark(config.domain, {name: getattr(config, name) for name in SIZES})
        except ConfigError as error:
            return Finding("data", False, str(error), f"see ${DATA_VARIABLE}/{config.domain}")
    found = f"{len(task.public)} public, {len(task.private)} private, {len(task.seeds)} seeds"
    if len(task.seeds) < config.seeds:
        fix = f"put questions into ${DATA_VARIABLE}/{config.domain}/seed.jsonl, or set seeds=0"
        return Finding("data", None, f"{found}; {config.seeds} seeds are asked for", fix)
    if warned:
        return Finding("data", None, f"{found}; {warned[0].message}", "compare with the original")
    return Finding("data", True, found)


def _data_of_hub(domain: str) -> Finding:
    from huggingface_hub import HfApi, constants

    from dataenv.tasks.benchmarks import BENCHMARKS, DATA_VARIABLE

    name = BENCHMARKS[domain].hub[0]
    if (Path(constants.HF_HUB_CACHE) / f"datasets--{name.replace('/', '--')}").is_dir():
        return Finding("data", True, f"{name} in the hub's cache")
    root = os.environ.get(DATA_VARIABLE)
    detail = f"no folder {root}/{domain}" if root else f"${DATA_VARIABLE} is not set"
    try:
        within(HUB_S, lambda: HfApi().dataset_info(name, timeout=HUB_S))
    except Exception as error:  # the hub's client raises what its many parts raise
        fix = f"put {BENCHMARKS[domain].files} into ${DATA_VARIABLE}/{domain}, or reach the hub"
        return Finding("data", False, f"{detail}; {name} on the hub: {error}", fix)
    return Finding("data", True, f"{name} on the hub; fetched when it is first read")
