"""Where a student runs and in which precision: what is sensible, unless it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from dataenv.errors import ConfigError

SMALL = 20_000_000
"""Students of fewer parameters stay on the CPU in float32: they are no faster anywhere else, and are
the same everywhere."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Placement:
    """Where and how a student computes.

    Args:
        device: As torch names it.
        dtype: Of the weights; training sums up in float32.
        attention: An implementation of transformers', e.g. sdpa.
        parameters: How many the student has.
    """

    device: str
    dtype: torch.dtype
    attention: str
    parameters: int

    @property
    def precision(self) -> str:
        """The dtype's name."""
        return str(self.dtype).removeprefix("torch.")

    def __str__(self) -> str:
        return (
            f"{self.parameters / 1e6:.1f} M parameters in {self.precision} on {self.device}, "
            f"{self.attention} attention"
        )


def place(
    path: str, device: str = "auto", dtype: str = "auto", attention: str = "auto"
) -> Placement:
    """Decides where a checkpoint runs.

    Args:
        path: A checkpoint folder or a hub id.
        device: auto, or a device of torch's.
        dtype: auto, float32 or bfloat16.
        attention: auto, or an implementation of transformers'.

    Raises:
        ConfigError: There is no such device or dtype.
        OSError: The checkpoint cannot be read.
    """
    parameters = count_parameters(path)
    if device == "auto":
        device = "cuda" if parameters >= SMALL and torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device {device!r}: torch sees no GPU; take device=cpu or auto")
    if dtype == "auto":
        dtype = "bfloat16" if parameters >= SMALL and _has_bfloat16(device) else "float32"
    if dtype not in DTYPES:
        raise ConfigError(f"dtype must be auto, {' or '.join(DTYPES)}, got {dtype!r}")
    return Placement(
        device, DTYPES[dtype], "sdpa" if attention == "auto" else attention, parameters
    )


def count_parameters(path: str) -> int:
    """Parameters of a checkpoint, without reading its weights."""
    config: Any = AutoConfig.from_pretrained(path)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(each.numel() for each in model.parameters())


def _has_bfloat16(device: str) -> bool:
    """Whether bfloat16 is fast there; elsewhere it is emulated and slower than float32."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and torch.cpu._is_avx512_bf16_supported()
