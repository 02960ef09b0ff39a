"""The lean training loop and batched greedy decoding, for any causal language model.

Small models spend most of TRL's time on its machinery; this loop costs only the mathematics. Its
losses are held to TRL's by a test.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from transformers import LlamaForCausalLM, PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from dataenv.config import TrainingConfig
from dataenv.hashing import digest
from dataenv.rows import WorkingSet

T = TypeVar("T")

CACHE_ARGUMENT = (
    "cache"
    if "cache" in inspect.signature(LlamaForCausalLM.forward).parameters
    else "past_key_values"
)
"""What models call their cache of keys and values: the former since transformers 5.24."""
WINDOW_BATCHES = 4  # unordered rows are grouped by length within windows of this many batches


@dataclass(frozen=True)
class Encoded:
    """A row as token ids, with the place where its completion starts."""

    ids: tuple[int, ...]
    completion_start: int


def epoch_order(rows: WorkingSet, epoch: int, key: str) -> list[int]:
    """The order of rows in an epoch.

    A sequential set keeps its own. Otherwise a row's place is a hash of (key, epoch, content, number
    of equal rows before it), so that adding one row does not reshuffle the others.
    """
    if rows.sequential:
        return list(range(len(rows)))
    copies: dict[str, int] = {}
    places = []
    for index, row in enumerate(rows):
        copies[row.id] = copies.get(row.id, 0) + 1
        places.append((digest(key, epoch, row.id, copies[row.id], size=8), index))
    return [index for _, index in sorted(places)]


def training_batches(
    rows: WorkingSet, encoded: Sequence[Encoded], config: TrainingConfig, key: str
) -> Iterator[list[int]]:
    """Row indices of every optimiser step.

    A sequential set is cut into batches as it stands. Otherwise rows are sorted by length within
    windows of a few batches, which saves padding.
    """
    size = config.batch_size
    for epoch in range(config.epochs):
        order = epoch_order(rows, epoch, key)
        span = size if rows.sequential else size * WINDOW_BATCHES
        for start in range(0, len(order), span):
            window = order[start : start + span]
            if not rows.sequential:
                window = sorted(window, key=lambda i: len(encoded[i].ids))
            cuts = [window[at : at + size] for at in range(0, len(window), size)]
            if not rows.sequential:
                cuts.sort(key=lambda cut: digest(key, epoch, rows.rows[cut[0]].id, size=8))
            yield from cuts


def learning_rates(config: TrainingConfig, steps: int) -> list[float]:
    """Linear warm-up, then a cosine to zero (as Hugging Face's cosine schedule)."""
    warmup = math.ceil(config.warmup * steps)
    rates = []
    for step in range(steps):
        if step < warmup:
            rates.append(config.learning_rate * step / max(1, warmup))
        else:
            progress = (step - warmup) / max(1, steps - warmup)
            rates.append(config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress)))
    return rates


def pad(
    encoded: Sequence[Encoded], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, attention mask and completion mask, each of shape (n_rows, longest)."""
    width = max(len(each.ids) for each in encoded)
    ids = torch.full((len(encoded), width), pad_id)
    attention = torch.zeros((len(encoded), width), dtype=torch.long)
    completion = torch.zeros((len(encoded), width), dtype=torch.bool)
    for row, each in enumerate(encoded):
        ids[row, : len(each.ids)] = torch.tensor(each.ids)
        attention[row, : len(each.ids)] = 1
        completion[row, each.completion_start : len(each.ids)] = True
    return ids.to(device), attention.to(device), completion.to(device)


def token_log_probabilities(
    model: PreTrainedModel, encoded: Sequence[Encoded], pad_id: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of all completion tokens, and the row of each.

    Logits are computed for completion tokens only.
    """
    device = next(model.parameters()).device
    ids, _, completion = pad(encoded, pad_id, device)
    hidden = _last_layer(model, ids)
    chosen = completion[:, 1:]
    head: Any = model.get_output_embeddings()
    logits = head(hidden[:, :-1][chosen])
    losses = F.cross_entropy(logits.float(), ids[:, 1:][chosen], reduction="none")
    rows = torch.arange(len(encoded), device=device)[:, None].expand_as(chosen)[chosen]
    return -losses, rows


def mean_states(model: PreTrainedModel, encoded: Sequence[Encoded], pad_id: int) -> torch.Tensor:
    """Means of the last layer's states, of shape (n_rows, width), a token's weight being its place."""
    ids, attention, _ = pad(encoded, pad_id, next(model.parameters()).device)
    weights = (attention * attention.cumsum(1)).float()
    summed = torch.einsum("rt,rtw->rw", weights, _last_layer(model, ids).float())
    return summed / weights.sum(1, keepdim=True)


def _last_layer(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    """States of shape (n_rows, tokens, width). Padding is on the right and attention is causal, so no
    mask is needed."""
    return _backbone(model)(input_ids=ids, use_cache=False).last_hidden_state


def mixed_precision(device: torch.device, half: bool) -> torch.autocast:
    """Products in bfloat16 if `half`; sums, adapters and the optimiser stay in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


def _backbone(model: Any) -> torch.nn.Module:
    """The model below its language-modelling head, adapters included."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return getattr(inner, inner.base_model_prefix)


class Workers:
    """Threads that each run torch on one core.

    Torch's own threads wait for each other within every operation, which for small models costs
    more than it gives, and ten times the time on a busy machine. Here a batch is shared out
    instead, and the threads meet once a step.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))

    def map(self, function: Callable[[Any], T], shards: Sequence[Any]) -> list[T]:
        """The function of every shard, in order; a single one runs right here."""
        if len(shards) == 1:
            return [function(shards[0])]
        return list(self._pool.map(function, shards))

    def backward(
        self,
        parameters: Sequence[torch.Tensor],
        shards: Sequence[Any],
        loss_of: Callable[[Any], torch.Tensor],
    ) -> float:
        """Adds the gradients of the sum of all shards' losses, and returns it."""

        def gradients(shard: Any) -> tuple[float, tuple[torch.Tensor, ...]]:
            loss = loss_of(shard)
            return loss.item(), torch.autograd.grad(loss, parameters, allow_unused=True)

        parts = self.map(gradients, shards)
        for parameter, *found in zip(parameters, *(part[1] for part in parts), strict=True):
            used = [each for each in (parameter.grad, *found) if each is not None]
            parameter.grad = sum(used[1:], start=used[0]) if used else None
        return sum(part[0] for part in parts)


def train(
    model: PreTrainedModel,
    rows: WorkingSet,
    encoded: Sequence[Encoded],
    config: TrainingConfig,
    key: str,
    pad_id: int,
    half: bool,
    workers: Workers,
) -> tuple[list[float], str]:
    """Fine-tunes a model in place.

    Args:
        model: The base, or one with an adapter; what requires no gradient is left alone.
        rows: The training set.
        encoded: Its rows as ids.
        config: Hyper-parameters.
        key: Draws each row's place in an epoch.
        pad_id: Fills up a batch.
        half: Whether products are computed in bfloat16.
        workers: Share every batch.

    Returns:
        The loss of every step, and why training stopped early (empty if it did not). After an early
        stop the weights are of no use.
    """
    steps = list(training_batches(rows, encoded, config, key))
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    losses, device = [], parameters[0].device

    def loss_of(batch: Sequence[Encoded]) -> torch.Tensor:
        with mixed_precision(device, half):  # a setting of the thread that computes
            return -token_log_probabilities(model, batch, pad_id)[0].sum()

    model.train()
    if config.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    for indices, rate in zip(steps, learning_rates(config, len(steps)), strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        batch = [encoded[i] for i in indices]
        losses.append(_backward(parameters, batch, config.micro_batch, loss_of, workers))
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.gradient_clip)
        if not (math.isfinite(losses[-1]) and math.isfinite(norm.item())):
            return (
                losses,
                f"loss {losses[-1]} with gradient norm {norm.item()} in step {len(losses)}",
            )
        optimiser.step()
    model.eval()
    return losses, ""


def _backward(
    parameters: Sequence[torch.Tensor],
    batch: Sequence[Encoded],
    micro_batch: int,
    loss_of: Callable[[Sequence[Encoded]], torch.Tensor],
    workers: Workers,
) -> float:
    """Adds the gradients of the mean loss over a batch's completion tokens, and returns it."""
    total = sum(len(each.ids) - each.completion_start for each in batch)
    longest_first = sorted(batch, key=lambda each: -len(each.ids))
    size, loss = micro_batch or len(batch), 0.0
    for start in range(0, len(batch), size):
        part = longest_first[start : start + size]
        shards = [part[n :: workers.count] for n in range(min(workers.count, len(part)))]
        loss += workers.backward(parameters, shards, lambda shard: loss_of(shard) / total)
    return loss


GRADIENT_SIZE = 8_000_000


def influences(
    model: PreTrainedModel,
    rows: Sequence[Encoded],
    groups: Sequence[Sequence[Encoded]],
    pad_id: int,
    workers: Workers,
) -> list[float]:
    """Largest cosine between each row's gradient and the mean gradient of a group.

    Gradients are of the layers' matrices: embeddings hold which words occur, not what is done with
    them. Of a large model they are those of its last matrices, `GRADIENT_SIZE` numbers in all.
    """
    embeddings = {id(p) for p in model.get_input_embeddings().parameters()}
    embeddings |= {id(p) for p in model.get_output_embeddings().parameters()}
    matrices = [p for p in model.parameters() if p.ndim == 2 and id(p) not in embeddings]
    sizes = list(itertools.accumulate(p.numel() for p in reversed(matrices)))
    parameters = matrices[-max(1, sum(size <= GRADIENT_SIZE for size in sizes)) :]

    def gradient(chosen: Sequence[Encoded]) -> torch.Tensor:
        values, _ = token_log_probabilities(model, chosen, pad_id)
        found = torch.autograd.grad(-values.mean(), parameters)
        return F.normalize(torch.cat([each.flatten().float() for each in found]), dim=0)

    wanted = torch.stack(workers.map(gradient, groups))

    def closest(row: Encoded) -> float:
        cut_off = len(row.ids) <= row.completion_start
        return 0.0 if cut_off else (wanted @ gradient([row])).max().item()

    return workers.map(closest, rows)


class RoomyLayer(DynamicLayer):
    """Keys and values in buffers with room to grow: joining tensors copies them at every token."""

    ROOM = 64

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Adds new states, of shape (rows, heads, tokens, width), and returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
            self._buffers = [self.keys, self.values]
        held: Any = (self.keys, self.values)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        for number, new in enumerate((key_states, value_states)):
            if end > self._buffers[number].shape[-2] or len(new) < len(self._buffers[number]):
                rows, heads, _, width = new.shape
                self._buffers[number] = new.new_empty(rows, heads, end + self.ROOM, width)
                self._buffers[number][:, :, :start] = held[number]
            self._buffers[number][:, :, start:end] = new
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)
        return self.keys, self.values


def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    batch_size: int,
    end_ids: Sequence[int],
    pad_id: int,
    workers: Workers,
) -> list[tuple[list[int], bool]]:
    """Greedy continuations, aligned with the prompts: (ids without the end, truncated).

    Prompts of about equal length are decoded together; finished ones leave the batch.
    """
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    size = min(batch_size, math.ceil(len(order) / workers.count) or 1)
    batches = [order[start : start + size] for start in range(0, len(order), size)]

    def answer(chosen: Sequence[int]) -> list[tuple[list[int], bool]]:
        texts = [prompts[i] for i in chosen]
        return _generate_batch(model, texts, max_new_tokens, end_ids, pad_id)

    answers: list[tuple[list[int], bool]] = [([], True)] * len(prompts)
    for chosen, texts in zip(batches, workers.map(answer, batches), strict=True):
        for index, text in zip(chosen, texts, strict=True):
            answers[index] = text
    return answers


PROMPTS_AT_ONCE = 32
LEAVE_SHARE = 0.2  # finished rows leave the batch once they are this share of it: leaving is a copy


@torch.inference_mode()
def _generate_batch(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    end_ids: Sequence[int],
    pad_id: int,
) -> list[tuple[list[int], bool]]:
    cache, mask, following = _read_prompts(model, prompts, pad_id)
    ends = torch.tensor(list(end_ids), device=mask.device)
    positions = mask.sum(1, keepdim=True)
    columns: list[tuple[list[int], torch.Tensor]] = []  # rows in the batch, and a token of each
    alive = list(range(len(prompts)))
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=mask.device)
    for left in reversed(range(max_new_tokens)):
        columns.append((alive, following))
        ended |= torch.isin(following, ends)
        if not left or ended.all():
            break
        if ended.sum() >= LEAVE_SHARE * len(alive):
            keep = (~ended).nonzero()[:, 0]
            alive = [alive[row] for row in keep.tolist()]
            following, mask, positions, ended = (
                x[keep] for x in (following, mask, positions, ended)
            )
            cache.batch_select_indices(keep)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        out = model(
            input_ids=following[:, None],
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            **{CACHE_ARGUMENT: cache},
        )
        following = out.logits[:, -1].argmax(-1)
        positions = positions + 1
    return _collect(columns, len(prompts), set(end_ids))


def _read_prompts(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], pad_id: int
) -> tuple[Cache, torch.Tensor, torch.Tensor]:
    """Keys and values of all prompts, aligned on the right, their mask, and the first token of each
    answer. A few prompts are read at a time, so that what a layer makes of them stays in the cache of
    a core."""
    device = next(model.parameters()).device
    width = max(map(len, prompts))
    masks, tokens, caches = [], [], []
    for start in range(0, len(prompts), PROMPTS_AT_ONCE):
        chosen = prompts[start : start + PROMPTS_AT_ONCE]
        lengths = torch.tensor([len(each) for each in chosen])
        own = int(lengths.max())
        ids = torch.tensor([[pad_id] * (own - len(each)) + list(each) for each in chosen])
        mask = (torch.arange(own) >= own - lengths[:, None]).long().to(device)
        caches.append(Cache(layer_class_to_replicate=DynamicLayer))
        out = model(
            input_ids=ids.to(device),
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            use_cache=True,
            logits_to_keep=1,
            **{CACHE_ARGUMENT: caches[-1]},
        )
        tokens.append(out.logits[:, -1].argmax(-1))
        masks.append(F.pad(mask, (width - own, 0)))
    joined = Cache(layer_class_to_replicate=RoomyLayer)
    for number, layers in enumerate(zip(*(cache.layers for cache in caches), strict=True)):
        parts = [(layer.keys, layer.values) for layer in layers]
        keys, values = (
            torch.cat([F.pad(each, (0, 0, width - each.shape[-2], 0)) for each in side])
            for side in zip(*parts, strict=True)
        )
        joined.update(keys, values, number)
    return joined, torch.cat(masks), torch.cat(tokens)


def _collect(
    columns: Sequence[tuple[list[int], torch.Tensor]], count: int, ends: set[int]
) -> list[tuple[list[int], bool]]:
    """What each row wrote before its end, and whether it never ended."""
    written: list[list[int]] = [[] for _ in range(count)]
    truncated = [True] * count
    for rows, tokens in columns:
        for row, token in zip(rows, tokens.tolist(), strict=True):
            if not truncated[row]:
                continue
            if token in ends:
                truncated[row] = False
            else:
                written[row].append(token)
    return list(zip(written, truncated, strict=True))
