"""Whether this machine has what a run takes: packages, memory, disk, GPUs, cores."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import psutil

from dataenv.config import TrainingConfig
from dataenv.doctor.finding import Finding, in_units
from dataenv.doctor.sources import Weights
from dataenv.errors import ConfigError
from dataenv.presets import EnvConfig
from dataenv.sandbox.check import sandbox_problem
from dataenv.students.fetch import cache_folder
from dataenv.students.placement import Placement, place

LARGE = 1_000_000_000
"""Students of more parameters take hours on a CPU."""
RECORDS = 100_000_000
"""Bytes for the records of a run, its tape aside."""
TOKEN_BYTES = 6
"""Of a reply on a tape, roughly."""


def packages(config: EnvConfig) -> Finding:
    """Whether what the run imports is installed."""
    wanted = {"matplotlib": "pip install 'dataenv-gym[plot]' for pictures of runs"}
    if config.training.backend == "trl":
        wanted |= dict.fromkeys(("trl", "accelerate"), "pip install trl accelerate")
    if config.training.lora_rank:
        wanted["peft"] = "pip install peft"
    if config.attention == "flash_attention_2":
        wanted["flash_attn"] = "pip install flash-attn, or take attention=sdpa"
    lacking = [name for name in wanted if importlib.util.find_spec(name) is None]
    if not lacking:
        return Finding("packages", True, f"{', '.join(sorted(wanted))} installed")
    ok = None if lacking == ["matplotlib"] else False
    fixes = "; ".join(dict.fromkeys(wanted[name] for name in lacking))
    return Finding("packages", ok, f"{', '.join(lacking)} not installed", fixes)


def memory(config: EnvConfig, weights: Weights) -> list[Finding]:
    """Whether the student fits, by the estimate of `dataenv.students.memory`."""
    from dataenv.students.memory import Shape, needs_of

    if weights.folder is None:
        detail = "unknown until the student's weights are here"
        return [Finding("memory", None, detail, "fetch them, and ask again")]
    try:
        where = place(str(weights.folder), config.device, config.dtype, config.attention)
        needs = needs_of(Shape.of(str(weights.folder)), where, config)
    except (ConfigError, OSError, ValueError) as error:
        return [Finding("memory", False, str(error), "change device or dtype, or the student")]
    found = [_fits("memory", needs.ram, free_memory(), config.training, str(where))]
    if needs.gpu:
        free = _free_on_gpus(where.device, config.training.processes)
        found.append(_fits("GPU memory", needs.gpu, free, config.training, ""))
    return [*found, _device(where)]


def _fits(name: str, needed: int, free: int, training: TrainingConfig, what: str) -> Finding:
    detail = f"{in_units(needed)} needed of {in_units(free)} free" + (f": {what}" if what else "")
    if needed <= free:
        return Finding(name, True, detail)
    ways = {
        "training.micro_batch=1": training.micro_batch != 1,
        "training.checkpointing=true": not training.checkpointing,
        "training.lora_rank=8": not training.lora_rank,
        "a smaller student": True,
    }
    return Finding(name, False, detail, f"take {', '.join(way for way in ways if ways[way])}")


def free_memory() -> int:
    """Bytes of RAM that this process may still have, by the system and by its control group."""
    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    limit, used = group / "memory.max", group / "memory.current"
    if limit.is_file() and limit.read_text().strip().isdigit():
        held = int(used.read_text()) - _file_cache(group / "memory.stat")
        free = min(free, int(limit.read_text()) - held)
    return max(0, free)


def _file_cache(statistics: Path) -> int:
    """Bytes of a control group that hold files and are given up when they are needed."""
    lines = statistics.read_text().splitlines() if statistics.is_file() else []
    found = dict(line.split()[:2] for line in lines)
    return int(found.get("inactive_file", 0))


def _free_on_gpus(device: str, processes: int) -> int:
    """Of the fullest of the GPUs that training takes: the device's own, or the first so many."""
    import torch

    numbers = [torch.device(device).index or 0]
    if processes > 1:
        numbers = list(range(min(processes, torch.cuda.device_count())))
    return min(torch.cuda.mem_get_info(number)[0] for number in numbers)


def _device(where: Placement) -> Finding:
    if where.device == "cpu" and where.parameters > LARGE:
        detail = f"{where.parameters / 1e9:.1f} B parameters on the CPU: hours for one training"
        return Finding("device", None, detail, "run it where torch sees a GPU")
    return Finding("device", True, where.device)


def disk(config: EnvConfig, weights: Weights, out: Path) -> Finding:
    """Whether there is room for what is downloaded and written."""
    from huggingface_hub import constants

    tape = config.calls * config.endpoint.max_tokens * TOKEN_BYTES if config.tape else 0
    wanted = {Path(constants.HF_HUB_CACHE): weights.download, out: RECORDS + tape}
    wanted[cache_folder()] = RECORDS  # adapters on their way to a server
    lacking, rooms = [], []
    for folder, size in wanted.items():
        free = shutil.disk_usage(_existing(folder)).free
        rooms.append(f"{in_units(free)} free at {folder}")
        if free < size:
            lacking.append(f"{folder} has {in_units(free)}, {in_units(size)} are needed")
    if lacking:
        fix = "make room, or set HF_HOME, DATAENV_CACHE or --out to other disks"
        return Finding("disk", False, "; ".join(lacking), fix)
    return Finding("disk", True, ", ".join(rooms))


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if each.exists())


def gpus(config: EnvConfig) -> Finding:
    """Whether there is a GPU for each process that trains, if it wants one."""
    import torch

    count, processes = torch.cuda.device_count(), config.training.processes
    detail = f"torch {torch.__version__} sees {count}, training.processes={processes}"
    if config.device == "cpu" or count >= processes:
        return Finding("GPUs", True, detail)
    if count:
        return Finding("GPUs", False, detail, f"set training.processes={count}, or device=cpu")
    if config.device.startswith("cuda"):
        fix = "run it where there is one, with torch's build for it, or set device=cpu"
        return Finding("GPUs", False, f"{detail}, device={config.device}", fix)
    if processes > 1:
        return Finding("GPUs", None, f"{detail}: they share the CPU", "set training.processes=1")
    return Finding("GPUs", True, detail)


def threads(config: EnvConfig) -> Finding:
    """Whether there is a core for each thread."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    busy = config.threads * (1 if config.device.startswith("cuda") else config.training.processes)
    if busy > cores:
        detail = f"{busy} on {cores} cores: slower than with {cores}"
        return Finding("threads", None, detail, f"set threads={cores} or fewer processes")
    return Finding("threads", True, f"{busy} on {cores} cores")


def sandbox(config: EnvConfig) -> Finding:
    """Whether programs can be isolated; without that, other operations still work."""
    if config.unsafe_no_sandbox:
        fix = "leave unsafe_no_sandbox out, unless the machine is there for nothing else"
        return Finding("sandbox", None, "off: programs have all rights of this user", fix)
    problem = sandbox_problem()
    if not problem:
        return Finding("sandbox", True, "bubblewrap; its attacks on itself fail")
    return Finding("sandbox", None, f"programs will be refused: {problem.message}", problem.hint)
