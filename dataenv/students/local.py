"""A student from a checkpoint folder or the hub, trained and asked in this process."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers import __version__ as transformers_version
from transformers.utils import logging

from dataenv.config import DecodingConfig, TrainingConfig
from dataenv.hashing import digest, seed_of
from dataenv.rows import Row, WorkingSet
from dataenv.students import lean
from dataenv.students.base import Generation, Trained
from dataenv.students.chat import ChatFormat


@contextlib.contextmanager
def isolated_torch(seed: int, threads: int = 1) -> Iterator[None]:
    """Runs with a seed and a number of torch threads of one's own; the caller's are restored."""
    before = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextlib.contextmanager
def _without_progress_bars() -> Iterator[None]:
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


class LocalStudent:
    """A causal language model on this machine.

    Args:
        path: A checkpoint folder, or a hub id.
        name: For records; the path if not given.
        threads: How many cores share the batches. Part of the fingerprint, since sums differ.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(
        self, path: str | Path, name: str = "", threads: int = 1, device: str = "cpu"
    ) -> None:
        self.path, self.name, self.threads = str(path), name or str(path), threads
        self._workers = lean.Workers(threads if device == "cpu" else 1)
        with _without_progress_bars():
            tokenizer = AutoTokenizer.from_pretrained(self.path)
            model: Any = AutoModelForCausalLM.from_pretrained(self.path, dtype=torch.float32)
        self.format = ChatFormat.of(tokenizer)
        self._model: Any = model.to(device).eval()
        self._base = {k: v.clone() for k, v in self._model.state_dict().items()}
        self._loaded: Any = None  # the weights that the model holds now; None is the base
        self._adapter: tuple[Any, Any, dict[str, Any]] | None = None  # of the last training

    @cached_property
    def fingerprint(self) -> str:
        """A hash of weights, tokenizer, dtype, thread count and versions."""
        weights = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self._base.items()):
            weights.update(name.encode())
            weights.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        tokenizer = self.format.tokenizer.backend_tokenizer.to_str()
        versions = (torch.__version__, transformers_version)
        return digest(weights.hexdigest(), tokenizer, "float32", self.threads, versions)

    def encode(self, row: Row, max_tokens: int) -> lean.Encoded:
        """A row as ids, cut off at `max_tokens`."""
        return self._encode(row.prompt, row.output, max_tokens)

    def _encode(self, prompt: str, completion: str, max_tokens: int) -> lean.Encoded:
        start = self.format.prompt_ids(prompt)
        ids = [*start, *self.format.completion_ids(completion)][:max_tokens]
        return lean.Encoded(tuple(ids), min(len(start), max_tokens))

    def count_tokens(self, text: str) -> int:
        """Tokens that a text takes."""
        return len(self.format.text_ids(text))

    def train(self, rows: WorkingSet, config: TrainingConfig, key: str) -> Trained:
        """Fine-tunes the base on rows. See `dataenv.students.base.Student.train`."""
        began = time.perf_counter()
        encoded = [self.encode(row, config.max_tokens) for row in rows]
        trainable = [e for e in encoded if len(e.ids) > e.completion_start]
        if len(trainable) < len(encoded):
            kept = [len(e.ids) > e.completion_start for e in encoded]
            rows, encoded = rows.kept(kept), trainable
        if not encoded:
            return Trained(diverged="no row fits into max_tokens")
        self._load(None)
        threads = self.threads if config.backend == "trl" else 1  # the lean loop has workers
        with isolated_torch(seed_of("train", key), threads):
            weights, losses, diverged = self._fit(rows, encoded, config, key)
        return Trained(
            weights=None if diverged else weights,
            losses=tuple(losses),
            tokens=sum(len(each.ids) for each in encoded) * config.epochs,
            seconds=time.perf_counter() - began,
            diverged=diverged,
        )

    def _fit(
        self, rows: WorkingSet, encoded: list[lean.Encoded], config: TrainingConfig, key: str
    ) -> tuple[Any, list[float], str]:
        fit: Any = partial(lean.train, workers=self._workers)
        if config.backend == "trl":
            from dataenv.students import trl

            fit = trl.train
        for parameter in self._model.parameters():
            parameter.requires_grad_(True)
        model = self._with_adapter(config) if config.lora_rank else self._model
        self._loaded = object()  # neither base nor anything known, until all went well
        try:
            losses, diverged = fit(model, rows, encoded, config, key, self.format.pad_id)
            adapter = _adapter_of(model) if config.lora_rank else None
        finally:
            if config.lora_rank:
                self._model = model.merge_and_unload().requires_grad_(True)  # PEFT froze it
        weights = {k: v.detach().clone() for k, v in self._model.state_dict().items()}
        self._loaded = weights
        self._adapter = (weights, *adapter) if adapter else None
        return weights, losses, diverged

    def _with_adapter(self, config: TrainingConfig) -> Any:
        from peft import LoraConfig, get_peft_model

        adapter = LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        return get_peft_model(self._model, adapter)

    def _load(self, weights: Any) -> None:
        if weights is not self._loaded:
            self._model.load_state_dict(self._base if weights is None else weights)
            self._loaded = weights
        self._model.eval()

    def answer(
        self, trained: Trained, prompts: Sequence[str], config: DecodingConfig
    ) -> list[Generation]:
        """Greedy answers. See `dataenv.students.base.Student.answer`."""
        self._load(trained.weights)
        with isolated_torch(0):
            answers = lean.generate(
                self._model,
                [self.format.prompt_ids(prompt) for prompt in prompts],
                config.max_new_tokens,
                config.batch_size,
                self.format.end_ids,
                self.format.pad_id,
                self._workers,
            )
        return [Generation(self.format.decode(ids), cut) for ids, cut in answers]

    @property
    def _max_positions(self) -> int:
        return getattr(self._model.config, "max_position_embeddings", 512)

    def log_likelihood(
        self, trained: Trained, prompts: Sequence[str], completions: Sequence[str]
    ) -> list[float]:
        """Mean log-probability per completion token."""
        self._load(trained.weights)
        encoded = [
            self._encode(p, c, self._max_positions)
            for p, c in zip(prompts, completions, strict=True)
        ]
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i].ids))
        batches = [order[start : start + 48] for start in range(0, len(order), 48)]

        def score(chosen: Sequence[int]) -> list[float]:
            with torch.inference_mode():
                values, rows = lean.token_log_probabilities(
                    self._model, [encoded[i] for i in chosen], self.format.pad_id
                )
                return [values[rows == place].mean().item() for place in range(len(chosen))]

        scores = [0.0] * len(encoded)
        with isolated_torch(0):
            for chosen, found in zip(batches, self._workers.map(score, batches), strict=True):
                for index, value in zip(chosen, found, strict=True):
                    scores[index] = value
        return scores

    def influences(
        self,
        trained: Trained,
        rows: Sequence[tuple[str, str]],
        groups: Sequence[Sequence[tuple[str, str]]],
    ) -> list[float]:
        """Largest cosine of gradients. See `dataenv.students.base.Student.influences`."""
        self._load(trained.weights)
        limit = self._max_positions

        def encoded(pairs: Sequence[tuple[str, str]]) -> list[lean.Encoded]:
            return [self._encode(prompt, completion, limit) for prompt, completion in pairs]

        wanted = [encoded(pairs) for pairs in groups]
        with isolated_torch(0):
            return lean.influences(
                self._model, encoded(rows), wanted, self.format.pad_id, self._workers
            )

    def save(self, trained: Trained, folder: Path) -> None:
        """Writes a student for others to load. See `dataenv.students.base.Student.save`."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        self.format.tokenizer.save_pretrained(folder)
        if self._adapter and self._adapter[0] is trained.weights:
            _, config, tensors = self._adapter
            config.save_pretrained(str(folder))
            save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
        else:
            self._load(trained.weights)
            self._model.save_pretrained(folder)


def _adapter_of(model: Any) -> tuple[Any, dict[str, Any]]:
    """PEFT's configuration of an adapter, and a copy of its weights."""
    from peft import get_peft_model_state_dict

    found = get_peft_model_state_dict(model)
    return model.peft_config["default"], {k: v.detach().cpu().clone() for k, v in found.items()}
