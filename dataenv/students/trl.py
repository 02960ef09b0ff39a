"""The reference backend: TRL's SFTTrainer over the same batches as the lean loop."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from typing import Any

from datasets import Dataset, disable_progress_bars, enable_progress_bars
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, TrainerCallback
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
        """One batch per optimiser step, in the given order."""
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
) -> tuple[list[float], str]:
    """Fine-tunes a model in place. See `dataenv.students.lean.train`."""
    batches = list(training_batches(rows, encoded, config, key))
    disable_progress_bars()
    dataset = Dataset.from_list(
        [
            {
                "input_ids": list(each.ids),
                "labels": [-100] * each.completion_start + list(each.ids[each.completion_start :]),
            }
            for each in encoded
        ]
    )
    watch = _Watch()
    on_cpu = next(model.parameters()).device.type == "cpu"
    with tempfile.TemporaryDirectory() as folder:
        trainer = _BatchTrainer(
            model=model,
            args=SFTConfig(
                output_dir=folder,
                max_steps=len(batches),
                learning_rate=config.learning_rate,
                per_device_train_batch_size=config.batch_size,
                lr_scheduler_type="cosine",
                warmup_steps=math.ceil(config.warmup * len(batches)),
                weight_decay=config.weight_decay,
                max_grad_norm=config.gradient_clip,
                use_cpu=on_cpu,
                bf16=False,
                gradient_checkpointing=False,
                save_strategy="no",
                report_to="none",
                logging_strategy="steps",
                logging_steps=1,
                disable_tqdm=True,
                logging_nan_inf_filter=False,
                max_length=None,
                dataset_kwargs={"skip_prepare_dataset": True},
                remove_unused_columns=False,
            ),
            train_dataset=dataset,
            processing_class=_tokenizer_of(model, pad_id),
            callbacks=[watch],
            batches=batches,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    enable_progress_bars()
    model.eval()
    return watch.losses, watch.diverged


def _tokenizer_of(model: PreTrainedModel, pad_id: int) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.config.name_or_path)
    tokenizer.pad_token_id = pad_id
    return tokenizer
