"""A student from a checkpoint folder or the hub, trained and asked in this process."""

from __future__ import annotations

import contextlib
import hashlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers import __version__ as transformers_version
from transformers.utils import logging

from dataenv.config import DecodingConfig, TrainingConfig
from dataenv.errors import ConfigError
from dataenv.hashing import digest, seed_of
from dataenv.rows import Row, WorkingSet
from dataenv.students import lean
from dataenv.students.adapter import WEIGHTS as ADAPTER_WEIGHTS
from dataenv.students.adapter import Adapter, with_adapter
from dataenv.students.base import Generation, Trained
from dataenv.students.chat import ChatFormat
from dataenv.students.placement import place

T = TypeVar("T")


@contextlib.contextmanager
def isolated_torch(seed: int, threads: int = 1) -> Iterator[None]:
    """Runs with a seed and a number of torch threads of one's own; the caller's random states and
    threads are restored."""
    before = torch.get_num_threads(), random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            random.setstate(before[1])  # TRL seeds all of them
            np.random.set_state(before[2])


def _cast(model: Any, dtype: torch.dtype) -> None:
    """Casts parameters alone: buffers, e.g. rotary frequencies, stay as exact as they were loaded."""
    for each in model.parameters():
        each.data = each.data.to(dtype)


@contextlib.contextmanager
def _without_progress_bars() -> Iterator[None]:
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


LOGITS = 250_000_000
"""Numbers that the likelihoods of a batch take at most."""


class LocalStudent:
    """A causal language model on this machine.

    Args:
        path: A checkpoint folder, or a hub id.
        name: For records; the path if not given.
        threads: How many cores share the batches. Part of the fingerprint, since sums differ.
        device, dtype, attention: See `dataenv.students.placement.place`.

    Raises:
        ConfigError: There is no such device or dtype.
        OSError, ValueError: The checkpoint cannot be used.
    """

    def __init__(
        self,
        path: str | Path,
        name: str = "",
        threads: int = 1,
        device: str = "auto",
        dtype: str = "auto",
        attention: str = "auto",
    ) -> None:
        self.path, self.name, self.threads = str(path), name or str(path), threads
        self.placement = where = place(self.path, device, dtype, attention)
        self._workers = lean.Workers(threads if where.device == "cpu" else 1)
        with _without_progress_bars():
            tokenizer = AutoTokenizer.from_pretrained(self.path)
            model: Any = AutoModelForCausalLM.from_pretrained(
                self.path, dtype=where.dtype, attn_implementation=where.attention
            )
        self.format = ChatFormat.of(tokenizer)
        self._model: Any = model.to(where.device).eval()
        self._base = {k: v.to("cpu", copy=True) for k, v in self._model.state_dict().items()}
        self._loaded: Any = None  # the weights that the model holds now; None is the base

    @cached_property
    def fingerprint(self) -> str:
        """A hash of weights, tokenizer, placement, thread count and versions."""
        weights = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self._base.items()):
            weights.update(name.encode())
            weights.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
        tokenizer = self.format.tokenizer.backend_tokenizer.to_str()
        versions = (torch.__version__, transformers_version)
        return digest(weights.hexdigest(), tokenizer, str(self.placement), self.threads, versions)

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
            fit = self._fit_launched if config.processes > 1 else self._fit
            weights, losses, diverged = fit(rows, encoded, config, key)
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

            if torch.device(self.placement.device).index:
                raise ConfigError(
                    f"TRL trains on the first GPU that it sees, not on {self.placement.device}; take "
                    "device=cuda, and choose by CUDA_VISIBLE_DEVICES"
                )
            fit = trl.train
        model, half = self._model, self.placement.dtype is torch.bfloat16
        if config.lora_rank:
            model = with_adapter(model, config, self.path)
        elif half:
            _cast(model, torch.float32)  # bfloat16 is too coarse to add small steps to
        self._loaded = object()  # neither base nor anything known, until all went well
        try:
            losses, diverged = fit(model, rows, encoded, config, key, self.format.pad_id, half)
            if config.lora_rank:
                return Adapter.of(model), losses, diverged
            _cast(self._model, self.placement.dtype)
            weights = {k: v.to("cpu", copy=True) for k, v in self._model.state_dict().items()}
            self._loaded = weights
            return weights, losses, diverged
        finally:
            if config.lora_rank:
                self._model = model.unload().requires_grad_(True)  # PEFT froze it
            _cast(self._model, self.placement.dtype)
            self._model.zero_grad()
            if config.checkpointing:
                self._model.gradient_checkpointing_disable()

    def _fit_launched(
        self, rows: WorkingSet, encoded: list[lean.Encoded], config: TrainingConfig, key: str
    ) -> tuple[Any, list[float], str]:
        from dataenv.students import launched

        batches = list(lean.training_batches(rows, encoded, config, key))
        self._model.to("cpu")  # leaves the GPU to the processes
        if self.placement.device.startswith("cuda"):
            torch.cuda.empty_cache()
        try:
            with tempfile.TemporaryDirectory() as folder:
                losses, diverged = launched.train(
                    self.path,
                    self.placement,
                    encoded,
                    batches,
                    config,
                    seed_of("train", key),
                    self.format.pad_id,
                    self.threads,
                    Path(folder),
                )
                weights = self.read(Path(folder) / launched.TRAINED)
        finally:
            self._model.to(self.placement.device)
        return weights, losses, diverged

    def read(self, folder: Path) -> Any:
        """Weights for `Trained` from what `save`, PEFT or transformers wrote."""
        if (folder / ADAPTER_WEIGHTS).exists():
            return Adapter.load(folder)
        with _without_progress_bars():
            model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=self.placement.dtype)
        return dict(model.state_dict())

    def save(self, trained: Trained, folder: Path) -> None:
        """Writes an adapter as PEFT does, or a whole checkpoint, with the tokenizer.

        Args:
            trained: What is written; the base is a checkpoint.
            folder: Made if it is not there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.format.tokenizer.save_pretrained(folder)
        if isinstance(trained.weights, Adapter):
            trained.weights.save(folder)
        else:
            self._load(trained.weights)
            self._model.save_pretrained(folder)

    @torch.no_grad()
    def _load(self, weights: Any) -> None:
        if weights is not self._loaded:
            whole = weights is not None and not isinstance(weights, Adapter)
            self._model.load_state_dict(weights if whole else self._base)
            if isinstance(weights, Adapter):
                weights.merge(self._model)
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

    def _rows_at_once(self, longest: int) -> int:
        """Rows whose likelihoods are computed together: a large vocabulary's take much memory."""
        return max(1, min(48, LOGITS // (longest * self._model.config.vocab_size)))

    def log_likelihood(
        self, trained: Trained, prompts: Sequence[str], completions: Sequence[str]
    ) -> list[float]:
        """Mean log-probability per completion token."""

        def score(batch: Sequence[lean.Encoded]) -> list[float]:
            values, rows = lean.token_log_probabilities(self._model, batch, self.format.pad_id)
            return [values[rows == place].mean().item() for place in range(len(batch))]

        return self._in_batches(trained, list(zip(prompts, completions, strict=True)), score)

    def hidden_states(self, trained: Trained, rows: Sequence[tuple[str, str]]) -> np.ndarray:
        """Means of the last layer. See `dataenv.students.base.Student.hidden_states`."""

        def states(batch: Sequence[lean.Encoded]) -> list[np.ndarray]:
            return list(lean.mean_states(self._model, batch, self.format.pad_id).cpu().numpy())

        found: list[np.ndarray] = self._in_batches(trained, rows, states)
        return np.stack(found)

    def _in_batches(
        self,
        trained: Trained,
        rows: Sequence[tuple[str, str]],
        of_batch: Callable[[Sequence[lean.Encoded]], list[T]],
    ) -> list[T]:
        """What a function makes of batches of rows of about equal length, aligned with the rows."""
        self._load(trained.weights)
        encoded = self._encoded(rows)
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i].ids))
        size = self._rows_at_once(max((len(each.ids) for each in encoded), default=1))
        batches = [order[start : start + size] for start in range(0, len(order), size)]

        def read(chosen: Sequence[int]) -> list[T]:
            with torch.inference_mode():
                return of_batch([encoded[i] for i in chosen])

        found: dict[int, T] = {}
        with isolated_torch(0):
            for chosen, values in zip(batches, self._workers.map(read, batches), strict=True):
                found.update(zip(chosen, values, strict=True))
        return [found[place] for place in range(len(encoded))]

    def _encoded(self, rows: Sequence[tuple[str, str]]) -> list[lean.Encoded]:
        limit = self._max_positions
        return [self._encode(prompt, completion, limit) for prompt, completion in rows]

    def influences(
        self,
        trained: Trained,
        rows: Sequence[tuple[str, str]],
        groups: Sequence[Sequence[tuple[str, str]]],
    ) -> list[float]:
        """Largest cosine of gradients. See `dataenv.students.base.Student.influences`."""
        self._load(trained.weights)
        wanted = [self._encoded(pairs) for pairs in groups]
        with isolated_torch(0):
            return lean.influences(
                self._model, self._encoded(rows), wanted, self.format.pad_id, self._workers
            )
