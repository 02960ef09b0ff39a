"""LoRA adapters: made for a model, merged into it, and kept in PEFT's own form."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from dataenv.config import TrainingConfig

_PREFIX = "base_model.model."
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Adapter:
    """What training changed of a model, as two thin matrices for each of its linear layers.

    Args:
        config: PEFT's.
        tensors: By PEFT's names, on the CPU.
    """

    config: LoraConfig
    tensors: dict[str, torch.Tensor]

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(each.nbytes for each in self.tensors.values())

    @classmethod
    def of(cls, model: PeftModel) -> Adapter:
        """A copy of a model's adapter."""
        # no look at the hub for whether the base has another vocabulary
        found = get_peft_model_state_dict(model, save_embedding_layers=False)
        tensors = {name: each.detach().cpu().clone() for name, each in found.items()}
        return cls(model.peft_config["default"], tensors)  # type: ignore[arg-type]

    @torch.no_grad()
    def merge(self, model: Any) -> None:
        """Adds the adapter to the weights of a base model, summing in float32."""
        scale = self.config.lora_alpha / self.config.r
        for name, down in self.tensors.items():
            if ".lora_A." not in name:
                continue
            module = name.removeprefix(_PREFIX).split(".lora_A.")[0]
            weight = model.get_submodule(module).weight
            up = self.tensors[name.replace(".lora_A.", ".lora_B.")]
            delta = up.to(weight.device).float() @ down.to(weight.device).float()
            weight.copy_(weight.float() + scale * delta)

    def save(self, folder: Path) -> None:
        """Writes it as PEFT does."""
        self.config.save_pretrained(str(folder))
        save_file(self.tensors, folder / WEIGHTS, {"format": "pt"})

    @classmethod
    def load(cls, folder: Path) -> Adapter:
        """Reads what `save`, or PEFT, wrote."""
        return cls(LoraConfig.from_pretrained(str(folder)), load_file(folder / WEIGHTS))  # type: ignore[arg-type]


def with_adapter(model: Any, config: TrainingConfig, base: str) -> PeftModel:
    """A model with a fresh adapter on all its linear layers, drawn from torch's random state.

    Args:
        model: The base; its weights are frozen.
        config: Has the adapter's rank and scale.
        base: The base's name, for the adapter's own record.
    """
    lora = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
    )
    with warnings.catch_warnings():  # PEFT asks transformers in a way that is going out of use
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(model, lora)  # type: ignore[return-value]
