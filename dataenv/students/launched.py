"""Training in several processes, e.g. one per GPU, launched by accelerate.

What they are told lies in a folder as plain files, and so does what comes of it. How the processes
share a model (copies, FSDP, DeepSpeed) is accelerate's own configuration: see ``accelerate config``.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dataenv.config import TrainingConfig, from_mapping
from dataenv.errors import TrainingFault
from dataenv.students import trl
from dataenv.students.adapter import with_adapter
from dataenv.students.lean import Encoded
from dataenv.students.placement import DTYPES, Placement

JOB, LOSSES, TRAINED, ERROR = "job.json", "losses.json", "trained", "error.txt"


def train(
    path: str,
    placement: Placement,
    encoded: Sequence[Encoded],
    batches: Sequence[Sequence[int]],
    config: TrainingConfig,
    seed: int,
    pad_id: int,
    threads: int,
    folder: Path,
) -> tuple[list[float], str]:
    """Trains a checkpoint in `config.processes` processes.

    Args:
        path: The base.
        placement: Device, dtype and attention.
        encoded: Rows as ids.
        batches: Indices of rows, one list per step.
        config: Hyper-parameters.
        seed: Of torch, in every process.
        pad_id: Fills up a batch.
        threads: Of torch, in every process.
        folder: Empty; holds the checkpoint or adapter in ``trained`` afterwards.

    Raises:
        TrainingFault: A process failed; says how.
    """
    job = {
        "path": path,
        "precision": placement.precision,
        "attention": placement.attention,
        "encoded": [asdict(each) for each in encoded],
        "batches": [list(each) for each in batches],
        "config": asdict(config),
        "seed": seed,
        "pad_id": pad_id,
        "threads": threads,
    }
    (folder / JOB).write_text(json.dumps(job), "utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if placement.device == "cpu":
        environment["ACCELERATE_USE_CPU"] = "true"
    command = [*_launcher(placement.device, config.processes), __name__, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        own = folder / ERROR
        text = own.read_text("utf-8") if own.exists() else done.stderr
        tail = "\n".join(text.strip().splitlines()[-15:])
        raise TrainingFault(f"training in {config.processes} processes failed:\n{tail}")
    found = json.loads((folder / LOSSES).read_text("utf-8"))
    return found["losses"], found["diverged"]


def _launcher(device: str, processes: int) -> list[str]:
    """The command before a module's name; on the CPU accelerate itself would start one process."""
    count, port = str(processes), str(_free_port())
    if device == "cpu":
        options = ["--nproc_per_node", count, "--master_port", port]
        return [sys.executable, "-m", "torch.distributed.run", *options, "-m"]
    options = ["--num_processes", count, "--main_process_port", port]
    return [sys.executable, "-m", "accelerate.commands.launch", *options, "--module"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(folder: Path) -> None:
    """What each of the processes does."""
    from accelerate import PartialState
    from transformers import AutoModelForCausalLM

    job = json.loads((folder / JOB).read_text("utf-8"))
    config: TrainingConfig = from_mapping(TrainingConfig, job["config"])
    state = PartialState(cpu=os.environ.get("ACCELERATE_USE_CPU") == "true")
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    half = job["precision"] == "bfloat16"
    dtype = DTYPES[job["precision"]] if config.lora_rank else torch.float32
    model: Any = AutoModelForCausalLM.from_pretrained(
        job["path"], dtype=dtype, attn_implementation=job["attention"]
    ).to(state.device)
    if config.lora_rank:
        model = with_adapter(model, config, job["path"])
    encoded = [Encoded(tuple(each["ids"]), each["completion_start"]) for each in job["encoded"]]
    losses, diverged = trl.fit(
        model,
        encoded,
        job["batches"],
        config,
        job["pad_id"],
        half,
        state.process_index,
        folder / TRAINED,
    )
    if state.is_main_process:
        (folder / LOSSES).write_text(json.dumps({"losses": losses, "diverged": diverged}), "utf-8")


if __name__ == "__main__":
    try:
        run(Path(sys.argv[1]))
    except Exception:  # the launcher's own message does not say what went wrong
        (Path(sys.argv[1]) / ERROR).write_text(traceback.format_exc(), "utf-8")
        raise
