"""The reference backend: TRL's SFTTrainer over the same batches as the lean loop."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, disable_progress_bars, enable_progress_bars
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, PreTrainedModel, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from dataenv.config import TrainingConfig
from dataenv.rows import WorkingSet
from dataenv.students.lean import Encoded, training_batches


class _BatchTrainer(SFTTrainer):
    """A trainer that follows given batches instead of sampling."""

    def __init__(self, *arguments: Any, batches: list[list[int]], **fields: Any) -> None:
        self._batches = batches
        super().__init__(*arguments, **fields)

    def get_train_dataloader(self) -> DataLoader:
        """The given batches, in their order."""
        dataset: Any = self.train_dataset
        return DataLoader(dataset, batch_sampler=self._batches, collate_fn=self.data_collator)


class _Watch(TrainerCallback):
    """Keeps the losses and stops at the first that is not finite."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.diverged = ""

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Notes loss and gradient norm of a step."""
        if logs and "loss" in logs:
            loss, norm = float(logs["loss"]), float(logs.get("grad_norm", 0.0))
            self.losses.append(loss)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                self.diverged = f"loss {loss} with gradient norm {norm} in step {len(self.losses)}"
                control.should_training_stop = True


def train(
    model: PreTrainedModel,
    rows: WorkingSet,
    encoded: Sequence[Encoded],
    config: TrainingConfig,
    key: str,
    pad_id: int,
    half: bool,
) -> tuple[list[float], str]:
    """Fine-tunes a model in place. See `dataenv.students.lean.train`."""
    batches = list(training_batches(rows, encoded, config, key))
    return fit(model, encoded, batches, config, pad_id, half)


def fit(
    model: PreTrainedModel,
    encoded: Sequence[Encoded],
    batches: Sequence[Sequence[int]],
    config: TrainingConfig,
    pad_id: int,
    half: bool,
    rank: int = 0,
    save_to: Path | None = None,
) -> tuple[list[float], str]:
    """Trains on given batches, one per optimiser step.

    Args:
        model: Changed in place.
        encoded: Rows as ids.
        batches: Indices of rows, one list per step.
        config: Hyper-parameters; its `processes` share every batch.
        pad_id: Fills up a batch.
        half: Whether products are computed in bfloat16.
        rank: Which of the processes this is.
        save_to: Folder for what was trained.

    Returns:
        As `dataenv.students.lean.train`.
    """
    pieces = math.ceil(config.batch_size / (config.micro_batch or config.batch_size))
    accumulation = math.ceil(pieces / config.processes)
    mine = [
        part
        for batch in batches
        for part in _parts(batch, accumulation, config.processes, len(encoded))[rank]
    ]
    disable_progress_bars()
    watch = _Watch()
    with tempfile.TemporaryDirectory() as folder:
        trainer = _BatchTrainer(
            model=model,
            args=_settings(model, config, len(batches), accumulation, half, folder),
            train_dataset=_dataset(encoded),
            processing_class=_tokenizer_of(model, pad_id),
            callbacks=[watch],
            batches=mine,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        if save_to:
            trainer.save_model(str(save_to))
    enable_progress_bars()
    model.eval()
    return watch.losses, watch.diverged


def _parts(
    batch: Sequence[int], accumulation: int, processes: int, blank: int
) -> list[list[list[int]]]:
    """A batch by process and place; every part has a row, `blank` if there are not enough."""
    count = accumulation * processes
    parts = [list(batch[n::count]) or [blank] for n in range(count)]
    return [parts[rank::processes] for rank in range(processes)]


def _dataset(encoded: Sequence[Encoded]) -> Dataset:
    """Ids and labels, prompts masked; the last row is blank: nothing of it counts."""
    rows = [
        {
            "input_ids": list(each.ids),
            "labels": [-100] * each.completion_start + list(each.ids[each.completion_start :]),
        }
        for each in encoded
    ]
    blank = {"input_ids": rows[0]["input_ids"][:2], "labels": [-100] * len(encoded[0].ids[:2])}
    return Dataset.from_list([*rows, blank])


def _settings(
    model: PreTrainedModel,
    config: TrainingConfig,
    steps: int,
    accumulation: int,
    half: bool,
    folder: str,
) -> SFTConfig:
    settings = SFTConfig(
        output_dir=folder,
        max_steps=steps,
        learning_rate=config.learning_rate,
        per_device_train_batch_size=math.ceil(
            config.batch_size / (accumulation * config.processes)
        ),
        gradient_accumulation_steps=accumulation,
        lr_scheduler_type="cosine",
        warmup_steps=math.ceil(config.warmup * steps),
        weight_decay=config.weight_decay,
        max_grad_norm=config.gradient_clip,
        use_cpu=next(model.parameters()).device.type == "cpu",
        bf16=half,
        gradient_checkpointing=config.checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        save_strategy="no",
        report_to="none",
        logging_strategy="steps",
        logging_steps=1,
        disable_tqdm=True,
        logging_nan_inf_filter=False,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
    )
    if settings.n_gpu > 1:  # looking at it makes it known; one process has one GPU here
        settings._n_gpu = 1
    return settings


def _tokenizer_of(model: PreTrainedModel, pad_id: int) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(model.config.name_or_path)
    tokenizer.pad_token_id = pad_id
    return tokenizer
