"""Trains a language model to curate, by GRPO over whole episodes of tool calls.

    python scripts/train_grpo.py configs/grpo/qwen3-4b.yaml --out runs/grpo
    python scripts/train_grpo.py configs/grpo/qwen3-4b.yaml --out runs/grpo --resume

A file has the fields of `GrpoRun`. Targets are of the train split. The folder gets TRL's checkpoints,
the model (``final``), and what a tracker is told of every episode (``episodes``). See `docs/GRPO.md`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataenv.adapters.trl import OFFERED, Episode, environment_factory, episode_rows
from dataenv.config import from_mapping, override, require
from dataenv.errors import ConfigError
from dataenv.naming import public_name
from dataenv.presets import EnvConfig
from dataenv.registry import env_config, read_yaml
from dataenv.runs import trackers
from dataenv.runs.trackers import JsonlTracker, Tracker, Trackers, about_run, tracking
from dataenv.students.base import Student

TRACKERS = {**trackers.TRACKERS, "jsonl": JsonlTracker}


@dataclass(frozen=True)
class GrpoRun:
    """One training. Keys of YAML files are these fields."""

    model: str = ""
    """The controller: a checkpoint folder or a hub id, with a chat template that TRL knows."""
    task: str = "dataenv/Science-fast-v0"
    """A registered id, or a task folder."""
    environment: dict = field(default_factory=dict)
    """Fields of `EnvConfig` that differ from those of the task."""
    operations: tuple[str, ...] = OFFERED
    """What is offered as tools, beside train and submit."""
    report_chars: int = 600
    """Characters of a report at most."""
    domains: tuple[str, ...] = ()
    """What to work on, in turn; none: the task's."""
    episodes: int = 512
    """Different episodes to train on; each is played `num_generations` times."""
    seed: int = 0
    """Of the episodes."""
    track: tuple[str, ...] = ("jsonl",)
    """Who is told of every episode: jsonl, wandb, or both."""
    lora: dict = field(default_factory=dict)
    """Fields of peft's LoraConfig; none: the whole model is trained."""
    grpo: dict = field(default_factory=dict)
    """Fields of TRL's GRPOConfig."""

    def __post_init__(self) -> None:
        require(bool(self.model), "model", self.model, "a checkpoint folder or a hub id")
        require(self.episodes >= 1, "episodes", self.episodes, "at least 1")
        for name in self.track:
            require(name in TRACKERS, "track", name, " or ".join(TRACKERS))

    @property
    def env(self) -> EnvConfig:
        """The configuration of the environment."""
        return env_config(self.task, **self.environment)


def read_run(path: Path, assignments: list[str] | None = None) -> GrpoRun:
    """The training that a file describes, with ``key=value`` overrides of its own fields.

    Raises:
        ConfigError: It cannot be read, or has a wrong value.
    """
    return override(from_mapping(GrpoRun, read_yaml(path)), assignments or [])


def settings(run: GrpoRun, out: Path) -> Any:
    """TRL's configuration of a training.

    Raises:
        ConfigError: TRL has no such field, or a value is wrong.
    """
    from trl import GRPOConfig

    names = {each.name for each in dataclasses.fields(GRPOConfig)}
    unknown = sorted(set(run.grpo) - names)
    if unknown:
        raise ConfigError(f"GRPOConfig has no field {unknown[0]!r}; see TRL's reference")
    return GRPOConfig(output_dir=str(out), **run.grpo)


def train(run: GrpoRun, out: Path, resume: bool = False, student: Student | None = None) -> Any:
    """Trains, and returns TRL's trainer.

    Args:
        run: What is trained, and on what.
        out: The folder.
        resume: Whether to go on from its newest checkpoint.
        student: One that is loaded already.

    Raises:
        ConfigError: There is nothing to go on with, or something that would be written over.
        EnvironmentFault: The environment failed; the newest checkpoint can be resumed.
    """
    from peft import LoraConfig
    from transformers.trainer_utils import get_last_checkpoint

    checkpoint = get_last_checkpoint(str(out)) if out.is_dir() else None
    if resume and not checkpoint:
        raise ConfigError(f"{out} has no checkpoint to go on from; leave out --resume")
    if checkpoint and not resume:
        raise ConfigError(f"{out} has checkpoints: take --resume, or another folder")
    with tracking(*tracked(run, out, checkpoint)) as tracker:
        tools = environment_factory(
            run.env,
            run.operations,
            report_chars=run.report_chars,
            tracker=tracker,
            student=student,
        )
        lora = LoraConfig(task_type="CAUSAL_LM", **run.lora) if run.lora else None
        trainer = trainer_of(run, out, tools, lora)
        trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model(str(out / "final"))
    return trainer


def tracked(run: GrpoRun, out: Path, checkpoint: str | None) -> tuple[Tracker, Any]:
    """Who is told of episodes, and of what training: a folder for every process and every start."""
    step = checkpoint.rpartition("-")[2] if checkpoint else "0"
    folder = out / "episodes" / f"from-{step}-rank-{os.environ.get('RANK', '0')}"
    about = about_run(run.env, "grpo", "train", model=public_name(run.model))
    return Trackers([TRACKERS[name](folder) for name in run.track]), about


def trainer_of(run: GrpoRun, out: Path, tools: type[Episode], lora: Any) -> Any:
    """TRL's trainer of a training."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # it warns of what is used here
    from transformers import AutoTokenizer
    from trl import GRPOTrainer

    return GRPOTrainer(
        model=run.model,
        args=settings(run, out),
        train_dataset=episode_rows(run.env, run.episodes, domains=run.domains, seed=run.seed),
        processing_class=AutoTokenizer.from_pretrained(run.model),
        environment_factory=tools,
        peft_config=lora,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true", help="from the newest checkpoint")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    train(read_run(arguments.config, arguments.set), arguments.out, arguments.resume)


if __name__ == "__main__":
    main()
