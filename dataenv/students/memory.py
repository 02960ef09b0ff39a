"""How much memory a student takes, estimated before its weights are read.

On the device (P parameters of b bytes, T of them trained, r rows of t tokens computed at a time, and a
model of L layers, h hidden, i intermediate, k key-value features and v words):

    weights and training   P b + 16 T with an adapter; 16 P without, 18 P in bfloat16 (weights, their
                           gradient and two moments in float32, and a copy in bfloat16)
    activations            r t (L a + v (b + 8)), a = b (12 h + 3 k + 4 i) for what a layer keeps for its
                           gradient; with checkpointing L h b + a instead of L a
    answers                n (t + new) 2 L k b: keys and values of n prompts at a time

Training and answering take turns; `MARGIN` is for workspaces and gaps. In RAM lie a copy of the base, and
what is on the device if that is the CPU; while a checkpoint is read, each process holds one more.

Measured peaks of SmolLM2-135M on 8 rows of 256 tokens are 3.7 GB for an estimate of 3.9 (rank 16,
bfloat16), 6.2 for 6.7 (rank 16, float32) and 4.8 for 8.6 (all weights, float32).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dataenv.presets import EnvConfig
from dataenv.students.placement import Placement, skeleton

TRAINED_BYTES = 16
"""For a trained parameter in float32: itself, its gradient, and AdamW's two moments."""
MARGIN = 1.2
"""Over what is counted on the device."""


@dataclass(frozen=True)
class Shape:
    """What a model's size comes from.

    Args:
        parameters: All of them.
        features: Inputs and outputs of its linear layers, summed: an adapter's size for one rank.
        layers, hidden, intermediate, keys, words: L, h, i, k and v above.
    """

    parameters: int
    features: int
    layers: int
    hidden: int
    intermediate: int
    keys: int
    words: int

    @classmethod
    def of(cls, path: str) -> Shape:
        """The shape of a checkpoint.

        Raises:
            OSError, ValueError: Its configuration cannot be read.
        """
        import torch

        model = skeleton(path)
        config: Any = model.config.get_text_config()
        head = model.get_output_embeddings()
        linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
        heads = config.num_attention_heads
        head_size = getattr(config, "head_dim", None) or config.hidden_size // heads
        return cls(
            parameters=sum(each.numel() for each in model.parameters()),
            features=sum(each.in_features + each.out_features for each in linear),
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            intermediate=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
            keys=(getattr(config, "num_key_value_heads", None) or heads) * head_size,
            words=config.vocab_size,
        )


@dataclass(frozen=True)
class Needs:
    """Bytes that a student takes, by where.

    Args:
        ram: Of the machine.
        gpu: Of each GPU; 0 on the CPU.
    """

    ram: int
    gpu: int


def needs_of(shape: Shape, placement: Placement, config: EnvConfig) -> Needs:
    """What a student takes at most, training or answering."""
    size = placement.dtype.itemsize
    base = shape.parameters * size
    training = _training(shape, size, config) + activations(shape, size, config)
    answering = 0 if config.student_endpoint.base_url else _answering(shape, size, config)
    device = round(MARGIN * max(training, base + answering))
    if placement.device == "cpu":
        return Needs(base + device * config.training.processes, 0)
    return Needs(base + base * config.training.processes, device)


def _training(shape: Shape, size: int, config: EnvConfig) -> int:
    if config.training.lora_rank:
        adapter = config.training.lora_rank * shape.features
        return shape.parameters * size + TRAINED_BYTES * adapter
    return shape.parameters * (TRAINED_BYTES + (size if size < 4 else 0))


def activations(shape: Shape, size: int, config: EnvConfig) -> int:
    """Bytes kept for gradients while a batch, or a part of it, is computed."""
    training = config.training
    rows = min(training.micro_batch or training.batch_size, training.batch_size)
    layer = size * (12 * shape.hidden + 3 * shape.keys + 4 * shape.intermediate)
    kept = shape.layers * layer
    if training.checkpointing:
        kept = shape.layers * shape.hidden * size + layer
    return rows * training.max_tokens * (kept + shape.words * (size + 8))


def _answering(shape: Shape, size: int, config: EnvConfig) -> int:
    tokens = config.training.max_tokens + config.decoding.max_new_tokens
    return config.decoding.batch_size * tokens * 2 * shape.layers * shape.keys * size
